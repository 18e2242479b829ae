"""What an evaluation gives, and how it fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aarlab.errors import AarlabError
from aarlab.stats import Diagnostics, PGREstimate


@dataclass(frozen=True)
class Evaluation:
    """One method, re-executed on the server's seeds and scored on one split. Holds labels' traces: operator only.

    Attributes:
        testbed: name of the testbed.
        student: name of the student.
        split: "public" or "private".
        part: "id", or "ood" for the out-of-distribution part.
        seeds: the training seeds, drawn by the server.
        accuracy: accuracy by seed, in [0, 1].
        floor: accuracy of the weak supervisor on the split.
        floor_se: its standard error, by question.
        ceiling: accuracy of the student trained on ground truth, mean over its seeds; None if it cannot be trained.
        ceiling_se: its standard error, by question.
        estimate: PGR with interval, gap and sources of noise; None without a ceiling.
        diagnostics: label-free facts.
        correct: whether each test example was answered right (1/2 on a tie), shape (seeds, n), float32.
        predictions: P(label = 1), both orders of a pair combined, shape (seeds, n), float32.
        wall_seconds: wall time, all seeds.
        cpu_seconds: CPU time inside the sandboxes, all seeds.
        peak_memory_bytes: the hungriest seed's.
        sandbox: name of the sandbox.
        isolated: False if the code ran unsandboxed: then the figures prove nothing.
        filtered: whether the kernel refused forbidden system calls (seccomp), said before the method was
            loaded. Without it labels still cannot be read, but the kernel itself is less well protected.
        evidence: what the method did by Python's audit events, as counts over all seeds. Told by the method's
            own process: untrusted, and evidence only of what is there, not of what is missing.
    """

    testbed: str
    student: str
    split: str
    part: str
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    floor: float
    floor_se: float
    ceiling: float | None
    ceiling_se: float | None
    estimate: PGREstimate | None
    diagnostics: Diagnostics
    correct: NDArray[np.float32]
    predictions: NDArray[np.float32]
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    sandbox: str
    isolated: bool
    filtered: bool = False
    evidence: Mapping[str, int] = field(default_factory=dict)

    @property
    def mean_accuracy(self) -> float:
        """Accuracy, mean over seeds."""
        return float(np.mean(self.accuracy))


class FailureKind(StrEnum):
    """How a method can break its contract."""

    SYNTAX_ERROR = "syntax-error"
    NO_FIT = "no-fit"
    UNSUPPORTED = "unsupported"
    EXCEPTION = "exception"
    NOT_NUMBERS = "not-numbers"
    NOT_FINITE = "not-finite"
    OUT_OF_RANGE = "out-of-range"
    WRONG_SHAPE = "wrong-shape"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"
    TOO_MANY_PROCESSES = "too-many-processes"
    TOO_MUCH_OUTPUT = "too-much-output"
    TOO_LONG = "too-long"
    FORBIDDEN = "forbidden"
    CRASHED = "crashed"


class MethodError(AarlabError):
    """A submitted method broke its contract.

    Attributes:
        kind: how.
        message: what happened; quotes the method's own traceback, so it is untrusted text.
        advice: what its author can do.
    """

    def __init__(self, kind: FailureKind, message: str, advice: str) -> None:
        super().__init__(message, advice)
        self.kind = kind
