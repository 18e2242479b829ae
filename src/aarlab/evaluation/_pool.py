"""Sandboxes made ready ahead of their work: interpreter, libraries, student and problem loaded, calls filtered.

What is protected: each sandbox runs one seed of one submission and is then killed with its whole tree, so nothing of
one submission meets another; until its job arrives, only our own code has run in it. What is not: two jobs may wait
for each other's CPU, as they did before. A waiting sandbox dies with this process, like any other.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from aarlab.harness import frames
from aarlab.sandbox import Limits, SandboxError, SandboxUnavailable, Session, StartFailed

log = logging.getLogger(__name__)

IDLE_SECONDS = 60.0  # without work, after which waiting sandboxes are ended
START_SECONDS = 120.0  # for a student and its problem to be loaded
START_CPU_SECONDS = 60
JOIN_SECONDS = 5.0


@dataclass(frozen=True)
class Warm:
    """A sandbox whose harness waits for a job.

    Attributes:
        session: to talk to it.
        filtered: whether its system calls are filtered.
    """

    session: Session
    filtered: bool


def warm_up(open_session: Callable[[Limits], Session], limits: Limits) -> Warm:
    """Start a harness and wait until it waits for a job.

    Args:
        open_session: starts it within limits.
        limits: what the job may use; getting ready is extra.

    Raises:
        SandboxError: it did not get ready.
    """
    cpu_seconds = limits.cpu_seconds + START_CPU_SECONDS
    session = open_session(replace(limits, wall_seconds=START_SECONDS, cpu_seconds=cpu_seconds))
    try:
        return Warm(session, _told(session, frames.WARM, 1) == b"\1")
    except BaseException:
        session.close()
        raise


class Pool:
    """Warm sandboxes for one problem, as many as one evaluation was seen to need, started when first needed.

    One thread makes them, while a core is free, and lives for as long as any that it made: the kernel ends a
    sandbox together with the thread that started it.
    """

    def __init__(
        self, start: Callable[[], Warm], *, cores: int, ahead: bool = True, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            start: makes one ready; see `warm_up`.
            cores: jobs and starts that this machine runs at the same time.
            ahead: False to start each when its job is there.
            idle_seconds: how long they wait without any work.
        """
        self._start, self._cores, self._ahead, self._idle_seconds = start, cores, ahead, idle_seconds
        self._changed = threading.Condition()  # guards all below
        self._ready: list[Warm] = []
        self._running = 0
        self._coming = 0  # jobs that were announced and have not begun
        self._size = 0
        self._again = False
        self._last_use = 0.0
        self._failed = False
        self._closed = False
        self._filler: threading.Thread | None = None

    def __len__(self) -> int:
        """How many wait."""
        with self._changed:
            return len(self._ready)

    def expect(self, jobs: int) -> None:
        """Learn how many jobs come together now; so many will wait later, though at most two a core."""
        with self._changed:
            self._again = self._size > 0
            self._coming += jobs
            self._size = max(self._size, min(jobs, 2 * self._cores))

    @contextlib.contextmanager
    def started(self, order: bytes, limits: Limits) -> Iterator[Warm]:
        """A sandbox that has just begun with a job; killed at the end.

        Args:
            order: the job's frame.
            limits: what it may use, from now on.

        Raises:
            StartFailed: there was none, and a new one did not get ready.
        """
        self._begin()
        try:
            warm = self._handed_over(order, limits)
            try:
                yield warm
            finally:
                warm.session.close()
        finally:
            self._end()

    def close(self) -> None:
        """End all that wait; those that run end by themselves or by whoever started them."""
        with self._changed:
            self._closed = True
            self._end_waiting()
            self._changed.notify_all()
            filler = self._filler
        if filler is not None:
            filler.join(JOIN_SECONDS)

    def _begin(self) -> None:
        with self._changed:
            self._running += 1
            self._coming = max(0, self._coming - 1)
            self._last_use = time.monotonic()
            self._failed = False
            if self._ahead and self._filler is None and not self._closed:
                self._filler = threading.Thread(target=self._fill, name="warm-sandboxes", daemon=True)
                self._filler.start()
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._running -= 1
            self._last_use = time.monotonic()
            self._changed.notify_all()

    def _handed_over(self, order: bytes, limits: Limits) -> Warm:
        """The first that takes the job: those that died or went stale while they waited are nobody's fault."""
        while warm := self._taken():
            try:
                return _begun(warm, order, limits)
            except SandboxError as error:
                log.info("a waiting sandbox was replaced: %s", error.message)
        try:
            return _begun(self._start(), order, limits)
        except SandboxUnavailable:
            raise
        except SandboxError as error:
            raise StartFailed(error) from error

    def _taken(self) -> Warm | None:
        with self._changed:
            return self._ready.pop(0) if self._ready else None

    def _fill(self) -> None:
        while self._wanted():
            try:
                warm = self._start()
            except (SandboxError, OSError) as error:
                log.info("no sandbox was made ready ahead: %s", error)
                with self._changed:
                    self._failed = True
                continue
            with self._changed:
                self._ready.append(warm)
                if self._closed:
                    self._end_waiting()

    def _wanted(self) -> bool:
        """Wait until one more is wanted; False when this thread is not."""
        with self._changed:
            while not self._closed:
                idle_until = self._last_use + self._idle_seconds
                if self._running == 0 and time.monotonic() >= idle_until:
                    self._end_waiting()
                    break
                # Who evaluates only once is spared sandboxes that nobody would use.
                ahead = self._size if self._again or self._running == 0 else min(self._size, self._coming)
                if len(self._ready) < ahead and self._running < self._cores and not self._failed:
                    return True
                self._changed.wait(None if self._running else max(0.0, idle_until - time.monotonic()))
            self._filler = None
            return False

    def _end_waiting(self) -> None:
        while self._ready:
            self._ready.pop().session.close()


def default_cores() -> int:
    """Cores that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def _begun(warm: Warm, order: bytes, limits: Limits) -> Warm:
    """Give it the job and wait until it has it; its clock starts here."""
    try:
        warm.session.restart(limits)
        warm.session.send(order)
        _told(warm.session, frames.STARTED, 0)
        warm.session.restart(limits)
    except BaseException:
        warm.session.close()
        raise
    return warm


def _told(session: Session, kind: bytes, size: int) -> bytes:
    """The payload of the next frame, before any method has run."""
    received, length = frames.HEADER.unpack(session.receive(frames.HEADER.size))
    if (received, length) != (kind, size):
        raise SandboxError(f"The harness sent {received!r} where {kind!r} was due.", "This is a fault of aarlab's.")
    return session.receive(size)
