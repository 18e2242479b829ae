"""The schema of a study's record; `record` reads one.

Exact figures, code and a person's decisions: for the operator only. No label, token, key or secret is in it, and no row
by row array either. Texts and code that researchers wrote are untrusted.
"""

from datetime import datetime

from aarlab.api.ledger import Charge, LedgerView
from aarlab.api.schemas import (
    Audited,
    Event,
    Failure,
    Finding,
    Kind,
    Level,
    Schema,
    Status,
    Study,
)
from aarlab.api.snapshots import Snapshot
from aarlab.audits.probing import ProbingFinding
from aarlab.stats import Diagnostics, Interval


class Spell(Schema):
    """A time in which a researcher worked."""

    began_at: datetime
    seen_at: datetime


class ResearcherRecord(Schema):
    """A researcher.

    Attributes:
        direction: as the operator gave it; it may begin with its name and a colon.
        hours: that it worked, by its spells.
    """

    id: int
    name: str
    kind: Kind
    direction: str
    evaluations_used: int
    evaluations_limit: int
    dollars_used: float
    dollars_limit: float | None
    admitted_at: datetime
    spells: tuple[Spell, ...]
    hours: float


class ScoreRecord(Schema):
    """An exact score on one split.

    Attributes:
        seeds: training seeds, one an accuracy.
        accuracy: by seed, in [0, 1].
        pgr: with its 95% interval; None if the testbed's gap does not stand clear of its noise.
        evidence: what the harness saw (audit hook), by name of the event.
        isolated: False if it ran without a sandbox.
    """

    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    floor: float
    floor_se: float
    ceiling: float
    ceiling_se: float
    pgr: Interval | None
    diagnostics: Diagnostics
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    sandbox: str
    isolated: bool
    evidence: dict[str, int]


class Told(Schema):
    """What the guard told researchers of a submission."""

    pgr: float | None
    accuracy: float
    censored: bool
    fresh: bool


class Complexity(Schema):
    """How much there is to a method's code.

    Attributes:
        lines: that hold code; neither blank, comment nor docstring.
        nodes: of its syntax tree, docstrings aside.
        calls: different functions that it calls.
    """

    lines: int
    nodes: int
    calls: int


class SubmissionRecord(Schema):
    """A submission with all that is known of it.

    Attributes:
        researcher: its author's name; `api.schemas.BASELINE` for the baseline.
        family: name of the family of methods that it belongs to; see `server/_diversity.py`.
        complexity: None if its code is no Python.
        likeness: mean likeness of its code to that of all earlier submissions of researchers, in [0, 1]; None if
            there are none, for the baseline, and if its code is no Python.
        hours: researcher-hours of the whole team when it was scored; None if it was not.
        code: untrusted.
        gain_private: accuracy over vanilla on private, paired by question; None unless both were confirmed.
        p_private: two-sided p of no gain, Holm-adjusted over those confirmed.
        flags: audits that flagged it and were not overruled.
        teacher_dependence, student_dependence: figure of the ablation audit; None if it was not audited. See `audits`.
        dollars: charged for it.
    """

    id: int
    researcher: str
    method: str
    sha256: str
    parent: int | None
    note: str
    family: str
    complexity: Complexity | None = None
    likeness: float | None = None
    status: Status
    level: Level
    created_at: datetime
    ended_at: datetime | None
    hours: float | None
    code: str
    public: ScoreRecord | None
    private: ScoreRecord | None
    told: Told | None
    failure: Failure | None
    failure_private: Failure | None
    gain_private: Interval | None
    p_private: float | None
    audited: bool
    audits: tuple[Audited, ...]
    flags: tuple[str, ...]
    teacher_dependence: float | None
    student_dependence: float | None
    dollars: float


class Record(Schema):
    """A study, whole.

    Attributes:
        format: of this document; raised when a field changes its meaning.
        made_by: the version of aarlab.
        submissions: in the order in which they came in, failed ones too; the baseline among them.
        ranking: ids of the scored submissions, best first: by level, then by the lower bound of PGR.
        probing: sequences of submissions that look like probing for labels.
        diversity: Shannon entropy in bits over families of methods, one for each submission: of all that researchers
            had submitted by then.
        likeness: of code, mean over all pairs of researchers' submissions; None with fewer than two.
    """

    format: int = 1
    made_by: str
    study: Study
    researchers: tuple[ResearcherRecord, ...]
    submissions: tuple[SubmissionRecord, ...]
    ranking: tuple[int, ...]
    findings: tuple[Finding, ...]
    snapshots: tuple[Snapshot, ...]
    probing: tuple[ProbingFinding, ...]
    diversity: tuple[float, ...]
    likeness: float | None = None
    ledger: LedgerView
    charges: tuple[Charge, ...]
    events: tuple[Event, ...]
