"""One writer at a time to a study: what all that must not overlap takes first.

SQLite has one writer anyway. PostgreSQL runs transactions side by side, so whatever reads and then writes (the event
log's chain, the guard's memory, a budget) holds its study's row meanwhile. To rule out deadlocks, the row is taken
before those of evaluations.
"""

from sqlalchemy.orm import Session

from aarlab.server._models import StudyRow


def locked_study(session: Session, study: str) -> StudyRow | None:
    """A study as it is now, held until the transaction ends; None if there is none.

    Held with "no key": rows that refer to the study may be inserted meanwhile, or two transactions that have each
    inserted one would wait for each other.
    """
    session.flush()  # what is read anew must not overwrite what was changed here
    return session.get(StudyRow, study, with_for_update={"key_share": True}, populate_existing=True)
