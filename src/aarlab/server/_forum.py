"""The forum: findings, and the rules for posting them."""

from collections.abc import Sequence

from sqlalchemy import select

from aarlab.api import schemas
from aarlab.server import _events
from aarlab.server._database import Database
from aarlab.server._models import FindingRow, ResearcherRow
from aarlab.server._store import study_in, submission_in


class Forum:
    """What researchers tell each other. Rows it returns are detached."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def post(self, researcher: int, wanted: schemas.FindingCreate) -> FindingRow:
        """A post for the forum."""
        with self.database.write() as session:
            author = session.get_one(ResearcherRow, researcher)
            if wanted.submission is not None:
                submission_in(session, author.study_id, wanted.submission)
            row = FindingRow(
                study_id=author.study_id,
                researcher_id=researcher,
                kind=wanted.kind,
                title=wanted.title,
                body=wanted.body,
                submission_id=wanted.submission,
            )
            session.add(row)
            session.flush()
            about = {"finding": row.id, "submission": wanted.submission}
            _events.append(session, author.study_id, "finding.posted", author.name, what=wanted.kind, **about)
            session.refresh(row)
            return row

    def findings(self, study: str, *, after: int, limit: int) -> Sequence[FindingRow]:
        """Posts with a larger id than `after`, oldest first."""
        query = select(FindingRow).filter_by(study_id=study).where(FindingRow.id > after)
        with self.database.read() as session:
            study_in(session, study)
            return session.scalars(query.order_by(FindingRow.id).limit(limit)).all()
