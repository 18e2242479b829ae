"""What travels between server and client. The HTTP API speaks these and nothing else."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from aarlab.api.text import Id, Line, Name, Tag, addressable, no_nul, paragraphs, printable
from aarlab.audits import AuditFinding, Verdict
from aarlab.evaluation.guards import DEFAULT as DEFAULT_GUARD
from aarlab.evaluation.guards import GUARDS
from aarlab.stats import Diagnostics, Interval

#: Name of the baseline that the server itself submits to every study.
BASELINE = "baseline"

#: Where all paths begin.
PREFIX = "/api/v1"

#: How many entries a listing gives at most; ask for the rest with `after`.
PAGE = 200

MAX_CODE_CHARACTERS = 100_000
MAX_BODY_CHARACTERS = 20_000

#: Audits that make up level 2; all others make up level 3.
REPLICATION = "replication"


def _known_guard(name: str) -> str:
    if name not in GUARDS:
        raise ValueError(f"there is no guard {name!r}; there are {', '.join(GUARDS)}")
    return name


class Schema(BaseModel):
    """Base: immutable, and unknown fields are refused rather than dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Level(IntEnum):
    """The evidence ladder. Computed by the server, never reported by a researcher."""

    CLAIMED = 0
    SCORED = 1
    REPLICATED = 2
    AUDITED = 3
    CONFIRMED = 4
    TRANSFERRED = 5


class Kind(StrEnum):
    """What a researcher is."""

    SCRIPTED = "scripted"
    LLM = "llm"
    EXTERNAL = "external"
    HUMAN = "human"


class Status(StrEnum):
    """Where a submission stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SCORED = "scored"
    FAILED = "failed"


class FindingKind(StrEnum):
    """What a post on the forum is."""

    RESULT = "result"
    HYPOTHESIS = "hypothesis"
    INSIGHT = "insight"
    ERROR = "error"


class Anchor(Schema):
    """Floor or ceiling accuracy on one split; `se` is by question."""

    accuracy: float
    se: float


Dollars = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class TeamCreate(Schema):
    """A team of scripted researchers to start with a study, on a server that can."""

    researchers: Annotated[int, Field(ge=1, le=200)] = 9
    confirm: Annotated[int, Field(ge=1, le=100)] = 5
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0


class StudyCreate(Schema):
    """A study to start."""

    testbed: Name
    seeds: Annotated[int, Field(ge=3, le=64)] = 3
    evaluations_per_researcher: Annotated[int, Field(ge=1, le=10_000)] = 12
    evaluations_per_study: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="of all researchers together; None leaves it to their own budgets"
    )
    guard: Annotated[str, AfterValidator(_known_guard)] = Field(
        default=DEFAULT_GUARD, description="the leakage guard; `exact` is for demonstrations and marks the study"
    )
    dollars_per_researcher: Dollars | None = Field(default=None, description="budget of money; None is no limit")
    dollars_per_study: Dollars | None = Field(default=None, description="of all together; None is no limit")
    cpu_dollars: Dollars = Field(default=0.05, description="price of a CPU-hour, for the ledger")
    gpu_dollars: Dollars = Field(default=3.0, description="price of a GPU-hour, for the ledger")
    team: TeamCreate | None = Field(default=None, description="researchers to start with it; None waits for others")


class StudyChange(Schema):
    """What to change about a running study; what is left out stays, and null lifts a limit.

    Budgets cannot fall below what is spent; neither `paused` nor `evaluations_per_researcher` can be null.
    """

    paused: bool | None = None
    evaluations_per_researcher: Annotated[int, Field(ge=1, le=10_000)] | None = None
    evaluations_per_study: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    dollars_per_researcher: Dollars | None = None
    dollars_per_study: Dollars | None = None


class ResearcherChange(Schema):
    """Budgets of one researcher to change; what is left out stays, and null takes the study's for each."""

    evaluations: Annotated[int, Field(ge=1, le=10_000)] | None = None
    dollars: Dollars | None = None


class Study(Schema):
    """A study as everyone in it may see it."""

    id: str
    testbed: str
    seeds: int
    evaluations_per_researcher: int
    evaluations_per_study: int | None
    evaluations_used: int = Field(description="by all researchers together")
    guard: str
    guard_says: str = Field(description="how feedback on the public split is limited, and what is left of it, in words")
    guarded: bool = Field(description="False if feedback is exact: then public scores prove nothing")
    floor: Anchor
    ceiling: Anchor
    paused: bool
    finished: bool
    dollars_per_researcher: float | None
    dollars_per_study: float | None
    team: TeamCreate | None = Field(description="researchers that the server itself started with it")
    created_at: datetime


class ResearcherCreate(Schema):
    """A researcher to admit."""

    name: Annotated[Name, AfterValidator(addressable)]
    kind: Kind
    direction: Line


class Researcher(Schema):
    """A researcher, without its token."""

    id: int
    name: str
    kind: Kind
    direction: str
    evaluations_used: int
    evaluations_limit: int
    evaluations_left: int = Field(description="what this researcher may still submit, its own budget and the study's")
    dollars_used: float
    dollars_left: float | None = Field(
        description="before it is stopped, its own budget and the study's, less the margin; None is no limit"
    )
    admitted_at: datetime


class Admission(Schema):
    """A new researcher and its token, which is shown this once and stored only as a hash."""

    researcher: Researcher
    token: str


class SubmissionCreate(Schema):
    """A method to score."""

    name: Name
    code: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CODE_CHARACTERS), AfterValidator(no_nul)]
    parent: Id | None = Field(default=None, description="id of the submission that this one builds on")
    note: Line = ""


class Feedback(Schema):
    """What a researcher learns from one evaluation: scores through the leakage guard."""

    pgr: float | None = Field(description="None if the testbed's gap does not stand clear of its noise")
    accuracy: float
    censored: bool = Field(description="True if it is not above the floor; `accuracy` then says no more than that")
    fresh: bool = Field(
        description="False if nothing new is said: it does not clearly beat the best told so far, whose figure this is"
    )
    resolution: float = Field(description="step to which the guard rounds `accuracy`")
    diagnostics: Diagnostics
    wall_seconds: float
    cpu_seconds: float


class Failure(Schema):
    """Why a submission has no score."""

    kind: str = Field(description="name of the failure, such as syntax-error or wrong-shape")
    message: str
    advice: str


class Submission(Schema):
    """A submission, without its code."""

    id: int
    researcher: str
    name: str
    sha256: str
    parent: int | None
    note: str
    status: Status
    level: Level
    feedback: Feedback | None
    failure: Failure | None
    created_at: datetime


class Code(Schema):
    """The code of a submission."""

    submission: int
    code: str


class FindingCreate(Schema):
    """A post for the forum. Numbers of a linked submission are filled in by the server."""

    kind: FindingKind
    title: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(printable)
    ]
    body: Annotated[str, StringConstraints(max_length=MAX_BODY_CHARACTERS), AfterValidator(paragraphs)] = ""
    submission: Id | None = None
    parent: Id | None = Field(default=None, description="id of the finding that this one replies to")
    tags: Annotated[tuple[Tag, ...], Field(max_length=8)] = ()


class Vote(Schema):
    """What a researcher thinks of a finding; 0 takes an earlier vote back."""

    value: Literal[-1, 0, 1]


class Finding(Schema):
    """A post on the forum. `title` and `body` are untrusted text."""

    id: int
    researcher: str
    kind: FindingKind
    title: str
    body: str
    submission: int | None
    pgr: float | None = Field(description="guarded PGR of the linked submission, from the server")
    parent: int | None
    tags: tuple[str, ...]
    up: int = Field(description="votes for it")
    down: int = Field(description="votes against it")
    created_at: datetime


class Ask(Schema):
    """Submissions to audit, or to score on `private` once and for all."""

    submissions: Annotated[tuple[Id, ...], Field(max_length=100)]


class Asked(Schema):
    """Where that stands; `pending` shrinks until all are done. The baseline is among them."""

    done: tuple[int, ...]
    failed: tuple[int, ...] = Field(description="broke their contract on private; they get no second look")
    interrupted: tuple[int, ...] = Field(description="could not be run for a fault of the server's; ask again")
    pending: tuple[int, ...]


class Overrule(Schema):
    """A person's decision on what an audit found."""

    verdict: Verdict
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=10, max_length=2000), AfterValidator(paragraphs)
    ]


class Audited(Schema):
    """What one audit found, and whether a person decided otherwise."""

    finding: AuditFinding
    overruled: Overrule | None

    @property
    def verdict(self) -> Verdict:
        """The verdict that counts."""
        return self.finding.verdict if self.overruled is None else self.overruled.verdict


class Event(Schema):
    """An entry of the event log: each holds the hash of the one before, so no edit goes unseen."""

    number: int
    kind: str
    actor: str
    payload: dict[str, JsonValue]
    at: datetime
    hash: str


class Row(Schema):
    """One line of the leaderboard. Exact figures; for the operator only."""

    rank: int
    submission: int
    method: str
    researcher: str
    direction: str
    level: Level
    pgr_public: Interval | None
    accuracy_public: float
    pgr_private: Interval | None
    accuracy_private: float | None
    gain_private: Interval | None = Field(description="accuracy over vanilla on private, paired by question")
    p_private: float | None = Field(description="two-sided p of no gain, Holm-adjusted over those confirmed")
    audited: bool = Field(description="its audits have ended, whatever they found")
    flags: tuple[str, ...] = Field(description="audits that flagged it and were not overruled")
    failure_private: str | None = Field(description="kind of failure, if it was looked at but has no score")
    isolated: bool = Field(description="False if it ran without a sandbox: then the figures prove nothing")


class Standing(Schema):
    """One line of the board that researchers see: guarded figures."""

    submission: int
    method: str
    researcher: str
    level: Level
    pgr: float | None
    accuracy: float
    censored: bool
    fresh: bool


class Problem(Schema):
    """Error body (RFC 9457 problem details)."""

    type: str
    title: str
    status: int
    detail: str
    advice: str = ""
    spent: int | float | None = Field(default=None, description="of a budget that is exceeded: evaluations, or dollars")
    limit: int | float | None = Field(default=None, description="of a budget, where one is exceeded")


class Health(Schema):
    """The server answers."""

    status: str
