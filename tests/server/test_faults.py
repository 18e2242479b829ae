"""What is recorded survives whatever happens to processes, disk, database and clock, and the study goes on."""

import json
import resource
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import fsspec
import httpx
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import OperationalError

import victims
from aarlab.api import OperatorClient, ResearcherClient, Unreachable
from aarlab.api._http import DELAYS
from aarlab.api.schemas import (
    BASELINE,
    PREFIX,
    Kind,
    ResearcherCreate,
    Status,
    StudyCreate,
    Submission,
    SubmissionCreate,
)
from aarlab.server import _events, _models, create_app, embedded
from aarlab.server._database import Database
from aarlab.server._models import ChargeRow, EvaluationRow, EventRow, FindingRow, StudyRow, SubmissionRow
from aarlab.server._patience import Patience
from aarlab.server._queue import Queue
from aarlab.server.artifacts import Artifacts
from double import TOKEN, Double, only

KILLS, RESEARCHERS, EVALUATIONS = 55, 3, 400
HASTY = Patience(busy_seconds=0.2, retry_seconds=0.02)


@pytest.mark.slow
def test_nothing_is_lost_or_counted_twice_when_killed_at_any_moment(tmp_path: Path, database: Path | str):
    rng = np.random.default_rng(6)
    server = victims.start(victims.serve, tmp_path, database)
    study, tokens = begun(tmp_path)
    crew = {name: victims.start(victims.research, tmp_path, name, token, 0) for name, token in tokens.items()}
    killed: Counter[str] = Counter()
    for n in range(KILLS):
        time.sleep(rng.uniform(0.0, 0.4))
        if n % 5 == 4:
            name = f"r{rng.integers(RESEARCHERS)}"
            victims.kill(crew[name])
            crew[name] = victims.start(victims.research, tmp_path, name, tokens[name], n)
            killed["researcher"] += 1
            continue
        victims.kill(server)
        killed["server"] += 1
        server = victims.start(victims.serve, tmp_path, database)
        if n % 3 == 0:  # else it may be killed before it answers
            await_server(tmp_path)
        if n % 10 == 0:
            confirm_some(tmp_path, study)
    (tmp_path / victims.STOP).touch()
    for process in crew.values():
        process.join(victims.PATIENCE_SECONDS)
        assert process.exitcode == 0
    await_server(tmp_path)
    settle(tmp_path, study, tokens)
    asked = confirm_some(tmp_path, study)
    assert asked == confirm_some(tmp_path, study)
    used = {name: used_by(tmp_path, token) for name, token in tokens.items()}
    victims.kill(server)

    assert killed.total() >= 50
    check_record(database, study, used, told(tmp_path))


def begun(folder: Path) -> tuple[str, dict[str, str]]:
    """A study, and the tokens of its researchers."""
    with OperatorClient(victims.address(folder), TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic", evaluations_per_researcher=EVALUATIONS)).id
        wanted = (ResearcherCreate(name=f"r{n}", kind=Kind.SCRIPTED, direction="") for n in range(RESEARCHERS))
        return study, {one.name: operator.admit(study, one).token for one in wanted}


def await_server(folder: Path) -> None:
    victims.insist(folder, TOKEN, "GET", "/health")


def listed(folder: Path, study: str) -> list[dict]:
    found: list[dict] = []
    while True:
        after = found[-1]["id"] if found else 0
        page = victims.insist(folder, TOKEN, "GET", f"/studies/{study}/submissions?after={after}&limit=200").json()
        found += page
        if len(page) < 200:
            return found


def settle(folder: Path, study: str, tokens: dict[str, str]) -> None:
    """Wait until all is evaluated; what failed by no fault of its own is submitted again, as its author would."""
    end = time.monotonic() + victims.PATIENCE_SECONDS
    while any(one["status"] != "scored" for one in listed(folder, study)):
        assert time.monotonic() < end
        for one in listed(folder, study):
            if one["status"] == "failed":
                code = victims.insist(folder, TOKEN, "GET", f"/submissions/{one['id']}/code").json()["code"]
                victims.insist(folder, tokens[one["researcher"]], "POST", "/submissions", name="again", code=code)
        time.sleep(0.1)


def confirm_some(folder: Path, study: str) -> dict:
    """The first three that are scored, on `private`; repeated until all are done."""
    known = [one for one in listed(folder, study) if one["researcher"] != BASELINE]
    scored = [one["id"] for one in known if one["status"] == "scored"]
    end = time.monotonic() + victims.PATIENCE_SECONDS
    while True:
        state = victims.insist(folder, TOKEN, "POST", f"/studies/{study}/confirm", submissions=scored[:3]).json()
        if not state.get("pending") or time.monotonic() > end:
            return state
        time.sleep(0.05)


def used_by(folder: Path, token: str) -> int:
    return victims.insist(folder, token, "GET", "/me").json()["evaluations_used"]


def told(folder: Path) -> list[dict]:
    """What researchers were told; the last line of one that was killed may be half."""
    lines = [line for path in folder.glob("told-*") for line in path.read_text().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def check_record(database: Path | str, study: str, used: dict[str, int], told: list[dict]) -> None:
    opened = Database(database)
    with opened.read() as session:
        events = session.scalars(select(EventRow).order_by(EventRow.number)).all()
        submissions = {row.id: row for row in session.scalars(select(SubmissionRow))}
        evaluations = session.scalars(select(EvaluationRow)).all()
        findings = session.scalars(select(FindingRow)).all()
        charges = session.scalars(select(ChargeRow)).all()
        state = session.get_one(StudyRow, study).guard_state
    opened.close()

    assert _events.verify(events) is None
    happened = [(event.kind, json.loads(event.payload)) for event in events]
    assert any(kind == "evaluation.retried" for kind, _ in happened), "no kill has hit an evaluation"

    codes = {one["code"]: one["submission"] for one in told if "code" in one}
    assert len(codes) > 20
    assert set(codes.values()) <= submissions.keys(), "acknowledged, so kept"
    assert len(set(codes.values())) == len(codes)
    authored = Counter(row.author for row in submissions.values() if row.researcher is not None)
    assert used == {name: authored[name] for name in used}, "one evaluation each distinct code"
    assert len({row.sha256 for row in submissions.values()}) == len(submissions)

    scored = Counter(
        (told["submission"], told["task"])
        for kind, told in happened
        if kind == "evaluation.ended" and told["status"] == "scored"
    )
    assert scored == {(row.submission_id, row.task): 1 for row in evaluations}
    assert all(row.status == Status.SCORED and row.claim is None for row in evaluations)
    answers = Counter(told["submission"] for kind, told in happened if kind == "guard.answered")
    assert answers == dict.fromkeys(submissions, 1)
    assert state is not None
    looks = [row for row in evaluations if row.task == "private"]
    requested = Counter(told["submission"] for kind, told in happened if kind == "private.requested")
    assert requested == dict.fromkeys((row.submission_id for row in looks), 1)
    assert len(looks) >= 4, "three and the baseline"

    posted = {one["finding"]: one["title"] for one in told if "finding" in one}
    kept = {row.id: row.title for row in findings}
    assert posted.items() <= kept.items()
    assert len(set(kept.values())) == len(kept), "none is there twice"
    entered = Counter(told["finding"] for kind, told in happened if kind == "finding.posted")
    assert entered == dict.fromkeys(kept, 1)

    keys = Counter((row.submission_id, row.key) for row in charges)
    assert set(keys.values()) == {1}
    assert len(charges) == len(evaluations), "each that was scored is charged once"


def asked(url: str, token: str, path: str, **body: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(url + PREFIX + path, headers=headers, json=body, trust_env=False, verify=False, timeout=20)


def check_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    problem = response.json()
    assert problem["type"] == "urn:aarlab:unavailable"
    assert "again" in problem["advice"]


def check_log(world) -> None:
    opened = Database(world.database)
    with opened.read() as session:
        assert _events.verify(session.scalars(select(EventRow).order_by(EventRow.number)).all()) is None
    opened.close()


def token_of(client: ResearcherClient) -> str:
    return client._http.headers["Authorization"].partition(" ")[2]


def locker(database: Path | str):
    """A transaction of another program that keeps all from writing."""
    engine = create_engine(f"sqlite:///{database}" if isinstance(database, Path) else database)
    connection = engine.connect()
    if isinstance(database, Path):
        connection.connection.driver_connection.isolation_level = None
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("LOCK TABLE events, evaluations IN EXCLUSIVE MODE"))

    def release() -> None:
        connection.connection.driver_connection.rollback()
        connection.close()
        engine.dispose()

    return release


def held_back(world, ada: ResearcherClient, code: str) -> Submission:
    """A submission whose evaluation has begun, and ends when the double's gate is set."""
    world.double.gate.clear()
    submission = ada.submit(SubmissionCreate(name="slow", code=code))
    while ada.submission(submission.id).status != Status.RUNNING:
        time.sleep(0.02)
    return submission


def await_words(caplog: pytest.LogCaptureFixture, words: str) -> None:
    end = time.monotonic() + victims.PATIENCE_SECONDS
    while words not in caplog.text:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_database_locked_for_long_costs_nothing(serving, caplog):
    """Who asks is told to come again; what was being evaluated is recorded when it can be."""
    with serving(patience=HASTY) as world:
        ada = world.admit()
        ada.wait(1)
        slow = held_back(world, ada, "# accuracy=0.8\n")
        release = locker(world.database)
        try:
            check_unavailable(asked(world.url, token_of(ada), "/submissions", name="no", code="# accuracy=0.7\n"))
            assert ada.submission(slow.id).status == Status.RUNNING, "who only reads does not wait"
            world.double.gate.set()
            await_words(caplog, "a result cannot be recorded")
            assert ada.submission(slow.id).status == Status.RUNNING
        finally:
            release()
        assert ada.wait(slow.id, timeout=20).status == Status.SCORED
        assert len([call for call in world.double.calls if call[0] == "# accuracy=0.8\n"]) == 1, "not done again"
        assert ada.wait(ada.submit(SubmissionCreate(name="no", code="# accuracy=0.7\n")).id).status == Status.SCORED
        assert ada.me().evaluations_used == 2
        check_log(world)


@pytest.mark.slow
def test_a_client_waits_as_a_server_in_trouble_tells_it_to(serving):
    """Longer than it tries again where nobody answers at all: a full disk must not end a researcher."""
    with serving(patience=HASTY) as world:
        ada = world.admit()
        ada.wait(1)
        release = locker(world.database)
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(ada.submit, SubmissionCreate(name="late", code="# accuracy=0.7\n"))
            time.sleep(sum(DELAYS) + 1)
            waiting = not late.done()
            release()
            assert ada.wait(late.result(timeout=20).id, timeout=20).status == Status.SCORED
        assert waiting


def test_artifacts_that_cannot_be_written_cost_nothing(serving, tmp_path, caplog):
    with serving(patience=HASTY) as world:
        ada = world.admit()
        ada.wait(1)
        slow = held_back(world, ada, "# accuracy=0.8\n")
        (tmp_path / "artifacts").rename(tmp_path / "elsewhere")
        (tmp_path / "artifacts").write_text("in the way")
        try:
            check_unavailable(asked(world.url, token_of(ada), "/submissions", name="no", code="# accuracy=0.7\n"))
            world.double.gate.set()
            await_words(caplog, "a result cannot be recorded")
            assert ada.submission(slow.id).status == Status.RUNNING
        finally:
            (tmp_path / "artifacts").unlink()
            (tmp_path / "elsewhere").rename(tmp_path / "artifacts")
        assert ada.wait(slow.id, timeout=20).status == Status.SCORED
        assert ada.me().evaluations_used == 1
        assert ada.wait(ada.submit(SubmissionCreate(name="no", code="# accuracy=0.7\n")).id).status == Status.SCORED
        check_log(world)


def test_an_evaluator_that_cannot_be_had_does_not_end_the_worker(tmp_path, database):
    """Whatever it raises is a fault of ours: tried again, and others are evaluated afterwards."""
    double, asked_for = Double(), list[str]()

    def evaluators(testbed, _secret):
        asked_for.append(testbed)
        if len(asked_for) == 2:  # the first is for the study itself
            raise ValueError("a pack that cannot be read")
        return double

    app = create_app(
        database, evaluators, TOKEN, artifacts=tmp_path / "artifacts", patience=Patience(retry_seconds=0.02)
    )
    with embedded(app) as url, OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic")).id
        (baseline,) = operator.submissions(study)
        assert operator.submission(baseline.id, wait=20).status == Status.SCORED


def test_a_server_that_cannot_start_ends_in_order(tmp_path, database, monkeypatch, caplog):
    def locked(_queue):
        raise OperationalError("UPDATE", None, TimeoutError("database is locked"))

    monkeypatch.setattr(Queue, "recover", locked)
    app = create_app(database, only(Double()), TOKEN, artifacts=tmp_path / "artifacts")
    with pytest.raises(Unreachable), embedded(app):
        pass
    assert "database is locked" in caplog.text
    assert "cannot join" not in caplog.text


def test_a_clock_that_jumps_costs_nothing(serving, monkeypatch):
    """Hours forwards and back, while something is evaluated and while nothing is."""
    with serving(workers=2, evaluations=10) as world:
        ada = world.admit()
        ada.wait(1)
        for n, hours in enumerate((5, -5, 0, -48, 48)):
            slow = held_back(world, ada, f"# accuracy=0.8\n# {n}\n")
            monkeypatch.setattr(_models, "clock", lambda hours=hours: time.time() + 3600 * hours)
            time.sleep(0.7)  # the other thread looks for work meanwhile
            world.double.gate.set()
            assert ada.wait(slow.id, timeout=20).status == Status.SCORED
        assert ada.me().evaluations_used == 5
        assert len(world.double.calls) == 6, "none was evaluated twice"
        check_log(world)


@pytest.mark.sqlite
def test_a_full_disk_costs_nothing(tmp_path, database):
    """The server's files may not grow any more, as on a full disk; then they may again."""
    server = victims.start(victims.serve, tmp_path, database, HASTY)
    try:
        study, tokens = begun(tmp_path)
        url, token = victims.address(tmp_path), tokens["r0"]
        with ResearcherClient(url, token) as ada, OperatorClient(url, TOKEN) as operator:
            before = ada.wait(ada.submit(SubmissionCreate(name="one", code="# accuracy=0.7\n")).id)
            finding = {"kind": "insight", "title": "large", "body": "x" * 9_000}
            _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, hard))
            try:
                check_unavailable(asked(url, token, "/findings", **finding))
                check_unavailable(asked(url, token, "/submissions", name="no", code="# accuracy=0.8\n" + "#" * 5000))
                assert ada.submission(before.id) == before, "who only reads needs no space"
            finally:
                resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
            assert asked(url, token, "/findings", **finding).status_code == 201
            again = ada.submit(SubmissionCreate(name="no", code="# accuracy=0.8\n" + "#" * 5000))
            assert ada.wait(again.id, timeout=20).status == Status.SCORED
            assert ada.me().evaluations_used == 2
            assert [one.title for one in operator.findings(study)] == ["large"]
    finally:
        victims.kill(server)
    with closing(sqlite3.connect(database)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class Away(MemoryFileSystem):
    """A store whose library has errors of its own."""

    protocol = "away"

    def pipe_file(self, *_: object, **__: object) -> None:
        raise LookupError("endpoint not found")

    cat_file = pipe_file


def test_a_store_that_is_away_is_told_as_what_may_come_right_again():
    fsspec.register_implementation("away", Away, clobber=True)
    artifacts = Artifacts("away://bucket")
    for use in (lambda: artifacts.put(b"code"), lambda: artifacts.get("0" * 64)):
        with pytest.raises(OSError, match="endpoint not found"):
            use()
