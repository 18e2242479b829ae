"""The database: an SQLite file in WAL mode, or any that SQLAlchemy knows by URL.

What is protected: a change is kept whole or not at all, whenever the process is killed or the power fails, and what a
client was told is on the disk (`synchronous=FULL`, PostgreSQL's default). SQLite with NORMAL would survive a kill as
well, but could lose the last seconds with the power, after clients were told; FULL waits for the disk once a change: on
a busy machine with two cores 12 ms for an event instead of 6, and 24 submissions a second instead of 31. What is not
protected: a disk that lies, and a file on a network's file system, whose locks SQLite cannot trust.

Who waits longer than `Patience.busy_seconds` for a database that somebody else holds gets an OperationalError, which
the API tells as 503 with `Retry-After`.
"""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from aarlab.errors import AarlabError
from aarlab.server._models import Base
from aarlab.server._patience import Patience

CONNECTIONS = 48  # more than the threads that answer requests (40) and evaluate
MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = 0x61617232  # of PostgreSQL, so that two servers that start together upgrade one after the other


class DatabaseUnusable(AarlabError):
    """The database is none of this version's, or none at all."""


class Turn:
    """The right to write, one thread at a time.

    Raises:
        OperationalError: it did not come in time.
    """

    def __init__(self, seconds: float) -> None:
        self._lock, self._seconds = threading.Lock(), seconds

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._seconds):
            raise OperationalError("BEGIN IMMEDIATE", None, TimeoutError("database is locked"))

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Database:
    """Sessions that read, and sessions that write. Thread-safe; a session belongs to one thread."""

    def __init__(self, where: Path | str, patience: Patience | None = None) -> None:
        """Open a database, and make or upgrade its tables.

        Args:
            where: path of an SQLite file, or an SQLAlchemy URL.
            patience: how long to wait for it.

        Raises:
            DatabaseUnusable: it cannot be opened, or another version made it.
        """
        busy = (patience or Patience()).busy_seconds
        self._name = str(where) if isinstance(where, Path) else "the database"  # a URL may hold a password
        if isinstance(where, Path):
            where.touch(mode=0o600)  # it keeps secrets; SQLite gives its side files the same mode
        url = URL.create("sqlite", database=str(where)) if isinstance(where, Path) else where
        try:
            self.engine: Engine = create_engine(
                url, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=busy, pool_pre_ping=not isinstance(where, Path)
            )
        except (ImportError, ArgumentError, NoSuchModuleError) as error:
            advice = "For PostgreSQL: pip install 'aarlab[postgres]', and postgresql+psycopg://USER@HOST/NAME."
            raise DatabaseUnusable(f"{self._name} cannot be used: {error}.", advice) from None
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", partial(_configure, busy))
            event.listen(self.engine, "begin", _begin)
        elif self.engine.dialect.name == "postgresql":
            event.listen(self.engine, "connect", partial(_limit_waiting, busy))
        self._reading = {} if self.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        # SQLite has one writer. Its own way to wait for it is to look again every 100 ms; threads can do better.
        self._turn = Turn(busy) if self.engine.dialect.name == "sqlite" else nullcontext()
        try:
            with self.engine.connect().execution_options(aarlab_write=True) as connection, connection.begin():
                self._upgrade(connection)
        except DatabaseError as error:
            self.close()
            advice = "Restore it, or name another."
            if isinstance(error, OperationalError):  # it is not what it holds
                advice = "See that it can be reached, that nobody has locked it, and that its disk has space."
            raise DatabaseUnusable(f"{self._name} cannot be used: {error.orig}.", advice) from error
        except AarlabError:
            self.close()
            raise
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    def _upgrade(self, connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        config = migrations()
        revision = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        made_before = revision is None and set(inspect(connection).get_table_names()) & set(Base.metadata.tables)
        if made_before or (revision is not None and revision not in known):
            raise DatabaseUnusable(
                f"{self._name} was made by another version of aarlab.",
                "Go on with that version, or start a new study.",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with self._sessions() as session:
            session.connection(execution_options=self._reading)
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are kept together, or not at all if an error leaves the block."""
        with self._turn, self._sessions() as session, session.begin():
            # Take SQLite's write lock at once: two readers that both want to write would refuse each other.
            session.connection(execution_options={"aarlab_write": True})
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def served(where: Path | str) -> Iterator[None]:
    """Keep a second server from a file while the block runs: it would take over what the first has under way.

    Args:
        where: as of `Database`; by URL, several servers may share one.

    Raises:
        DatabaseUnusable: a server has it already, or its folder cannot be written.
    """
    if not isinstance(where, Path):
        yield
        return
    try:
        lock = where.with_name(f"{where.name}.lock").open("w")
    except OSError as error:
        raise DatabaseUnusable(f"{where} cannot be used: {error.strerror}.", "Name a file in another folder.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            advice = "Stop that one; for several servers, use PostgreSQL."
            raise DatabaseUnusable(f"{where} is being served already.", advice) from None
        yield


def migrations() -> Config:
    """Alembic's settings: where the scripts lie."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _configure(busy: float, connection: SQLiteConnection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin, not where the driver guesses
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={round(1000 * busy)}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _limit_waiting(busy: float, connection: Any, _: Any) -> None:
    connection.execute(f"SET lock_timeout = {round(1000 * busy)}")  # PostgreSQL itself waits for ever
    connection.commit()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("aarlab_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
