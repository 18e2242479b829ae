"""How quickly the server answers while many researchers poll, post and submit.

    python benchmarks/server_load.py [--researchers 200] [--seconds 60] [--workers N] [--database URL] [--json]

Starts `aarlab serve` in a process of its own, admits the researchers, and lets each of them live from here: it looks at
the forum and at its latest submission about every four seconds, at the board every twenty, and posts and submits a
method that predicts a constant about once a minute. Latency is what the client sees, its own share included. Reads of
the kind that wait (`?wait=`) are left out: they are late by design.
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import httpx
import numpy as np

from aarlab.api import OperatorClient, Unreachable
from aarlab.api.schemas import Kind, ResearcherCreate, StudyCreate

METHOD = """# {name}
import numpy as np


def fit(problem, seed):
    return lambda examples: np.full(len(examples), {value})
"""
POLL, BOARD, POST, SUBMIT = 4.0, 20.0, 60.0, 60.0  # seconds between, on average


class Researcher:
    """One of many: keeps what it read, and how long each answer took."""

    def __init__(self, http: httpx.AsyncClient, number: int, token: str, end: float) -> None:
        self.http, self.number, self.end = http, number, end
        self.headers = {"Authorization": f"Bearer {token}"}
        self.rng = np.random.default_rng(number)
        self.latest = self.read = self.submitted = 0
        self.took: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []

    async def call(self, kind: str, method: str, path: str, body: dict[str, object] | None = None) -> list | dict:
        began = time.perf_counter()
        try:
            answer = await self.http.request(method, f"/api/v1{path}", headers=self.headers, json=body)
        except httpx.HTTPError as error:
            self.errors.append(f"{kind}: {type(error).__name__}")
            return []
        self.took[kind].append(time.perf_counter() - began)
        if not answer.is_success:
            self.errors.append(f"{kind}: {answer.status_code} {answer.text[:100]}")
            return []
        return answer.json()

    async def live(self) -> None:
        await asyncio.sleep(self.rng.random() * POLL)
        while time.monotonic() < self.end:
            for finding in await self.call("read findings", "GET", f"/findings?after={self.read}"):
                self.read = finding["id"]
            if self.latest:
                await self.call("read submission", "GET", f"/submissions/{self.latest}")
            if self.rng.random() < POLL / BOARD:
                await self.call("read board", "GET", "/board")
                await self.call("read me", "GET", "/me")
            if self.rng.random() < POLL / POST:
                note = {"kind": "insight", "title": f"{self.number} at {time.time():.0f}", "body": "word " * 50}
                await self.call("post finding", "POST", "/findings", note)
            if self.rng.random() < POLL / SUBMIT:
                self.submitted += 1
                name = f"{self.number}-{self.submitted}"
                code = METHOD.format(name=name, value=round(float(self.rng.random()), 3))
                made = await self.call("submit", "POST", "/submissions", {"name": name, "code": code})
                self.latest = made["id"] if made else self.latest
            await asyncio.sleep(POLL * (0.5 + self.rng.random()))


async def storm(url: str, tokens: list[str], seconds: float) -> list[Researcher]:
    limits = httpx.Limits(max_connections=len(tokens), max_keepalive_connections=len(tokens))
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30, trust_env=False) as http:
        end = time.monotonic() + seconds
        crowd = [Researcher(http, number, token, end) for number, token in enumerate(tokens)]
        await asyncio.gather(*(one.live() for one in crowd))
    return crowd


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(operator: OperatorClient) -> None:
    for _ in range(100):
        try:
            operator.health()
        except Unreachable:
            continue
        return
    raise SystemExit("the server does not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--researchers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--testbed", default="chat")
    parser.add_argument("--database", help="SQLAlchemy URL; default: an SQLite file")
    parser.add_argument("--workers", type=int, help="evaluations at a time; default: the server's own")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    token, port = secrets.token_urlsafe(32), free_port()
    with tempfile.TemporaryDirectory() as folder:
        where = ["--database", wanted.database or str(Path(folder) / "load.db")]
        if wanted.database:
            where += ["--artifacts", folder]
        if wanted.workers:
            where += ["--workers", str(wanted.workers)]
        command = [sys.executable, "-m", "aarlab", "serve", "--port", str(port), *where]
        server = subprocess.Popen(command, env={**os.environ, "AARLAB_OPERATOR_TOKEN": token}, cwd=folder)
        try:
            url = f"http://127.0.0.1:{port}"
            with OperatorClient(url, token) as operator:
                wait_for(operator)
                study = operator.create_study(StudyCreate(testbed=wanted.testbed, evaluations_per_researcher=1000)).id
                tokens = [
                    operator.admit(study, ResearcherCreate(name=f"r{n:03}", kind=Kind.EXTERNAL, direction="load")).token
                    for n in range(wanted.researchers)
                ]
                crowd = asyncio.run(storm(url, tokens, wanted.seconds))
                states = [s.status.value for s in operator.submissions(study)]
        finally:
            server.terminate()
            server.wait()
    took: dict[str, list[float]] = defaultdict(list)
    for one in crowd:
        for kind, times in one.took.items():
            took[kind] += times
    took["all reads"] = [t for kind, times in took.items() if kind.startswith("read") for t in times]
    figures = {
        kind: {
            "count": len(times),
            **{f"p{q}_ms": round(1000 * float(np.percentile(times, q)), 1) for q in (50, 95, 99)},
            "max_ms": round(1000 * max(times), 1),
        }
        for kind, times in sorted(took.items())
    }
    errors = [error for one in crowd for error in one.errors]
    document = {
        "researchers": wanted.researchers,
        "seconds": wanted.seconds,
        "requests_per_second": round(sum(len(t) for k, t in took.items() if k != "all reads") / wanted.seconds, 1),
        "scored": states.count("scored"),
        "submitted": len(states),
        "errors": len(errors),
        "first_errors": errors[:5],
        "latency": figures,
    }
    if wanted.json:
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return
    for name, value in document.items():
        if name != "latency":
            sys.stdout.write(f"{name:22} {value}\n")
    for kind, row in figures.items():
        sys.stdout.write(f"{kind:22} " + "  ".join(f"{name} {value}" for name, value in row.items()) + "\n")


if __name__ == "__main__":
    main()
