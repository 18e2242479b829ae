"""The board that researchers see: guarded figures, in an order that tells no more than they do."""

import threading

from sqlalchemy import select
from sqlalchemy.orm import Session

from aarlab.api.schemas import BASELINE, Standing, Status
from aarlab.server._database import Database
from aarlab.server._models import AuditRow, EvaluationRow, SubmissionRow
from aarlab.server._score import score_in
from aarlab.server._store import PUBLIC, study_in
from aarlab.server._views import guarded, level_of

MANY = 500  # of which the database is not asked one by one


class Board:
    """Makes the board of a study. Thread-safe.

    All of a team asks for it again and again, and most of it stays: what a score told stays for good, and only audits
    change a level. So lines are kept, and those of audited submissions made anew.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._kept: dict[str, dict[int, Standing]] = {}  # by study and submission; as long as it is not audited

    def standings(self, study: str, limit: int) -> list[Standing]:
        """Scored submissions by level, then by guarded accuracy.

        Args:
            study: id of the study.
            limit: lines to return; the baseline comes on top of it if it is further down.

        Raises:
            ProblemError: there is no such study.
        """
        with self._database.read() as session:
            study_in(session, study)
            lines = self._lines(session, study)
        ordered = sorted(lines, key=lambda line: (-line.level, -line.accuracy, line.submission))
        return [line for place, line in enumerate(ordered, 1) if place <= limit or line.researcher == BASELINE]

    def _lines(self, session: Session, study: str) -> list[Standing]:
        of_study = select(SubmissionRow.id).where(SubmissionRow.study_id == study)
        looks = select(EvaluationRow.submission_id).where(EvaluationRow.submission_id.in_(of_study))
        scored = set(session.scalars(looks.where(EvaluationRow.task == PUBLIC, EvaluationRow.status == Status.SCORED)))
        audited = set(session.scalars(select(AuditRow.submission_id).where(AuditRow.submission_id.in_(of_study))))
        with self._lock:
            kept = dict(self._kept.get(study, {}))
        missing = (scored - kept.keys()) | (scored & audited)
        query = select(SubmissionRow).where(SubmissionRow.study_id == study)
        if len(missing) <= MANY:
            query = query.where(SubmissionRow.id.in_(missing))
        rows = session.scalars(query).all() if missing else ()
        made = {row.id: _standing(row) for row in rows if row.id in missing}
        with self._lock:
            lasting = self._kept.setdefault(study, {})
            lasting.update({one: line for one, line in made.items() if one not in audited})
        kept.update(made)
        return [kept[one] for one in scored]


def _standing(row: SubmissionRow) -> Standing:
    score = score_in(row.evaluation(PUBLIC))
    assert score is not None
    answer, pgr = guarded(row, score)
    return Standing(
        submission=row.id,
        method=row.name,
        researcher=row.author,
        level=level_of(row),
        pgr=pgr,
        accuracy=answer.accuracy,
        censored=answer.censored,
        fresh=answer.fresh,
    )
