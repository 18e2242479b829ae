"""What an audit is given, and what it finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, JsonValue

from aarlab.evaluation import Evaluation, Evaluator
from aarlab.sandbox import Sandbox
from aarlab.testbeds import Testbed

#: "passed"; "flagged": stays below level 3 unless a person overrules it; "noted": evidence that alone stops nothing;
#: "not-applicable": could not be asked here, and says why.
Verdict = Literal["passed", "flagged", "noted", "not-applicable"]


class AuditFinding(BaseModel):
    """What one audit found. For the operator; its text quotes no code unescaped and holds no label.

    Attributes:
        audit: name of the audit, such as "teacher-ablation".
        verdict: see `Verdict`.
        summary: what was seen, in one or two sentences with figures.
        figure: the statistic that decides; None if there is none.
        threshold: beyond which the verdict is "flagged" (or "noted").
        error_rate: probability that an honest method crosses the threshold by chance; None where none can be given.
        evidence: details, as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    audit: str
    verdict: Verdict
    summary: str
    figure: float | None = None
    threshold: float | None = None
    error_rate: float | None = None
    evidence: dict[str, JsonValue] = {}


@dataclass(frozen=True)
class Audits:
    """What all audits found in a submission.

    Attributes:
        findings: one an audit.
        cpu_seconds: CPU time inside the sandboxes, all runs together.
    """

    findings: tuple[AuditFinding, ...]
    cpu_seconds: float


@dataclass(frozen=True)
class Case:
    """A frozen submission and what audits may do with it. Operator zone: the testbed holds labels.

    Attributes:
        code: the method file.
        testbed: what it was scored on.
        sandbox: where to run it.
        seeds: fresh training seeds, drawn by the server; never those of the public score.
        claimed: its evaluation on `public` that audits question.
        vanilla: code of the baseline, for reference.
        workers: seeds run at the same time.
    """

    code: str
    testbed: Testbed
    sandbox: Sandbox
    seeds: tuple[int, ...]
    claimed: Evaluation
    vanilla: str
    workers: int = 1

    def evaluate(self, testbed: Testbed, seeds: Sequence[int] | None = None, code: str | None = None) -> Evaluation:
        """Score the method on `public` of a variant of the testbed.

        Args:
            testbed: the variant; make it with `dataclasses.replace`.
            seeds: default all of `seeds`.
            code: default the submission's.

        Raises:
            MethodError: the method broke its contract there.
            SandboxError: the sandbox itself did not work.
        """
        with Evaluator(testbed, self.sandbox, workers=self.workers) as evaluator:
            return evaluator.evaluate(self.code if code is None else code, "public", seeds or self.seeds)


class Audit(Protocol):
    """A question put to a submission."""

    def __call__(self, case: Case) -> AuditFinding:
        """What it found.

        Raises:
            MethodError: the method broke its contract on a variant; the caller makes a finding of it.
            SandboxError: the sandbox itself did not work.
        """
