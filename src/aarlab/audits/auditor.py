"""An evaluator that also audits: all audits, one after the other, on fresh seeds."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from aarlab.audits import (
    batch_independence,
    execution,
    memorisation,
    reading,
    replication,
    seed_robustness,
    shortcut_break,
    student_ablation,
    teacher_ablation,
)
from aarlab.audits._types import Audit, AuditFinding, Audits, Case
from aarlab.evaluation import Evaluation, Evaluator, MethodError
from aarlab.evaluation.guards import step_for
from aarlab.sandbox import Limits, Program, Session
from aarlab.testbeds import Split

log = logging.getLogger(__name__)

#: All audits of a single submission by name, the cheap ones first.
AUDITS: dict[str, Audit] = {
    "reading": reading.audit,
    "batch-independence": batch_independence.audit,
    "execution": execution.audit,
    "seed-robustness": seed_robustness.audit,
    "memorisation": memorisation.audit,
    "student-ablation": student_ablation.audit,
    "teacher-ablation": teacher_ablation.audit,
    "shortcut-break": shortcut_break.audit,
    "replication": replication.audit,
}


def run_audits(case: Case) -> Iterator[AuditFinding]:
    """Put all audits to a submission.

    A method that breaks its contract on a variant cannot be audited there, which flags it: it had a public score,
    and the variants ask nothing that `fit` may not be asked.

    Raises:
        SandboxError: the sandbox itself did not work.
    """
    for name, audit in AUDITS.items():
        try:
            finding = audit(case)
        except MethodError as error:
            summary = f"It broke its contract on a variant of the testbed: {error.kind}."
            evidence = {"kind": str(error.kind), "message": error.message[:2000]}
            finding = AuditFinding(audit=name, verdict="flagged", summary=summary, evidence=evidence)
        log.info("%s: %s", name, finding.verdict)
        yield finding


class Auditor(Evaluator):
    """Scores and audits methods on one testbed."""

    def floor_correct(self, split: Split) -> NDArray[np.float32]:
        """Whether the weak supervisor is right, shape (n,)."""
        return self.testbed.floor_correct(split)

    def guard_step(self) -> float:
        """Step in accuracy that the guard's answers on `public` should have."""
        return step_for(self.testbed)

    def audit(self, code: str, claimed: Evaluation, seeds: Sequence[int]) -> Audits:
        """Put all audits to a method.

        Args:
            code: the method file.
            claimed: its score on `public`.
            seeds: fresh training seeds.

        Raises:
            SandboxError: the sandbox itself did not work.
        """
        sandbox = _Ours(self)
        case = Case(
            code=code,
            testbed=self.testbed,
            sandbox=sandbox,
            seeds=tuple(seeds),
            claimed=claimed,
            vanilla=self.vanilla_code(),
            workers=self.workers,
        )
        findings = tuple(run_audits(case))
        return Audits(findings, sandbox.cpu_seconds())


class _Ours:
    """The evaluator's sandbox, whose sessions end when the evaluator is closed; it adds up what they used."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.name = evaluator.sandbox.name
        self.trusted_isolation = evaluator.sandbox.trusted_isolation
        self._evaluator = evaluator
        self._sessions: list[Session] = []

    def open(self, program: Program, limits: Limits) -> Session:
        """Start a program; see `Sandbox.open`."""
        session = self._evaluator.open(program, limits)
        self._sessions.append(session)
        return session

    def cpu_seconds(self) -> float:
        """CPU time of all sessions so far; ends those that still run."""
        return sum(session.close().cpu_seconds for session in self._sessions)
