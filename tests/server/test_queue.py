"""The queue: leases, tries, clocks that jump, and several servers at once. No HTTP; the tables are real."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from aarlab.api.schemas import Kind, Status, StudyCreate, SubmissionCreate
from aarlab.server import _events, _models
from aarlab.server._database import Database
from aarlab.server._feedback import PublicSplit
from aarlab.server._models import EvaluationRow, EventRow, ResearcherRow, StudyRow, SubmissionRow
from aarlab.server._patience import Patience
from aarlab.server._problems import ProblemError
from aarlab.server._queue import Queue, Task
from aarlab.server._store import Store
from aarlab.server.artifacts import Artifacts
from double import Double

HOURS = 3600.0
PATIENCE = Patience(busy_seconds=20, lease_seconds=60, retry_seconds=5, attempts=3)
CODES = tuple(f"# accuracy=0.{70 + i}\n" for i in range(6))


@dataclass
class Bench:
    """One server's share of a queue, and a clock for all of them."""

    opened: Callable[[], Queue]
    queue: Queue
    study: str
    double: Double

    def scored(self, task: Task) -> bool:
        result = self.double.evaluate(task.code, task.what, task.seeds)
        public = PublicSplit(self.double.groups("public"), self.double.floor_correct("public"))
        return self.queue.record(task, result, public)

    def rows(self) -> list[EvaluationRow]:
        with self.queue.database.read() as session:
            return list(session.scalars(select(EvaluationRow).order_by(EvaluationRow.id)))

    def events(self, kind: str) -> list[EventRow]:
        return [
            event for event in Store(self.queue.database, self.queue.artifacts).events(self.study) if event.kind == kind
        ]


class Clock:
    """The wall clock of all servers, which jumps when told to."""

    def __init__(self) -> None:
        self.jumped = 0.0

    def __call__(self) -> float:
        return time.time() + self.jumped


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(_models, "clock", made)
    return made


@pytest.fixture
def bench(database: Path | str, tmp_path: Path) -> Iterator[Bench]:
    databases: list[Database] = []
    artifacts = Artifacts(tmp_path / "artifacts")

    def opened() -> Queue:
        databases.append(Database(database, PATIENCE))
        return Queue(databases[-1], artifacts, PATIENCE)

    double, queue = Double(), opened()
    wanted = StudyCreate(testbed="synthetic", evaluations_per_researcher=5)
    study = Store(queue.database, artifacts).create_study(wanted, b"secret" * 6, double)[0].id
    yield Bench(opened, queue, study, double)
    for one in databases:
        one.close()


def submit(bench: Bench, *codes: str) -> None:
    """Queue some code, at nobody's expense."""
    with bench.queue.database.write() as session:
        for code in codes:
            sha256 = bench.queue.artifacts.put(code.encode())
            row = SubmissionRow(study_id=bench.study, name="one", sha256=sha256)
            row.evaluations = [EvaluationRow(task="public")]
            session.add(row)


def taken(queue: Queue) -> Task:
    task = queue.claim()
    assert task is not None
    return task


def test_a_task_is_taken_once_and_ends_once(bench):
    task = taken(bench.queue)
    assert bench.opened().claim() is None
    assert bench.scored(task)
    assert not bench.scored(task), "its claim is spent"
    (row,) = bench.rows()
    assert (row.status, row.attempts, row.claim, row.lease_until) == (Status.SCORED, 1, None, None)
    assert len(bench.events("guard.answered")) == 1


def test_a_lease_that_is_over_is_taken_by_another(bench, clock):
    """As if the first server had died, or slept; what it brings in the end is refused."""
    lost = taken(bench.queue)
    other = bench.opened()
    assert other.claim() is None
    clock.jumped += PATIENCE.lease_seconds + 1
    found = taken(other)
    assert found.submission == lost.submission
    assert found.seeds == lost.seeds
    assert not bench.scored(lost)
    assert bench.scored(found)
    (row,) = bench.rows()
    assert row.attempts == 2
    (event,) = bench.events("evaluation.retried")
    assert "died" in event.payload
    assert "died" in row.retried[0]


def test_a_lease_that_is_renewed_holds(bench, clock):
    task = taken(bench.queue)
    other = bench.opened()
    for _ in range(5):
        clock.jumped += PATIENCE.lease_seconds / 2
        assert bench.queue.renew([task.claim]) == 1
        assert other.claim() is None
    assert bench.scored(task)
    assert bench.queue.renew([task.claim]) == 0


@pytest.mark.parametrize("jump", [5 * HOURS, -5 * HOURS])
def test_a_clock_that_jumps_takes_nothing_from_a_living_server(bench, clock, jump):
    task = taken(bench.queue)
    clock.jumped += jump
    assert bench.queue.claim([task.claim]) is None, "its own claims are known to stand"
    bench.queue.renew([task.claim])
    assert bench.opened().claim() is None, "renewed by the new time"
    assert bench.scored(task)


def test_a_clock_set_back_does_not_hold_tasks_up(bench, clock):
    """Neither what a dead server had, nor what waits for another try, waits for hours."""
    submit(bench, CODES[0])
    dead = taken(bench.queue)
    waiting = taken(bench.queue)
    bench.queue.retry(waiting, "the sandbox was away")
    clock.jumped -= 5 * HOURS
    other = bench.opened()
    assert {taken(other).submission, taken(other).submission} == {dead.submission, waiting.submission}


def test_a_fault_of_ours_is_tried_again_later_and_not_for_ever(bench, clock):
    waits = []
    for attempt in range(1, PATIENCE.attempts + 1):
        task = taken(bench.queue)
        assert bench.queue.retry(task, f"the sandbox was away \N{SNOWMAN}\n {'x' * 1000}")
        (row,) = bench.rows()
        assert row.attempts == attempt
        if row.status == Status.QUEUED:
            assert row.not_before is not None
            waits.append((row.not_before - _models.now()).total_seconds())
            assert bench.queue.claim() is None
            clock.jumped += waits[-1] + 1
    assert waits == pytest.approx([5, 10], abs=2)
    assert (row.status, row.ours, row.payer_id, row.claim) == (Status.FAILED, True, None, None)
    assert row.failure is not None
    assert row.failure["kind"] == "server-fault"
    assert len(row.retried) == 3
    events = bench.events("evaluation.retried")
    assert [f'"attempt":{n}' in event.payload for n, event in enumerate(events, 1)] == [True] * 3
    assert all(event.payload.isascii() and len(event.payload) < 500 for event in events)
    assert len(bench.events("evaluation.ended")) == 1
    assert bench.queue.claim() is None


def test_what_kills_its_server_again_and_again_has_failed(bench):
    for _ in range(PATIENCE.attempts):
        taken(bench.queue)
        with bench.queue.database.write() as session:  # the server is gone, and its lease is over
            session.scalars(select(EvaluationRow)).one().lease_until = _models.now()
    assert bench.queue.claim() is None
    (row,) = bench.rows()
    assert (row.status, row.ours) == (Status.FAILED, True)
    assert bench.queue.recover() == 1, "a study cannot do without its baseline"
    assert bench.rows()[0].attempts == 0
    assert len(bench.events("evaluation.recovered")) == 1, "what other servers keep of the study is read anew"
    assert bench.opened().recover() == 0
    assert bench.scored(taken(bench.queue))


def test_who_waits_for_several_does_not_have_the_failed_tried_for_ever(bench):
    """A wait asks again and again; what has failed by a fault of ours is tried again when nothing is pending."""
    assert bench.scored(taken(bench.queue))
    submit(bench, CODES[0])
    assert bench.scored(taken(bench.queue))
    ids = bench.queue.ask(bench.study, "private", [row.submission_id for row in bench.rows()])
    failing = taken(bench.queue)
    with bench.queue.database.write() as session:
        session.get_one(EvaluationRow, failing.evaluation).attempts = PATIENCE.attempts
    bench.queue.retry(failing, "the sandbox was away")
    assert bench.queue.ask(bench.study, "private", ids) == ids
    state = bench.queue.asked("private", ids)
    assert (state.interrupted, len(state.pending)) == ((failing.submission,), 1)
    assert bench.scored(taken(bench.queue))
    bench.queue.ask(bench.study, "private", ids)
    assert bench.queue.asked("private", ids).pending == (failing.submission,)


def test_a_stopped_server_gives_back_without_a_try_lost(bench):
    for _ in range(2 * PATIENCE.attempts):
        bench.queue.release([taken(bench.queue).claim])
    assert bench.scored(taken(bench.queue))
    assert bench.events("evaluation.retried") == []


@pytest.mark.sqlite
def test_a_restarted_server_on_a_file_does_not_wait_for_its_own_leases(bench):
    lost = taken(bench.queue)
    successor = bench.opened()
    assert successor.recover() == 1
    assert taken(successor).submission == lost.submission


def test_a_new_server_leaves_living_leases_of_others_alone(bench, request):
    if request.config.getoption("--database") == "sqlite":
        pytest.skip("a file has one server")
    task = taken(bench.queue)
    successor = bench.opened()
    assert successor.recover() == 0
    assert successor.claim() is None
    assert bench.scored(task)


def test_nothing_of_a_paused_study_is_taken(bench):
    with bench.queue.database.write() as session:
        session.get_one(StudyRow, bench.study).paused = True
    assert bench.queue.claim() is None
    with bench.queue.database.write() as session:
        session.get_one(StudyRow, bench.study).paused = False
    assert bench.queue.claim() is not None


def test_code_that_cannot_be_read_does_not_stop_the_queue(bench):
    submit(bench, CODES[0])
    sha256 = bench.rows()[0].submission.sha256
    path = next(Path(bench.queue.artifacts._root).glob(f"*/{sha256}"))
    path.unlink()
    assert bench.queue.claim() is None
    assert taken(bench.queue).code == CODES[0]
    (event,) = bench.events("evaluation.retried")
    assert "missing" in event.payload


def test_servers_that_share_a_queue_take_each_task_once(bench):
    """Six servers at once, twenty tasks: each is scored by one, the log holds, the guard answered each once."""
    codes = [f"# accuracy=0.7{n:02}\n" for n in range(20)]
    submit(bench, *codes)
    queues = [bench.opened() for _ in range(6)]
    done: list[int] = []
    public = PublicSplit(bench.double.groups("public"), bench.double.floor_correct("public"))

    def work(queue: Queue) -> None:
        while (task := queue.claim()) is not None or any(row.status == Status.QUEUED for row in bench.rows()):
            if task is None:
                continue
            result = bench.double.evaluate(task.code, task.what, task.seeds)
            if queue.record(task, result, public):
                done.append(task.submission)

    threads = [threading.Thread(target=work, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted({row.submission_id for row in bench.rows()})
    assert len(bench.double.calls) == 21, "none was evaluated twice"
    assert len(bench.events("guard.answered")) == 21
    assert all(row.attempts == 1 for row in bench.rows())
    assert _events.verify(Store(bench.queue.database, bench.queue.artifacts).events(bench.study)) is None
    with bench.queue.database.read() as session:
        state = session.get_one(StudyRow, bench.study).guard_state
    assert state is not None
    assert state["answers"] == 21, "what the guard remembers of each is there"


def test_budgets_hold_when_all_submit_at_once(bench):
    """Two servers, one researcher with two evaluations left, eight submissions at the same moment."""
    with bench.queue.database.write() as session:
        row = ResearcherRow(study_id=bench.study, name="ada", kind=Kind.SCRIPTED, direction="", evaluations=2)
        session.add(row)
        session.flush()
        ada = row.id
    stores = [Store(bench.opened().database, bench.queue.artifacts) for _ in range(2)]
    barrier = threading.Barrier(8)
    accepted: list[int] = []

    def ask(n: int) -> None:
        barrier.wait()
        with contextlib.suppress(ProblemError):
            accepted.append(stores[n % 2].submit(ada, SubmissionCreate(name="one", code=f"# accuracy=0.8{n}\n"))[0].id)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(accepted) == 2
    assert _events.verify(stores[0].events(bench.study)) is None
