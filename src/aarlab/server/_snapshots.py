"""Files that researchers hand in. Opaque: the server stores them by their hash, and never unpacks or reads them."""

from collections.abc import Sequence
from http import HTTPStatus

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from aarlab.api.snapshots import SnapshotKind
from aarlab.server import _events
from aarlab.server._database import Database
from aarlab.server._models import ResearcherRow, SnapshotRow
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._store import study_in
from aarlab.server.artifacts import Artifacts, Incoming

#: What one researcher may hand in.
MAX_SNAPSHOTS = 200
MAX_TOTAL_BYTES = 512 * 1024 * 1024


class Snapshots:
    """What researchers handed in. Rows it returns are detached."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self.database, self.artifacts = database, artifacts

    def check_room(self, researcher: int, wanted: int) -> None:
        """Refuse what would be too much, before it is sent.

        Args:
            researcher: who hands it in.
            wanted: its bytes, as far as they are known.

        Raises:
            ProblemError: the researcher has handed in as much as one may.
        """
        with self.database.read() as session:
            _check_room(session, researcher, wanted)

    def keep(self, researcher: int, kind: SnapshotKind, note: str, incoming: Incoming) -> tuple[SnapshotRow, bool]:
        """Keep what has arrived; tells whether it is new.

        Args:
            researcher: who handed it in.
            kind: what it is.
            note: what the researcher says of it. Untrusted.
            incoming: its content, whole.

        Raises:
            ProblemError: the researcher has handed in as much as one may.
        """
        self.check_room(researcher, incoming.size)
        sha256 = incoming.keep()  # before the row that names it
        with self.database.write() as session:
            author = session.get_one(ResearcherRow, researcher)
            study_in(session, author.study_id, lock=True)
            known = session.scalar(
                select(SnapshotRow).where(
                    SnapshotRow.researcher_id == researcher, SnapshotRow.kind == kind, SnapshotRow.sha256 == sha256
                )
            )
            if known is not None:
                return known, False
            _check_room(session, researcher, incoming.size)
            row = SnapshotRow(
                study_id=author.study_id,
                researcher_id=researcher,
                kind=kind,
                sha256=sha256,
                bytes=incoming.size,
                note=note,
            )
            session.add(row)
            session.flush()
            told = {"snapshot": row.id, "what": kind.value, "sha256": sha256, "bytes": incoming.size}
            _events.append(session, author.study_id, "snapshot.received", author.name, **told)
            session.refresh(row)
            return row, True

    def snapshots(
        self, study: str, *, researcher: int | None = None, after: int = 0, limit: int | None = None
    ) -> Sequence[SnapshotRow]:
        """Snapshots with a larger id than `after`, oldest first; of one researcher, or of all."""
        query = select(SnapshotRow).where(SnapshotRow.study_id == study, SnapshotRow.id > after)
        if researcher is not None:
            query = query.where(SnapshotRow.researcher_id == researcher)
        with self.database.read() as session:
            study_in(session, study)
            return session.scalars(query.order_by(SnapshotRow.id).limit(limit)).all()

    def snapshot(self, study: str | None, snapshot: int, *, researcher: int | None = None) -> SnapshotRow:
        """A snapshot; of this study and researcher only, unless they are None.

        Raises:
            ProblemError: there is none.
        """
        with self.database.read() as session:
            row = session.get(SnapshotRow, snapshot)
        if row is None or study not in (None, row.study_id) or researcher not in (None, row.researcher_id):
            raise not_found("snapshot", snapshot)
        return row


def _check_room(session: Session, researcher: int, wanted: int) -> None:
    query = select(func.count(), func.coalesce(func.sum(SnapshotRow.bytes), 0))
    count, taken = session.execute(query.where(SnapshotRow.researcher_id == researcher)).one()
    if count >= MAX_SNAPSHOTS or taken + wanted > MAX_TOTAL_BYTES:
        detail = f"A researcher may hand in {MAX_SNAPSHOTS} snapshots of {MAX_TOTAL_BYTES} bytes in all."
        raise ProblemError(HTTPStatus.CONFLICT, "snapshots-full", detail, "What is there stays; go on without.")
