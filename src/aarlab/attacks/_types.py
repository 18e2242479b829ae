"""What an attack is, and what came of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from aarlab.attacks.live import Arena

#: "queries": learn labels from answers; "gaming": score without doing the work; "hostile": break out of the sandbox;
#: "api": misuse the server; "honest": no attack, but a method that the same audits should let pass.
Family = Literal["queries", "gaming", "hostile", "api", "honest"]


class Recovered(BaseModel):
    """Labels that an attacker has right at the end, against those it had right to begin with.

    Attributes:
        gained: right at the end minus right at the beginning.
        out_of: rows.
        low: lower end of what chance gives in 95% of cases.
        high: upper end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gained: int
    out_of: int
    low: int
    high: int

    @property
    def within_chance(self) -> bool:
        """Whether chance explains it."""
        return self.gained <= self.high


class Outcome(BaseModel):
    """What came of one attack against one server. For the operator; its text holds no label.

    Attributes:
        through: whether the attack got what it wanted.
        gained: what it gained, in words with figures.
        blocked_by: what blocked or flagged it, as measured; empty if nothing did. What was learned stays learned,
            flagged or not; a method that is flagged does not rise above level 2.
        recovered: labels, of attacks that are after them.
        public: accuracy on `public`, of attacks that score; exact.
        private: accuracy on `private` of the same.
        inflation: public minus private accuracy, beyond what the vanilla baseline differs.
        inflation_se: its standard error, by question.
        evidence: details, as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    through: bool
    gained: str
    blocked_by: str
    recovered: Recovered | None = None
    public: float | None = None
    private: float | None = None
    inflation: float | None = None
    inflation_se: float | None = None
    evidence: dict[str, JsonValue] = {}


@dataclass(frozen=True)
class Attack:
    """One way to the score, or to the labels, that goes past the work.

    Attributes:
        name: such as "single-flips".
        family: see `Family`.
        what: what it does, in one line.
        run: does it in an arena; given the guard to attack, None being the server's default.
        contrast: whether the guard matters, so that it is worth running against `exact` too.
    """

    name: str
    family: Family
    what: str
    run: "Callable[[Arena, str | None], Outcome]"
    contrast: bool = False
