"""A study's record: everything that is known of it, as one document. Reports, exports and the dashboard are made of it.

Exact figures, code and a person's decisions: for the operator only. No label, token, key or secret is in it, and no
row by row array either. Texts and code that researchers wrote are untrusted.
"""

import logging
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import aarlab
from aarlab.api.ledger import Charge
from aarlab.api.schemas import BASELINE, Event, Finding, Status
from aarlab.audits.probing import ProbingFinding
from aarlab.server._budgets import Spent, spent_in
from aarlab.server._diversity import entropies
from aarlab.server._models import ChargeRow, EventRow, FindingRow, ResearcherRow, SnapshotRow, SpellRow, StudyRow
from aarlab.server._probing import probing
from aarlab.server._protocol import Evaluates
from aarlab.server._ranking import Gain, gains, place
from aarlab.server._record import (
    Complexity,
    Record,
    ResearcherRecord,
    ScoreRecord,
    Spell,
    SubmissionRecord,
    Told,
)
from aarlab.server._spells import hours, hours_at, spells_in
from aarlab.server._store import PRIVATE, Store, study_in
from aarlab.server._submission_records import LOADED, Codes, rows_in, states_in, submission_record
from aarlab.server._summary import charge_views, ledger_view
from aarlab.server._views import event_view, finding_view, snapshot_view, study_view
from aarlab.testbeds import TestbedError

log = logging.getLogger(__name__)

__all__ = [
    "Complexity",
    "Questions",
    "Record",
    "Recorder",
    "ResearcherRecord",
    "ScoreRecord",
    "Spell",
    "SubmissionRecord",
    "Told",
    "read_record",
]

KEPT = 8  # studies that are quick to read again
GROWN = 0.05  # share by which scored submissions grow before a study under way is looked at for probing again

#: Question of each test example of `private`, shape (n,), by the name of a testbed and the study's secret.
Questions = Callable[[str, bytes], NDArray[np.int32]]


@dataclass
class _Kept:
    """What of a study need not be made again.

    Attributes:
        submissions: with the state that each was made for, by id.
        findings: by id.
        gained: over vanilla, for the submissions that had been scored on `private`.
        probed: for how many scored submissions, and what was found.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    submissions: dict[int, tuple[Any, SubmissionRecord]] = field(default_factory=dict)
    codes: Codes = field(default_factory=Codes)
    findings: dict[int, Finding] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    gained: tuple[frozenset[int], dict[int, Gain]] = (frozenset(), {})
    probed: tuple[int, tuple[ProbingFinding, ...]] = (0, ())


class Recorder:
    """Reads records, and keeps what cannot change, so that reading again is quick. Thread-safe.

    One thing may lag while a study goes on: probing is looked for again when there are a twentieth more scored
    submissions than last time, since it compares each with all others. Of a finished study all is as it stands.
    """

    def __init__(self, store: Store, questions: Questions | None = None) -> None:
        """Prepare.

        Args:
            store: what the server knows.
            questions: asked only where something was confirmed, for it may take seconds; without it, or where it
                raises KeyError or TestbedError, gains on `private` are left out.
        """
        self._store, self._questions = store, questions
        self._studies: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()  # guards the dictionary

    def read(self, study: str) -> Record:
        """The record of a study.

        Raises:
            ProblemError: there is none.
            ArtifactError: a submission's code is missing, or was changed.
        """
        with self._lock:
            kept = self._studies.setdefault(study, _Kept())
            self._studies.move_to_end(study)
            while len(self._studies) > KEPT:
                self._studies.popitem(last=False)
        with kept.lock:
            return self._read(study, kept)

    def _read(self, study: str, kept: _Kept) -> Record:
        with self._store.database.read() as session:
            row = study_in(session, study)
            spent = spent_in(session, study)
            members = session.scalars(
                select(ResearcherRow).where(ResearcherRow.study_id == study).order_by(ResearcherRow.id)
            ).all()
            spells = spells_in(session, study)
            states = states_in(session, study)
            changed = [
                one for one, state in states.items() if one not in kept.submissions or kept.submissions[one][0] != state
            ]
            rows = rows_in(session, changed)
            findings = _changed_findings(session, study, kept, frozenset(changed))
            events, charges = _new_events(session, study, kept), _new_charges(session, study, kept)
            handed_in = select(SnapshotRow).where(SnapshotRow.study_id == study).order_by(SnapshotRow.id)
            snapshots = tuple(snapshot_view(one) for one in session.scalars(handed_in))
        for finding in findings:  # first: a submission that is kept hides that its findings have changed
            kept.findings[finding.id] = finding
        for submission in rows:
            made = submission_record(submission, self._store.artifacts, kept.codes)
            kept.submissions[submission.id] = states[submission.id], made
        kept.events += events
        kept.charges += charge_views(self._store, study, charges)
        submissions = self._completed(row, kept, [spell for found in spells.values() for spell in found])
        likeness, pairs = kept.codes.pairs
        return Record(
            made_by=f"aarlab {aarlab.__version__}",
            study=study_view(row, spent),
            researchers=tuple(_researcher(one, spent, spells.get(one.id, [])) for one in members),
            submissions=tuple(submissions),
            ranking=_ranking(submissions),
            findings=tuple(finding for _, finding in sorted(kept.findings.items())),
            snapshots=snapshots,
            probing=self._probing(row, submissions, kept),
            diversity=tuple(entropies([one.family if one.researcher != BASELINE else None for one in submissions])),
            likeness=likeness / pairs if pairs else None,
            ledger=ledger_view(self._store, study),
            charges=tuple(kept.charges),
            events=tuple(kept.events),
        )

    def _completed(self, study: StudyRow, kept: _Kept, spells: Sequence[SpellRow]) -> list[SubmissionRecord]:
        """Submissions in their order, with what hangs on others: hours, gain, dollars."""
        made = [one for _, (_, one) in sorted(kept.submissions.items())]
        ended = [one for one in made if one.status == Status.SCORED and one.ended_at is not None]
        worked = hours_at(spells, [one.ended_at for one in ended if one.ended_at is not None])
        at = dict(zip([one.id for one in ended], worked, strict=True))
        gained = self._gained(study, made, kept)
        dollars: defaultdict[int, float] = defaultdict(float)
        for charge in kept.charges:
            if charge.submission is not None:
                dollars[charge.submission] += charge.dollars
        found = []
        for one in made:
            gain = gained.get(one.id)
            more: dict[str, Any] = {"hours": at.get(one.id), "dollars": dollars[one.id]}
            if gain is not None:
                more |= {"gain_private": gain[0].difference, "p_private": gain[1]}
            found.append(one.model_copy(update=more))
        return found

    def _gained(self, study: StudyRow, made: Sequence[SubmissionRecord], kept: _Kept) -> dict[int, Gain]:
        """Gain over vanilla on `private`, by submission."""
        looked = frozenset(one.id for one in made if one.private is not None)
        if self._questions is not None and kept.gained[0] != looked:
            questions = self._questions
            baseline = next((one.id for one in made if one.researcher == BASELINE), None)
            correct = {one.submission: one.correct for one in self._store.scored(study.id, PRIVATE)}
            try:
                kept.gained = looked, gains(correct, baseline, lambda: questions(study.testbed, study.secret))
            except (KeyError, TestbedError) as error:  # a study is shown though its testbed is gone
                log.warning("%s: gains on private are left out: %s", study.id, error)
                return {}
        return kept.gained[1]

    def _probing(
        self, study: StudyRow, submissions: Sequence[SubmissionRecord], kept: _Kept
    ) -> tuple[ProbingFinding, ...]:
        scored, before = sum(one.public is not None for one in submissions), kept.probed[0]
        if scored - before > (0 if study.finished else GROWN * before):
            kept.probed = scored, tuple(probing(self._store, study.id))
        return kept.probed[1]


def read_record(store: Store, study: str, evaluator: Evaluates | None = None) -> Record:
    """The record of a study, read once. Who reads it again and again keeps a `Recorder`.

    Args:
        store: what the server knows.
        study: id of the study.
        evaluator: of its testbed, for gains on `private`; without it they are left out.

    Raises:
        ProblemError: there is no such study.
        ArtifactError: a submission's code is missing, or was changed.
    """
    recorder = Recorder(store, None if evaluator is None else lambda _testbed, _secret: evaluator.groups("private"))
    return recorder.read(study)


def _changed_findings(session: Session, study: str, kept: _Kept, submissions: frozenset[int]) -> list[Finding]:
    """Findings that are not kept as they now are: new ones, and those whose votes or submission have changed."""
    query = select(FindingRow.id, FindingRow.submission_id, FindingRow.up, FindingRow.down)
    changed = []
    for finding, about, up, down in session.execute(query.where(FindingRow.study_id == study)):
        known = kept.findings.get(finding)
        if known is None or about in submissions or (known.up, known.down) != (up, down):
            changed.append(finding)
    found: list[Finding] = []
    for start in range(0, len(changed), LOADED):
        rows = select(FindingRow).where(FindingRow.id.in_(changed[start : start + LOADED]))
        found += [finding_view(row) for row in session.scalars(rows)]
    return found


def _new_events(session: Session, study: str, kept: _Kept) -> list[Event]:
    last = kept.events[-1].number if kept.events else 0
    query = select(EventRow).where(EventRow.study_id == study, EventRow.number > last).order_by(EventRow.number)
    return [_event(row) for row in session.scalars(query)]


def _event(row: EventRow) -> Event:
    """An entry of the event log; one that was edited so that it cannot be read does not hide all else."""
    try:
        return event_view(row)
    except ValueError:
        told = {"unreadable": ascii([row.payload, row.at])[:500]}
        at = datetime.min.replace(tzinfo=UTC)
        return Event(number=row.number, kind=row.kind, actor=row.actor, payload=told, at=at, hash=row.hash)


def _new_charges(session: Session, study: str, kept: _Kept) -> Sequence[ChargeRow]:
    """Charges that are not kept yet. PostgreSQL may show a smaller id after a larger one, so they are counted."""
    query = select(ChargeRow).where(ChargeRow.study_id == study).order_by(ChargeRow.id)
    last = kept.charges[-1].id if kept.charges else 0
    new = session.scalars(query.where(ChargeRow.id > last)).all()
    count = select(func.count()).select_from(ChargeRow).where(ChargeRow.study_id == study)
    if session.scalar(count) == len(kept.charges) + len(new):
        return new
    kept.charges.clear()
    return session.scalars(query).all()


def _researcher(row: ResearcherRow, spent: Spent, spells: Sequence[SpellRow]) -> ResearcherRecord:
    return ResearcherRecord(
        id=row.id,
        name=row.name,
        kind=row.kind,
        direction=row.direction,
        evaluations_used=spent.evaluations.get(row.id, 0),
        evaluations_limit=row.evaluations_limit,
        dollars_used=spent.dollars.get(row.id, 0.0),
        dollars_limit=row.dollars_limit,
        admitted_at=row.created_at,
        spells=tuple(Spell(began_at=one.began_at, seen_at=one.seen_at) for one in spells),
        hours=hours(spells),
    )


def _ranking(submissions: Sequence[SubmissionRecord]) -> tuple[int, ...]:
    places = []
    for one in submissions:
        deciding = one.private or one.public
        if one.public is not None and deciding is not None:
            places.append(place(one.level, deciding.pgr, float(np.mean(deciding.accuracy)), one.id))
    return tuple(submission for *_, submission in sorted(places))
