"""Evaluates what is queued, in threads of the server's process."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection

from aarlab.api.schemas import Failure
from aarlab.errors import AarlabError
from aarlab.evaluation import MethodError
from aarlab.sandbox import SandboxUnavailable
from aarlab.server._bell import Bell
from aarlab.server._feedback import PublicSplit
from aarlab.server._probing import probing, probing_audit
from aarlab.server._protocol import Evaluates, Evaluators
from aarlab.server._queue import Queue, Task
from aarlab.server._store import Store
from aarlab.server.artifacts import ArtifactError

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5
TROUBLE_SECONDS = 1.0
RENEWALS = 4  # of a lease, before it would be over
GRACE_SECONDS = 0.5  # for evaluations that are about to end when the server stops
MAX_MESSAGE = 4000

# The database or the artifacts cannot be used for now: a full disk, a lock held too long, a server gone.
TROUBLE = (OperationalError, InterfaceError, NoConnection, OSError)

# Whatever else hostile code might provoke in the evaluator: a fault there must stop one evaluation, not the
# study. Listed rather than `Exception`, so that what ends a thread or a process still does.
UNFORESEEN = (
    AarlabError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)

UNKNOWN = Failure(
    kind="unforeseen",
    message="Scoring it failed in a way that was not foreseen; the server's log says more.",
    advice="Look for something unusual in what it returns, and tell the operator.",
)


class Worker:
    """Threads that evaluate until told to stop."""

    def __init__(self, queue: Queue, store: Store, evaluators: Evaluators, bell: Bell, threads: int) -> None:
        """Prepare; `start` begins.

        Args:
            queue: what to do.
            store: what audits of a whole study read.
            evaluators: who does it.
            bell: rung when an evaluation has ended.
            threads: how many evaluations at a time.
        """
        self._queue, self._store, self._evaluators, self._bell = queue, store, evaluators, bell
        self._stop = threading.Event()
        self._work = threading.Event()
        self._database = threading.Lock()  # guards the two below, and keeps the abandoned out of a closed database
        self._held: dict[threading.Thread, Task] = {}
        self._left = False
        # Daemons, because an evaluation that is abandoned must not keep the process alive.
        self._threads = [threading.Thread(target=self._loop, name=f"evaluate-{i}", daemon=True) for i in range(threads)]
        self._heart = threading.Thread(target=self._beat, name="leases", daemon=True)

    def start(self) -> None:
        """Queue again what a dead server left running, and begin."""
        if recovered := self._queue.recover():
            log.info("%d evaluations were interrupted and are queued again", recovered)
        for thread in (*self._threads, self._heart):
            thread.start()

    def wake(self) -> None:
        """Tell that something was queued."""
        self._work.set()

    def stop(self) -> None:
        """Stop soon. Evaluations that are not about to end are abandoned and queued again."""
        self._stop.set()
        self._work.set()
        end = time.monotonic() + GRACE_SECONDS
        for thread in (*self._threads, self._heart):
            if thread.is_alive():  # it may never have started
                thread.join(max(0.0, end - time.monotonic()))
        with self._database:
            self._left = True
            try:
                self._queue.release(self._claims())
            except SQLAlchemyError:  # the next server finds them
                log.exception("what was left half done could not be queued again")

    def _claims(self) -> list[str]:
        return [task.claim for task in self._held.values()]

    def _beat(self) -> None:
        """Renew the leases of what is held; by a clock that does not jump."""
        while not self._stop.wait(self._queue.patience.lease_seconds / RENEWALS):
            with self._database:
                if self._left or not (held := self._claims()):
                    continue
                try:
                    self._queue.renew(held)
                except SQLAlchemyError:
                    log.exception("leases could not be renewed")

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._work.clear()
            try:
                task = self._take()
                if task is None:
                    self._work.wait(IDLE_SECONDS)
                else:
                    self._do(task)
            except (SQLAlchemyError, OSError, ArtifactError):  # what is queued stays queued
                log.exception("database or artifacts cannot be used; trying again")
                self._stop.wait(TROUBLE_SECONDS)
            except UNFORESEEN:  # a fault of ours; `_take` tries the task again, but not for ever
                log.exception("an evaluation could not be begun or recorded")
                self._stop.wait(TROUBLE_SECONDS)

    def _take(self) -> Task | None:
        me = threading.current_thread()
        with self._database:
            if self._left:
                return None
            if unsettled := self._held.get(me):
                self._queue.retry(unsettled, "its result could not be kept; the server's log says why")
                del self._held[me]
            task = self._queue.claim(self._claims())
            if task is not None:
                self._held[me] = task
            return task

    def _do(self, task: Task) -> None:
        """Evaluate and record what came of it."""
        try:
            evaluator = self._evaluators(task.testbed, task.secret)
        except (KeyError, AarlabError) as error:
            log.exception("the testbed %s cannot be had", task.testbed)
            self._settle(partial(self._queue.retry, task, f"the testbed {task.testbed} cannot be had: {error}"))
            return
        try:
            record = self._run(task, evaluator)
        except MethodError as error:
            self._settle(partial(self._queue.record_failure, task, _told(error)))
        except (SandboxUnavailable, OSError) as error:
            if self._stop.is_set():  # what it needs is being taken away; `stop` queues it again
                return
            log.exception("submission %d could not be run: %s", task.submission, task.what)
            self._settle(partial(self._queue.retry, task, f"it could not be run: {error}"))
        except UNFORESEEN:
            if self._stop.is_set():
                return
            log.exception("submission %d: %s failed", task.submission, task.what)
            self._settle(partial(self._queue.record_failure, task, UNKNOWN))
        else:
            self._settle(record)

    def _run(self, task: Task, evaluator: Evaluates) -> Callable[[], bool]:
        """Do a task; gives what will record its result."""
        if task.what == "audit":
            assert task.claimed is not None
            found = evaluator.audit(task.code, task.claimed, task.seeds)
            sequence = probing_audit(probing(self._store, task.study), task.author)
            return lambda: self._queue.record_audit(task, [*found.findings, sequence], found.cpu_seconds)
        result = evaluator.evaluate(task.code, task.what, task.seeds)
        public = PublicSplit(evaluator.groups("public"), evaluator.floor_correct("public"))
        return lambda: self._queue.record(task, result, public)

    def _settle(self, record: Callable[[], bool]) -> None:
        """Record what came of this thread's task; wait while that cannot be done, for it may have taken hours."""
        while True:
            with self._database:
                if self._left:
                    return
                try:
                    record()
                except TROUBLE:
                    log.exception("a result cannot be recorded for now; trying again")
                else:
                    del self._held[threading.current_thread()]
                    break
            if self._stop.wait(TROUBLE_SECONDS):  # `stop` queues it again
                return
        self._bell.ring()


def _told(error: MethodError) -> Failure:
    """A failure as its author learns it; the message is the method's own text, so it is cut and made valid."""
    message = error.message[:MAX_MESSAGE].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return Failure(kind=error.kind, message=message.encode(errors="replace").decode(), advice=error.advice)
