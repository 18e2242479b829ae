"""Processes to be killed: a server on a double, and researchers that pester it.

Started through `multiprocessing`'s fork server, which has imported everything already, so that one more takes a tenth
of a second. What a researcher was told is in its file of acknowledgements before it goes on.
"""

import contextlib
import json
import multiprocessing
import os
import time
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from aarlab.api.schemas import PREFIX
from aarlab.server import create_app, embedded
from aarlab.server._patience import Patience
from double import TOKEN, Double, only

ADDRESS, STOP = "address", "stop"
WAITING = ("queued", "running")
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 60.0
PATIENCE = Patience(busy_seconds=5, lease_seconds=2, retry_seconds=0.05)


def context() -> ForkServerContext:
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["aarlab.server", "aarlab.api.client", "scipy.stats", "psycopg"])
    return made


def start(target: Any, *args: object) -> BaseProcess:
    process = context().Process(target=target, args=args, daemon=True)
    process.start()
    return process


def kill(process: BaseProcess) -> None:
    """SIGKILL, and wait until it is gone."""
    process.kill()
    process.join()


def serve(folder: Path, database: Path | str, patience: Patience = PATIENCE) -> None:
    """Serve until killed; the address is in `folder` once it answers."""
    app = create_app(
        database, only(Double(hurry=True)), TOKEN, workers=2, artifacts=folder / "artifacts", patience=patience
    )
    with embedded(app) as url:
        partial = folder / f"{ADDRESS}.{os.getpid()}"
        partial.write_text(url)
        partial.replace(folder / ADDRESS)
        time.sleep(10 * PATIENCE_SECONDS)


def address(folder: Path) -> str:
    """Where the server answers, or answered last; waits for the first one."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            return (folder / ADDRESS).read_text()
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("no server has started")


def insist(folder: Path, token: str, method: str, path: str, *, key: str | None = None, **body: Any) -> httpx.Response:
    """Ask until there is an answer that is no fault of the server's, whichever server it is by then."""
    headers = {"Authorization": f"Bearer {token}"} | ({} if key is None else {"Idempotency-Key": key})
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with (
            contextlib.suppress(httpx.TransportError),
            httpx.Client(trust_env=False, verify=False, timeout=10) as client,
        ):
            response = client.request(
                method, address(folder) + PREFIX + path, headers=headers, json=body if method == "POST" else None
            )
            held_off = response.status_code == 429 and response.json()["type"] != "urn:aarlab:budget"
            if response.status_code < 500 and not held_off:
                return response
            assert held_off or response.status_code == 503, response.text
        time.sleep(PAUSE_SECONDS)
    raise AssertionError(f"{method} {path}: no answer")


def research(folder: Path, name: str, token: str, seed: int) -> None:
    """Submit, wait, post, until told to stop or out of budget; each acknowledged act is a line of a file."""
    rng = np.random.default_rng(seed)
    with (folder / f"told-{name}-{os.getpid()}").open("a") as told:

        def note(**what: object) -> None:
            told.write(json.dumps(what) + "\n")
            told.flush()

        while not (folder / STOP).exists():
            unique = f"{name}-{os.getpid()}-{rng.integers(2**32)}"
            code = f"# accuracy={rng.uniform(0.6, 0.8):.4f}\n# {unique}\n"
            for _ in range(2):  # the second costs nothing and gives the same
                answer = insist(folder, token, "POST", "/submissions", name="one", code=code)
                if answer.status_code == 429:
                    return
                note(submission=answer.json()["id"], code=code)
            submission = answer.json()["id"]
            while insist(folder, token, "GET", f"/submissions/{submission}?wait=2").json()["status"] in WAITING:
                pass
            finding = {"kind": "result", "title": unique, "body": "as told", "submission": submission}
            for _ in range(2):
                answer = insist(folder, token, "POST", "/findings", key=unique, **finding)
                assert answer.status_code in (200, 201), answer.text
                note(finding=answer.json()["id"], title=unique)
