"""A study with a bit of everything, on a real server; only the sandboxed evaluation is a double.

As a program, `demo.py FOLDER [CROWD]` makes it, adds a crowd of researchers, serves it until killed, and prints a link
to its pages.
"""

import contextlib
import json
import sqlite3
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from aarlab.api import ApiError, OperatorClient, ResearcherClient
from aarlab.api.access import Role, TokenCreate
from aarlab.api.ledger import ChargeCreate, ChargeKind
from aarlab.api.schemas import (
    FindingCreate,
    FindingKind,
    Kind,
    Overrule,
    ResearcherCreate,
    StudyCreate,
    SubmissionCreate,
)
from aarlab.api.snapshots import SnapshotKind
from aarlab.evaluation import library_method
from aarlab.server import Limits, create_app, embedded
from aarlab.server._limits import Rate
from aarlab.server.artifacts import Artifacts
from double import TOKEN, Double, only

NAMES = ("ada", "bo", "cy", "dot", "eli", "fay", "gus", "hana", "ivo")
IDEAS = (
    "vanilla_soft",
    "confident",
    "logconf",
    "ensemble",
    "self_training",
    "knn_relabel",
    "overlap_density",
    "epiplexity",
)
DIRECTIONS = (
    "trust the confident",
    "listen to neighbours",
    "many seeds, one verdict",
    "what the student knows already",
)
KINDS = (Kind.SCRIPTED, Kind.LLM, Kind.EXTERNAL, Kind.HUMAN)
HOURS = 18.0
EACH = 12
UNLIMITED = Limits(Rate(1e6, 10**6), Rate(1e6, 10**6), Rate(1e6, 10**6))
HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


@dataclass(frozen=True)
class Demo:
    """The study, while it is served.

    Attributes:
        viewer: token of somebody who may only look.
        member: a researcher that may still submit.
        token: that researcher's.
    """

    url: str
    study: str
    operator: OperatorClient
    viewer: str
    member: ResearcherClient
    token: str
    database: Path


@contextlib.contextmanager
def demo(folder: Path, researchers: int = 9, rounds: int = 4, crowd: int = 0) -> Iterator[Demo]:
    """Make it and serve it while the block runs.

    Args:
        folder: for database and artifacts.
        researchers: that do research over HTTP.
        rounds: submissions of each.
        crowd: further researchers, written into the database straight away with `EACH` submissions each: how the pages
            look and how quick they are does not depend on how the rows came in.
    """
    database = folder / "study.db"
    with contextlib.ExitStack() as stack:
        url, operator = stack.enter_context(_serving(database))
        study, tokens = _made(url, operator, stack, researchers, rounds)
    _age(database)
    if crowd:
        _crowd(database, study, crowd)
    with contextlib.ExitStack() as stack:
        url, operator = stack.enter_context(_serving(database))
        viewer = operator.issue(TokenCreate(role=Role.VIEWER, study=study)).token
        member = stack.enter_context(ResearcherClient(url, tokens[-1]))
        yield Demo(url, study, operator, viewer, member, tokens[-1], database)


@contextlib.contextmanager
def _serving(database: Path) -> Iterator[tuple[str, OperatorClient]]:
    app = create_app(database, only(Double(hurry=True)), TOKEN, limits=UNLIMITED)
    with embedded(app) as url, OperatorClient(url, TOKEN) as operator:
        yield url, operator


def _made(
    url: str, operator: OperatorClient, stack: contextlib.ExitStack, researchers: int, rounds: int
) -> tuple[str, list[str]]:
    """The study, and its researchers' tokens."""
    study = operator.create_study(
        StudyCreate(
            testbed="synthetic",
            evaluations_per_researcher=rounds + 6,
            evaluations_per_study=10_000,
            dollars_per_study=40 + 45 * researchers,
        )
    ).id
    members, tokens = [], []
    for n in range(researchers):
        name = NAMES[n] if n < len(NAMES) else f"r{n:03}"
        direction = HOSTILE if n == 1 else DIRECTIONS[n % len(DIRECTIONS)]
        kind = KINDS[n % len(KINDS)] if n < len(NAMES) - 1 else Kind.SCRIPTED
        admitted = operator.admit(study, ResearcherCreate(name=name, kind=kind, direction=direction))
        members.append(stack.enter_context(ResearcherClient(url, admitted.token)))
        tokens.append(admitted.token)
        if n >= 40:
            continue
        for model, price in (("large", 6.0), ("small", 0.7)):
            charge = ChargeCreate(
                key=f"demo-{n}-{model}",
                kind=ChargeKind.TOKENS,
                researcher=admitted.researcher.id,
                model=model,
                input_tokens=180_000 + 9_000 * n,
                output_tokens=21_000,
                cached_tokens=90_000,
                dollars=price + 0.1 * n,
            )
            operator.charge(study, charge)
    _research(operator, study, members, rounds)
    members[0].hand_in(b"a workspace", SnapshotKind.WORKSPACE, "after the first round")
    return study, tokens


def _research(operator: OperatorClient, study: str, members: list[ResearcherClient], rounds: int) -> None:
    """Submissions with parents, failures, findings, replies, votes, audits, confirmations."""
    rng = np.random.default_rng(0)
    best: dict[int, tuple[int, float]] = {}
    findings: list[int] = []
    for turn in range(rounds):
        for n, member in enumerate(members):
            idea = IDEAS[(n + turn) % len(IDEAS)]
            accuracy = float(np.clip(0.64 + 0.018 * turn + 0.03 * rng.normal(), 0.5, 0.83))
            parent, before = best.get(n, (None, 0.0))
            asks = f"# accuracy={accuracy:.3f}\n# {n} {turn}\n"
            if n % 9 == 3 and turn == 1:
                asks += "# fail=timeout\n"
            if n % 9 == 4 and turn >= 2:
                asks += "# flag=reading\n"
            if n % 9 == 5 and turn >= 2:
                asks += "# fail-private=exception\n"
            name = HOSTILE[:70] if n == 1 and turn == 0 else f"{idea.replace('_', ' ')} {turn + 1}"
            wanted = SubmissionCreate(
                name=name, code=asks + library_method(idea).code, parent=parent, note=f"round {turn + 1}"
            )
            sent = member.wait(member.submit(wanted).id)
            if sent.feedback is not None and accuracy > before:
                best[n] = (sent.id, accuracy)
            kind = FindingKind.RESULT if sent.feedback else FindingKind.ERROR
            title = f"{name} scores" if sent.feedback else f"{name} does not run"
            body = f"It **helps** that `{idea}` looks at margins.\n\n- one\n- two\n\n{HOSTILE if n == 1 else ''}"
            posted = member.post(
                FindingCreate(
                    kind=kind,
                    title=title,
                    body=body,
                    submission=sent.id,
                    tags=(idea.partition("_")[0], f"round-{turn + 1}"),
                )
            )
            findings.append(posted.id)
            if len(findings) > 3 and n % 2:
                other = findings[int(rng.integers(len(findings) - 1))]
                with contextlib.suppress(ApiError):
                    member.vote(other, 1 if n % 3 else -1)
                member.post(
                    FindingCreate(
                        kind=FindingKind.INSIGHT, title="Same here", body="Seen with another seed, too.", parent=other
                    )
                )
    best_ones = [row.submission for row in operator.leaderboard(study) if row.researcher != "baseline"][:8]
    operator.audit(study, best_ones)
    for one in best_ones[:5]:
        for found in operator.audits(one):
            if found.verdict == "flagged":  # the double's predictions are mere 0 and 1, which looks like probing
                decision = Overrule(verdict="passed", reason="Read the code: it searches for nothing.")
                operator.overrule(one, found.finding.audit, decision)
    operator.confirm(study, best_ones[:5])


def _age(database: Path) -> None:
    """Let the study have taken `HOURS`, so that figures have something to show."""
    began = datetime.now(UTC) - timedelta(hours=HOURS)
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM submissions ORDER BY id")]
        step = HOURS / (len(ids) + 1)
        for place, one in enumerate(ids):
            at = [
                (began + timedelta(hours=step * (place + part))).strftime("%Y-%m-%d %H:%M:%S.%f") for part in (0.3, 0.9)
            ]
            connection.execute("UPDATE submissions SET created_at = ? WHERE id = ?", (at[0], one))
            connection.execute(
                "UPDATE evaluations SET created_at = ?, ended_at = ? WHERE submission_id = ?", (*at, one)
            )
            connection.execute("UPDATE findings SET created_at = ? WHERE submission_id = ?", (at[1], one))
        connection.execute("UPDATE spells SET began_at = ?", (began.strftime("%Y-%m-%d %H:%M:%S.%f"),))


def _crowd(database: Path, study: str, researchers: int) -> None:
    """Researchers whose submissions are copies of one, with other code, time and score."""
    rng = np.random.default_rng(1)
    artifacts = Artifacts(database.with_name("artifacts"))
    began = datetime.now(UTC) - timedelta(hours=HOURS)
    codes = [library_method(idea).code for idea in IDEAS]
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.row_factory = sqlite3.Row
        pattern = connection.execute(
            "SELECT e.* FROM evaluations e JOIN submissions s ON s.id = e.submission_id "
            "WHERE task = 'public' AND e.status = 'scored' AND s.researcher_id IS NOT NULL"
        ).fetchone()
        models = {table: _first(connection, table) for table in ("researchers", "spells", "submissions", "findings")}
        score = json.loads(pattern["score"])
        numbers = {
            table: connection.execute(f"SELECT MAX(id) FROM {table}").fetchone()[0]
            for table in (*models, "evaluations")
        }

        def add(table: str, like: sqlite3.Row, **fields: object) -> int:
            numbers[table] += 1
            row = dict(like) | {"id": numbers[table]} | fields
            places = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values()))
            return numbers[table]

        people = []
        for n in range(researchers):
            people.append(add("researchers", models["researchers"], name=f"r{n:03}", kind="scripted", study_id=study))
            add("spells", models["spells"], researcher_id=people[-1])
        before: dict[int, int] = {}
        for n in range(researchers * EACH):
            who = people[n % researchers]
            at = (began + timedelta(hours=HOURS * (n + 1) / (researchers * EACH + 1))).strftime("%Y-%m-%d %H:%M:%S.%f")
            value = float(np.clip(0.2 + 0.3 * n / (researchers * EACH) + 0.12 * rng.normal(), -0.4, 0.95))
            accuracy = score["floor"] + value * (score["ceiling"] - score["floor"])
            scored = score | {"accuracy": [accuracy] * 3}
            scored["estimate"] = score["estimate"] | {
                "pgr": {"estimate": value, "low": value - 0.1, "high": value + 0.12, "level": 0.95}
            }
            fields = {"study_id": study, "researcher_id": who, "created_at": at}
            code = f"# {n}\n{codes[n % len(codes)]}".encode()
            one = add(
                "submissions",
                models["submissions"],
                sha256=artifacts.put(code),
                parent_id=before.get(who),
                name=f"idea {n}",
                **fields,
            )
            answer = json.loads(pattern["answer"]) | {"accuracy": round(accuracy, 3)}
            add(
                "evaluations", pattern, submission_id=one, payer_id=who, score=json.dumps(scored),
                answer=json.dumps(answer), created_at=at, ended_at=at,
            )  # fmt: skip
            add(
                "findings", models["findings"], submission_id=one, title=f"Idea {n}", parent_id=None, key=None, **fields
            )
            before[who] = one


def _first(connection: sqlite3.Connection, table: str) -> sqlite3.Row:
    return connection.execute(f"SELECT * FROM {table} ORDER BY id DESC LIMIT 1").fetchone()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with demo(folder, crowd=int(sys.argv[2]) if len(sys.argv) > 2 else 0) as made:
        sys.stdout.write(f"{made.url}/login?token={TOKEN}&next=/studies/{made.study}\n{made.viewer}\n{made.study}\n")
        sys.stdout.flush()
        threading.Event().wait()
