"""The event log of a study, read straight from its database: for the operator, without a server."""

from pathlib import Path

from aarlab.api.schemas import Event
from aarlab.server._database import Database
from aarlab.server._events import Break, verify
from aarlab.server._store import Store
from aarlab.server._views import event_view


def read_log(database: Path, study: str) -> list[Event]:
    """All entries of a study, in order.

    Args:
        database: the SQLite file.
        study: id of the study.
    """
    opened = Database(database)
    try:
        return [event_view(row) for row in Store(opened).events(study)]
    finally:
        opened.close()


def verify_log(database: Path, study: str, head: str | None) -> tuple[int, Break | None]:
    """How many entries there are, and the first place where the chain does not hold; None if it does.

    Args:
        database: the SQLite file.
        study: id of the study.
        head: hash of the last entry as noted elsewhere, if it was.
    """
    opened = Database(database)
    try:
        rows = Store(opened).events(study)
        return len(rows), verify(rows, head)
    finally:
        opened.close()
