"""Run one method with one seed in a sandbox of its own, and check everything that comes back."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import aarlab
from aarlab.evaluation._pool import Pool
from aarlab.evaluation._result import FailureKind, MethodError
from aarlab.harness import frames
from aarlab.harness._record import KIND, MAX_KINDS
from aarlab.harness.job import METHOD, PROBLEM, pack_batch
from aarlab.sandbox import (
    CpuTimeExceeded,
    ForbiddenCall,
    Limits,
    MemoryExceeded,
    OutputExceeded,
    ProcessesExceeded,
    SandboxCrashed,
    Session,
    Usage,
    WallTimeExceeded,
)
from aarlab.students import Examples

ADVICE = {
    FailureKind.SYNTAX_ERROR: "Mend the line it names; `python -m py_compile method.py` shows the same error.",
    FailureKind.NO_FIT: "Define `def fit(problem: Problem, seed: int) -> Predictor` at the top level.",
    FailureKind.UNSUPPORTED: "Ask `problem.student.capabilities` first, or run it with a student that can.",
    FailureKind.EXCEPTION: "Read the traceback; try the method locally with `aarlab evaluate FILE`.",
    FailureKind.NOT_NUMBERS: "Return a numpy array of float, one P(label = 1) an example.",
    FailureKind.NOT_FINITE: "Return finite numbers: look for a division by zero or log(0), or clip.",
    FailureKind.OUT_OF_RANGE: "Return probabilities in [0, 1]: apply scipy.special.expit to logits.",
    FailureKind.WRONG_SHAPE: "fit must return a function that maps n examples to an array of shape (n,).",
    FailureKind.TIMEOUT: "Make it faster: fewer rounds, smaller ensembles, fewer representations.",
    FailureKind.OUT_OF_MEMORY: "Hold less in memory: float32, batches, fewer copies of the features.",
    FailureKind.TOO_MANY_PROCESSES: "Start no processes or threads: one seed has one core.",
    FailureKind.TOO_MUCH_OUTPUT: "Print less, and return exactly one number an example.",
    FailureKind.TOO_LONG: "Shorten the file; tables of numbers do not belong in a method.",
    FailureKind.FORBIDDEN: "Do without programs, sockets, tracing, mounts and namespaces: nothing of that works here.",
    FailureKind.CRASHED: "The process died: look for native code, os._exit or a signal.",
}

FORBIDDEN = (
    "The kernel ended it for a forbidden system call: it may have tried to start a program, open a network connection, "
    "trace or read another process, mount something, or change namespaces."
)


@dataclass(frozen=True)
class Job:
    """One method and one seed.

    Attributes:
        source: the method file, as UTF-8.
        seed: its training seed.
        limits: what it may use.
    """

    source: bytes
    seed: int
    limits: Limits

    def order(self) -> bytes:
        """The frame that tells a waiting harness.

        Raises:
            MethodError: the method is longer than the harness takes.
        """
        if len(self.source) > frames.MAX_METHOD_BYTES:
            raise fail(FailureKind.TOO_LONG, f"It has {len(self.source)} bytes; {frames.MAX_METHOD_BYTES} are allowed.")
        numbers = frames.ORDER.pack(self.seed, math.ceil(self.limits.cpu_seconds))
        return frames.frame(frames.JOB, numbers + self.source)


@dataclass(frozen=True)
class Answers:
    """What came of one seed.

    Attributes:
        predictions: P(label = 1) by batch, each of shape (n,), finite and in [0, 1].
        usage: what it cost.
        evidence: how often the method did what, told by itself.
        filtered: whether its system calls were filtered.
    """

    predictions: list[NDArray[np.float64]]
    usage: Usage
    evidence: dict[str, int]
    filtered: bool


def fail(kind: FailureKind, message: str) -> MethodError:
    """A named error with what to do about it."""
    return MethodError(kind, message, ADVICE[kind])


def run_seed(pool: Pool, job: Job, batches: Sequence[Examples]) -> Answers:
    """Fit once and predict batch by batch; a batch is sent only after the one before was answered.

    Raises:
        MethodError: the method broke its contract or a limit.
        SandboxError: the sandbox itself did not work.
    """
    try:
        with pool.started(job.order(), job.limits) as warm:
            session = warm.session
            _expect(session, frames.READY, 0)
            predictions = []
            for batch in batches:
                session.send(frames.frame(frames.BATCH, pack_batch(batch)))
                payload = _expect(session, frames.PREDICTIONS, 8 * len(batch))
                predictions.append(_checked(np.frombuffer(payload, dtype=np.float64)))
            session.send(frames.frame(frames.DONE))
            evidence = _evidence(_expect(session, frames.RECORD))
            return Answers(predictions, session.close(), evidence, warm.filtered)
    except WallTimeExceeded as error:
        raise fail(FailureKind.TIMEOUT, f"It ran longer than {error.limit:g} s.") from None
    except CpuTimeExceeded as error:
        raise fail(FailureKind.TIMEOUT, f"It used more than {error.limit:g} s of CPU.") from None
    except MemoryExceeded as error:
        raise fail(FailureKind.OUT_OF_MEMORY, f"It used more than {error.limit / 2**30:.1f} GiB.") from None
    except ProcessesExceeded as error:
        raise fail(FailureKind.TOO_MANY_PROCESSES, f"It had more than {error.limit} processes.") from None
    except OutputExceeded as error:
        raise fail(FailureKind.TOO_MUCH_OUTPUT, f"It wrote more than {error.limit} bytes.") from None
    except ForbiddenCall as error:
        raise fail(FailureKind.FORBIDDEN, f"{FORBIDDEN}\n{error.stderr[-2000:]}".strip()) from None
    except SandboxCrashed as error:
        raise fail(
            FailureKind.CRASHED,
            f"It ended with status {error.exit_status}.\n{error.stderr[-2000:]}".strip(),
        ) from None


def _expect(session: Session, kind: bytes, size: int | None = None) -> bytes:
    """The payload of the next frame, which must be of this kind and size (a record: not too long), or a failure."""
    received, length = frames.HEADER.unpack(session.receive(frames.HEADER.size))
    if received == frames.FAILURE and length <= frames.MAX_FAILURE_BYTES:
        failure = _failure(session.receive(length))
        raise session.breach() or failure  # a limit explains an exception that it caused
    fits = length <= frames.MAX_RECORD_BYTES if size is None else length == size
    if received != kind or not fits:
        raise fail(FailureKind.CRASHED, f"It sent a frame {received!r} of {length} bytes where {kind!r} was due.")
    return session.receive(length)


def _failure(payload: bytes) -> MethodError:
    """The failure that the harness reports; its text is the method's, hence untrusted."""
    try:
        report = json.loads(payload)
        return fail(FailureKind(report["kind"]), str(report["message"]))
    except (ValueError, KeyError, TypeError):
        return fail(FailureKind.CRASHED, "It sent a failure that cannot be read.")


def _evidence(payload: bytes) -> dict[str, int]:
    """The record that the method's own process sends: a small table of counts, or it is refused."""
    try:
        record = json.loads(payload)
        counts = {str(kind): int(count) for kind, count in record.items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        counts = {"": -1}
    if len(counts) > MAX_KINDS + 1 or not all(KIND.fullmatch(k) and 0 <= n < 2**53 for k, n in counts.items()):
        raise fail(FailureKind.CRASHED, "It sent a record that cannot be read.")
    return counts


def _checked(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(predictions).all():
        bad = int((~np.isfinite(predictions)).sum())
        raise fail(FailureKind.NOT_FINITE, f"{bad} of {len(predictions)} predictions are NaN or infinite.")
    if predictions.min() < 0 or predictions.max() > 1:
        raise fail(
            FailureKind.OUT_OF_RANGE,
            f"Predictions run from {predictions.min():.3g} to {predictions.max():.3g}, not within [0, 1].",
        )
    return predictions


def runtime_files() -> dict[str, Path]:
    """The only parts of aarlab that the sandbox sees: no testbed, no label, no server."""
    package = Path(aarlab.__file__).parent
    names = ("__init__.py", "errors.py", "harness", "students", "methods", "sandbox/_seccomp.py")
    return {f"/runtime/aarlab/{name}": package / name for name in names}


def job_mounts(problem: Path, method: Path | None) -> dict[str, Path]:
    """Where the sandbox finds its problem, and a method if it is not sent through the pipe."""
    return {f"/job/{PROBLEM}": problem, **({} if method is None else {f"/job/{METHOD}": method})}
