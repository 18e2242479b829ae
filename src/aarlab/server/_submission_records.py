"""Submissions for a study's record: each made once, and again only when something about it has changed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from aarlab.api.schemas import Failure, Status
from aarlab.server._diversity import HASHES, OTHER, Reading, Signature, likeness, read
from aarlab.server._models import AuditRow, EvaluationRow, SubmissionRow
from aarlab.server._record import Complexity, ScoreRecord, SubmissionRecord, Told
from aarlab.server._score import Score, score_in
from aarlab.server._store import AUDIT, PRIVATE, PUBLIC
from aarlab.server._views import audited_view, guarded, level_of, verdicts
from aarlab.server.artifacts import Artifacts

LOADED = 500  # rows at a time
TEACHER, STUDENT = "teacher-ablation", "student-ablation"
COPIED = frozenset(ScoreRecord.model_fields) - {"pgr"}


@dataclass
class Codes:
    """What the code of a study's submissions shows, in their order.

    Attributes:
        readings: by submission; None where the code is no Python.
        alike: mean likeness to earlier submissions of researchers, by submission, where there are any.
        pairs: sum of likeness over all pairs of researchers' submissions, and how many pairs.
    """

    readings: dict[int, Reading | None] = field(default_factory=dict)
    alike: dict[int, float] = field(default_factory=dict)
    pairs: tuple[float, int] = (0.0, 0)
    _signatures: Signature = field(default_factory=lambda: np.empty((64, HASHES), np.uint32))
    _count: int = 0

    def add(self, row: SubmissionRow, code: str) -> None:
        """Read the code of the next submission, if it is not known yet."""
        if row.id in self.readings:
            return
        reading = self.readings[row.id] = read(code, row.note, row.name)
        if reading is None or row.researcher is None:
            return
        if self._count:
            found = likeness(reading.signature, self._signatures[: self._count])
            self.alike[row.id] = float(found.mean())
            self.pairs = self.pairs[0] + float(found.sum()), self.pairs[1] + len(found)
        if self._count == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)])
        self._signatures[self._count] = reading.signature
        self._count += 1


def states_in(session: Session, study: str) -> dict[int, tuple[Any, ...]]:
    """By submission, all that can change about it: where its evaluations stand, what audits found, who overruled it."""
    found: dict[int, list[Any]] = defaultdict(list)
    looks = select(EvaluationRow.submission_id, EvaluationRow.task, EvaluationRow.status, EvaluationRow.ended_at)
    for submission, *state in session.execute(_of_study(looks, EvaluationRow, study)):
        found[submission].append(tuple(state))
    audits = select(AuditRow.submission_id, AuditRow.audit, AuditRow.overruled)
    for submission, *state in session.execute(_of_study(audits, AuditRow, study)):
        found[submission].append(repr(state))
    return {submission: tuple(state) for submission, state in sorted(found.items())}


def _of_study(query: Any, table: type[EvaluationRow] | type[AuditRow], study: str) -> Any:
    of_study = query.join(SubmissionRow, table.submission_id == SubmissionRow.id).where(SubmissionRow.study_id == study)
    return of_study.order_by(table.id)


def rows_in(session: Session, ids: Sequence[int]) -> list[SubmissionRow]:
    """Submissions by id, in that order of ids which is theirs."""
    found: list[SubmissionRow] = []
    for start in range(0, len(ids), LOADED):
        query = select(SubmissionRow).where(SubmissionRow.id.in_(ids[start : start + LOADED]))
        found += session.scalars(query.order_by(SubmissionRow.id))
    return found


def submission_record(row: SubmissionRow, artifacts: Artifacts, codes: Codes) -> SubmissionRecord:
    """A submission, without what hangs on others: hours, gain, dollars.

    Args:
        row: the submission.
        artifacts: where its code lies.
        codes: of the study; the submission's is added.

    Raises:
        ArtifactError: its code is missing, or was changed.
    """
    code = artifacts.get(row.sha256).decode()
    codes.add(row, code)
    reading = codes.readings[row.id]
    public, private, audit = row.evaluation(PUBLIC), row.evaluation(PRIVATE), row.evaluation(AUDIT)
    assert public is not None
    score = score_in(public)
    audits = tuple(audited_view(one) for one in row.audits)
    figures = {one.finding.audit: one.finding.figure for one in audits}
    return SubmissionRecord(
        id=row.id,
        researcher=row.author,
        method=row.name,
        sha256=row.sha256,
        parent=row.parent_id,
        note=row.note,
        family=OTHER if reading is None else reading.family,
        complexity=None
        if reading is None
        else Complexity(lines=reading.lines, nodes=reading.nodes, calls=reading.calls),
        likeness=codes.alike.get(row.id),
        status=public.status,
        level=level_of(row),
        created_at=row.created_at,
        ended_at=public.ended_at,
        hours=None,
        code=code,
        public=_score(score),
        private=_score(score_in(private)),
        told=None if score is None else _told(row, score),
        failure=_failure(public),
        failure_private=_failure(private),
        gain_private=None,
        p_private=None,
        audited=audit is not None and audit.status in (Status.SCORED, Status.FAILED),
        audits=audits,
        flags=tuple(name for name, verdict in verdicts(row).items() if verdict == "flagged"),
        teacher_dependence=figures.get(TEACHER),
        student_dependence=figures.get(STUDENT),
        dollars=0.0,
    )


def _score(score: Score | None) -> ScoreRecord | None:
    if score is None:
        return None
    return ScoreRecord(pgr=score.estimate.pgr, **{name: getattr(score, name) for name in COPIED})


def _told(row: SubmissionRow, score: Score) -> Told:
    answer, pgr = guarded(row, score)
    return Told(pgr=pgr, accuracy=answer.accuracy, censored=answer.censored, fresh=answer.fresh)


def _failure(look: EvaluationRow | None) -> Failure | None:
    return None if look is None or look.failure is None else Failure.model_validate(look.failure)
