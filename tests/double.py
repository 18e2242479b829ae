"""Stands in for the sandboxed evaluator: it obeys comments in the code instead of running it.

    # accuracy=0.7      right on that share of examples, by seed
    # sleep=2           takes that many seconds
    # fail=timeout      breaks its contract, on every split
    # fail-private=exception
    # raise=ValueError  makes the evaluator itself fail
    # flag=reading      is flagged by that audit
    # fall=1            does not replicate

Everything after that (PGR, intervals, diagnostics) is computed by aarlab.stats on a synthetic problem.

As a program, `double.py DATABASE ARTIFACTS` serves until killed and prints its address.
"""

import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from aarlab.audits import AuditFinding, Audits
from aarlab.evaluation import Evaluation, FailureKind, MethodError
from aarlab.sandbox import SandboxUnavailable
from aarlab.server import create_app, embedded
from aarlab.server._patience import Patience
from aarlab.stats import compare_accuracy, diagnose, estimate_pgr
from aarlab.testbeds import Anchors

TOKEN = "operator-token-for-tests"
AUDIT_SECONDS = 7.5
N, FLOOR, CEILING, STEP = 600, 0.6, 0.85, 0.02
VANILLA = "# accuracy=0.65\n"
ERRORS = {"ValueError": ValueError("odd"), "RuntimeError": RuntimeError("odd")}


class Double:
    """A deterministic evaluator in this process."""

    testbed_name = "synthetic"

    def __init__(self, *, hurry: bool = False) -> None:
        self.hurry = hurry
        self.broken = False
        self.gate = threading.Event()  # while it is not set, whatever is evaluated waits
        self.gate.set()
        self.calls: list[tuple[str, str, tuple[int, ...]]] = []
        self._lock = threading.Lock()
        self._groups = np.repeat(np.arange(N // 2, dtype=np.int32), 2)
        self._floor = {split: self._right(FLOOR, seed)[None] for seed, split in enumerate(("public", "private"))}
        self._ceiling = {
            split: np.stack([self._right(CEILING, 10 * seed + i) for i in range(1, 5)])
            for seed, split in enumerate(("public", "private"), 1)
        }

    @staticmethod
    def _right(share: float, seed: int) -> np.ndarray:
        return (np.random.default_rng(seed).random(N) < share).astype(np.float32)

    def vanilla_code(self) -> str:
        return VANILLA

    def groups(self, _split: str) -> np.ndarray:
        return self._groups

    def anchors(self, split: str) -> Anchors:
        nothing = np.zeros((1, N))
        floor = compare_accuracy(self._floor[split], nothing, self._groups)
        ceiling = compare_accuracy(self._ceiling[split], nothing, self._groups)
        return Anchors(
            floor.difference.estimate, floor.standard_error, ceiling.difference.estimate, ceiling.standard_error
        )

    def floor_correct(self, split: str) -> np.ndarray:
        return self._floor[split][0]

    def guard_step(self) -> float:
        return STEP

    def audit(self, code: str, claimed: Evaluation, seeds: Sequence[int]) -> Audits:
        asked = self._hear(code, "audit", seeds)
        assert claimed.correct.shape == claimed.predictions.shape
        flagged, fallen = asked.get("flag"), "fall" in asked
        findings = (
            AuditFinding(audit="reading", verdict="flagged" if flagged == "reading" else "passed", summary="Read."),
            AuditFinding(audit="replication", verdict="flagged" if fallen else "passed", summary="Again.", figure=0.5),
        )
        return Audits(findings, cpu_seconds=AUDIT_SECONDS)

    def _hear(self, code: str, what: str, seeds: Sequence[int]) -> dict[str, str]:
        """What the code asks for, once it has been waited for and what it breaks is broken."""
        with self._lock:
            self.calls.append((code, what, tuple(seeds)))
        assert self.gate.wait(60)
        if self.broken:
            raise SandboxUnavailable(("double",))
        asked = dict(re.findall(r"^# ([a-z-]+)=(\S+)", code, re.MULTILINE))
        if not self.hurry:
            time.sleep(float(asked.get("sleep", 0)))
        if "raise" in asked:
            raise ERRORS[asked["raise"]]
        if kind := asked.get("fail") or asked.get(f"fail-{what}"):
            raise MethodError(FailureKind(kind), f"It failed on {what}.\0 {'x' * 10_000}", "Do better.")
        return asked

    def evaluate(self, code: str, split: str, seeds: Sequence[int]) -> Evaluation:
        asked = self._hear(code, split, seeds)
        correct = np.stack([self._right(float(asked.get("accuracy", "0.7")), seed) for seed in seeds])
        predictions = np.random.default_rng(seeds[0]).random((len(seeds), 40))
        anchors = self.anchors(split)
        return Evaluation(
            testbed=self.testbed_name,
            student="double",
            split=split,
            part="id",
            seeds=tuple(seeds),
            accuracy=tuple(float(a) for a in correct.mean(axis=1)),
            floor=anchors.floor,
            floor_se=anchors.floor_se,
            ceiling=anchors.ceiling,
            ceiling_se=anchors.ceiling_se,
            estimate=estimate_pgr(
                correct,
                self._floor[split][0],
                self._ceiling[split],
                self._groups,
                np.random.default_rng(0),
                resamples=200,
            ),
            diagnostics=diagnose(predictions, None, predictions, predictions[0]),
            correct=correct,
            predictions=correct,
            wall_seconds=0.01,
            cpu_seconds=0.01,
            peak_memory_bytes=1,
            sandbox="double",
            isolated=True,
        )


def only(double: Double) -> Callable[[str, bytes], Double]:
    """The double as the evaluator of every study on its testbed."""
    return lambda testbed, _secret: {Double.testbed_name: double}[testbed]


if __name__ == "__main__":
    where, artifacts = sys.argv[1:]
    app = create_app(
        where if "://" in where else Path(where),
        only(Double()),
        TOKEN,
        artifacts=artifacts,
        patience=Patience(lease_seconds=2),
    )
    with embedded(app) as url:
        sys.stdout.write(url + "\n")
        sys.stdout.flush()
        threading.Event().wait()
