"""What a check of a testbed comes to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from aarlab.testbeds.pack import Part
from aarlab.testbeds.summary import Summary
from aarlab.testbeds.testbed import Split

Verdict = Literal["pass", "warn", "fail"]
Figure = float | int | str | None

FETCH = "aarlab testbed fetch {name} brings the text; then check again."


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        verdict: "pass"; "warn" if users should know it; "fail" if the testbed must not be used like this.
        finding: what was found, in one sentence.
        advice: what to do about it; empty if nothing.
        figures: the numbers behind the finding, by name.
    """

    name: str
    verdict: Verdict
    finding: str
    advice: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """What a rule scores on one part of one split.

    Attributes:
        split: public or private.
        part: "id" or "ood".
        accuracy: its accuracy.
        standard_error: by question.
        recovered: its PGR, as if it were a method; None where the gap is unresolved.
    """

    split: Split
    part: Part
    accuracy: float
    standard_error: float
    recovered: float | None


@dataclass(frozen=True)
class Rule:
    """A way to answer that uses neither teacher nor student as it should: a trivial baseline, or a shortcut.

    Attributes:
        name: such as "length".
        kind: "baseline", "shortcut".
        how: how it answers.
        scores: by part; empty if it was not measured.
        missing: why it was not measured; empty if it was.
        declared: of kind "shortcut": whether the manifest tells of it.
    """

    name: str
    kind: Literal["baseline", "shortcut"]
    how: str
    scores: tuple[Score, ...] = ()
    missing: str = ""
    declared: bool = False

    @property
    def best(self) -> float | None:
        """The largest PGR that it recovers on any part; None where no gap is resolved."""
        return max((score.recovered for score in self.scores if score.recovered is not None), default=None)


@dataclass(frozen=True)
class Report:
    """All that was found about a testbed.

    Attributes:
        testbed: its name.
        student: with which student.
        summary: floor, ceiling and gap by part; None if the pack cannot be read.
        rules: trivial baselines and shortcuts, measured.
        checks: each thing that was looked at.
    """

    testbed: str
    student: str
    summary: Summary | None
    rules: tuple[Rule, ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks."""
        order: tuple[Verdict, ...] = ("fail", "warn", "pass")
        return next(v for v in order if v == "pass" or any(check.verdict == v for check in self.checks))

    def document(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {"testbed": self.testbed, "verdict": self.verdict, **asdict(self)}
