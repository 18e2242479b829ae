"""What the pages about researchers show: all of them, and one."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aarlab.api.ledger import Charge, ChargeKind
from aarlab.api.schemas import Finding, Kind, Level, Status
from aarlab.server._record import Record, ResearcherRecord, SubmissionRecord
from aarlab.server._spells import SILENCE_SECONDS
from aarlab.server.dashboard._cut import cut
from aarlab.server.dashboard._forum_threads import Posts
from aarlab.server.dashboard._people_figures import timeline
from aarlab.server.dashboard._shell import figure_json

RESEARCHERS, SUBMISSIONS, NOTES, FILES, SPELLS = 50, 25, 10, 25, 20  # on a page
STATES = ("working", "silent", "not seen", "study over", "paused")


@dataclass(frozen=True)
class Person:
    """A researcher, with what it came to.

    Attributes:
        best: the submission with the best figure that researchers were told; None if none was.
        level: the highest that one of its submissions has; None if it submitted nothing.
        seen: when it last asked for something.
        state: one of `STATES`.
    """

    researcher: ResearcherRecord
    submissions: int
    failed: int
    findings: int
    best: SubmissionRecord | None
    level: Level | None
    flagged: int
    seen: datetime | None
    state: str

    @property
    def told(self) -> float | None:
        """The best PGR that was told; accuracy where the gap is unresolved."""
        return None if self.best is None else told(self.best)

    @property
    def direction(self) -> tuple[str, str]:
        """Name of the direction, if it has one, and the rest."""
        name, colon, rest = self.researcher.direction.partition(": ")
        return (name, rest) if colon and len(name) <= 40 else ("", self.researcher.direction)


def told(one: SubmissionRecord) -> float | None:
    """What the guard told of a submission: PGR, or accuracy where the gap is unresolved."""
    if one.told is None:
        return None
    return one.told.accuracy if one.told.pgr is None else one.told.pgr


def unresolved(record: Record) -> bool:
    """Whether accuracy stands in for PGR: something was told, and never a PGR."""
    answers = [one.told for one in record.submissions if one.told is not None]
    return bool(answers) and all(answer.pgr is None for answer in answers)


def people(record: Record, at: datetime) -> list[Person]:
    """All researchers in the order of their admission.

    Args:
        record: of the study.
        at: the present.
    """
    submitted: dict[str, list[SubmissionRecord]] = defaultdict(list)
    for one in record.submissions:
        submitted[one.researcher].append(one)
    posts = Counter(finding.researcher for finding in record.findings)
    found = []
    for researcher in record.researchers:
        mine = submitted[researcher.name]
        seen = max((spell.seen_at for spell in researcher.spells), default=None)
        best = max((one for one in mine if one.told is not None), key=lambda one: told(one) or 0.0, default=None)
        found.append(
            Person(
                researcher=researcher,
                submissions=len(mine),
                failed=sum(one.status == Status.FAILED for one in mine),
                findings=posts[researcher.name],
                best=best,
                level=max((one.level for one in mine), default=None),
                flagged=sum(bool(one.flags) for one in mine),
                seen=seen,
                state=_state(record, seen, at),
            )
        )
    return found


def _state(record: Record, seen: datetime | None, at: datetime) -> str:
    if record.study.finished:
        return "study over"
    if record.study.paused:
        return "paused"
    if seen is None:
        return "not seen"
    return "working" if (at - seen).total_seconds() <= SILENCE_SECONDS else "silent"


_LOW = float("-inf")

#: Orders of the list of researchers by what the query calls them; all but the name, largest first.
ORDERS: dict[str, Callable[[Person], Any]] = {
    "name": lambda one: one.researcher.name.casefold(),
    "hours": lambda one: one.researcher.hours,
    "evaluations": lambda one: one.researcher.evaluations_used,
    "best": lambda one: _LOW if one.told is None else one.told,
    "level": lambda one: (-1 if one.level is None else one.level, _LOW if one.told is None else one.told),
    "spend": lambda one: one.researcher.dollars_used,
    "seen": lambda one: _LOW if one.seen is None else one.seen.timestamp(),
}


def researchers_context(
    record: Record, at: datetime, *, sort: str = "level", q: str = "", kind: str = "", state: str = "", page: int = 1
) -> dict[str, Any]:
    """The list of researchers.

    Args:
        record: of the study.
        at: the present.
        sort: one of `ORDERS`; `level` if it is none.
        q: part of a name or direction; all if empty.
        kind: of researcher; all if empty.
        state: one of `STATES`; all if empty.
        page: from 1.
    """
    everybody = people(record, at)
    states = Counter(one.state for one in everybody)
    sort = sort if sort in ORDERS else "level"
    wanted = [
        one
        for one in everybody
        if q.casefold() in f"{one.researcher.name}\n{one.researcher.direction}".casefold()
        and kind in ("", one.researcher.kind)
        and state in ("", one.state)
    ]
    wanted.sort(key=ORDERS[sort], reverse=sort != "name")
    return {
        "people": cut(wanted, page, RESEARCHERS),
        "everybody": len(everybody),
        "states": [name for name in STATES if states[name]],
        "states_text": ", ".join(f"{states[name]} {name}" for name in STATES if states[name]),
        "kinds": list(Kind),
        "hours": sum(one.researcher.hours for one in everybody),
        "evaluations": sum(one.researcher.evaluations_used for one in everybody),
        "spent": sum(one.researcher.dollars_used for one in everybody),
        "unresolved": unresolved(record),
        "sort": sort,
    }


@dataclass(frozen=True)
class KindSpent:
    """What a researcher spent on one kind of thing."""

    kind: ChargeKind
    entries: int
    dollars: float
    seconds: float
    tokens: int


def spent_by_kind(charges: Sequence[Charge]) -> list[KindSpent]:
    """Charges summed up by kind; kinds that were not charged are left out."""
    found = []
    for kind in ChargeKind:
        mine = [one for one in charges if one.kind == kind]
        if mine:
            tokens = sum(one.input_tokens + one.output_tokens for one in mine)
            dollars, seconds = sum(one.dollars for one in mine), sum(one.seconds for one in mine)
            found.append(KindSpent(kind, len(mine), dollars, seconds, tokens))
    return found


def researcher_context(
    record: Record, name: str, at: datetime, *, page: int = 1, notes: int = 1, files: int = 1
) -> dict[str, Any] | None:
    """One researcher; None if there is none of this name.

    Args:
        record: of the study.
        name: its name.
        at: the present.
        page: of its submissions, from 1.
        notes: page of its findings, from 1.
        files: page of its snapshots, from 1.
    """
    person = next((one for one in people(record, at) if one.researcher.name == name), None)
    if person is None:
        return None
    mine = [one for one in record.submissions if one.researcher == name]
    posts: list[Finding] = [one for one in record.findings if one.researcher == name]
    shown = Posts(record)
    money = next((one for one in record.ledger.researchers if one.researcher == name), None)
    return {
        "person": person,
        "researcher": person.researcher,
        "timeline": figure_json(timeline(record, person.researcher)) if mine or posts or person.seen else None,
        "submissions": cut(mine[::-1], page, SUBMISSIONS),
        "notes": (chosen := cut(posts[::-1], notes, NOTES)),
        "notes_shown": [shown.post(one) for one in chosen.items],
        "snapshots": cut([one for one in record.snapshots if one.researcher == name][::-1], files, FILES),
        "spells": person.researcher.spells[::-1][:SPELLS],
        "spells_total": len(person.researcher.spells),
        "money": money,
        "by_kind": spent_by_kind([one for one in record.charges if one.researcher == name]),
        "unresolved": unresolved(record),
    }
