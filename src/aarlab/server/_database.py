"""The database: an SQLite file in WAL mode, or any that SQLAlchemy knows by URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from aarlab.server._models import Base

BUSY_MILLISECONDS = 30_000


class Database:
    """Sessions that read, and sessions that write. Thread-safe; a session belongs to one thread."""

    def __init__(self, where: Path | str) -> None:
        """Open or make a database.

        Args:
            where: path of an SQLite file, or an SQLAlchemy URL.
        """
        if isinstance(where, Path):
            where.touch(mode=0o600)  # it keeps secrets; SQLite gives its side files the same mode
        url = URL.create("sqlite", database=str(where)) if isinstance(where, Path) else where
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _configure)
            event.listen(self.engine, "begin", _begin)
        Base.metadata.create_all(self.engine)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with self._sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are kept together, or not at all if an error leaves the block."""
        with self._sessions() as session, session.begin():
            # Take SQLite's write lock at once: two readers that both want to write would refuse each other.
            session.connection(execution_options={"aarlab_write": True})
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _configure(connection: SQLiteConnection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin, not where the driver guesses
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MILLISECONDS}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("aarlab_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
