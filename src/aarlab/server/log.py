"""A study's event log and record, read straight from its database: for the operator, without a server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aarlab.api.ledger import LedgerView
from aarlab.api.schemas import Event
from aarlab.errors import AarlabError
from aarlab.server._database import Database
from aarlab.server._events import Break, verify
from aarlab.server._problems import ProblemError
from aarlab.server._store import Store
from aarlab.server._summary import ledger_view
from aarlab.server._views import event_view
from aarlab.server.artifacts import Artifacts
from aarlab.server.record import Questions, Record, Recorder


class LogError(AarlabError):
    """What is on record of a study cannot be read."""


def read_log(database: Path, study: str) -> list[Event]:
    """All entries of a study, in order.

    Args:
        database: the SQLite file.
        study: id of the study.

    Raises:
        LogError: there is no such database or study, or an entry cannot be read.
        DatabaseUnusable: it is damaged, or another version made it.
    """
    with _opened(database) as store:
        try:
            return [event_view(row) for row in store.events(study)]
        except ValueError:
            raise LogError(
                f"An entry of {database} cannot be read: somebody has edited it.", "`aarlab log verify` says which."
            ) from None


def verify_log(database: Path, study: str, head: str | None) -> tuple[int, Break | None]:
    """How many entries there are, and the first place where the chain does not hold; None if it does.

    Args:
        database: the SQLite file.
        study: id of the study.
        head: hash of the last entry as noted elsewhere, if it was.

    Raises:
        LogError: there is no such database or study.
        DatabaseUnusable: it is damaged, or another version made it.
    """
    with _opened(database) as store:
        rows = store.events(study)
        return len(rows), verify(rows, head)


def read_study(database: Path, study: str, questions: Questions | None = None) -> Record:
    """All that is on record of a study.

    Args:
        database: the SQLite file; artifacts lie beside it.
        study: id of the study.
        questions: of `private`, for gains there; asked only where something was confirmed.

    Raises:
        LogError: there is no such database or study, or what is in it cannot be read.
        ArtifactError: a submission's code is missing, or was changed.
        DatabaseUnusable: it is damaged, or another version made it.
    """
    with _opened(database) as store:
        try:
            return Recorder(store, questions).read(study)
        except ValueError as error:
            told = str(error).partition("\n")[0]
            raise LogError(
                f"An entry of {database} cannot be read: {told}.", "`aarlab log verify` may say which."
            ) from None


def read_ledger(database: Path, study: str) -> LedgerView:
    """What a study cost so far.

    Args:
        database: the SQLite file.
        study: id of the study.

    Raises:
        LogError: there is no such database or study.
        DatabaseUnusable: it is damaged, or another version made it.
    """
    with _opened(database) as store:
        return ledger_view(store, study)


@contextmanager
def _opened(database: Path) -> Iterator[Store]:
    if not database.is_file():  # opening it would make an empty one
        raise LogError(f"{database} is missing.", "Restore the study's folder from a copy.")
    opened = Database(database)
    try:
        yield Store(opened, Artifacts(database.with_name("artifacts")))
    except ProblemError as error:
        raise LogError(error.problem.detail, "The database belongs to another study, or was edited.") from None
    finally:
        opened.close()
