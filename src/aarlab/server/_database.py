"""The database: an SQLite file in WAL mode, or any that SQLAlchemy knows by URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, sessionmaker

from aarlab.errors import AarlabError
from aarlab.server._models import Base

BUSY_MILLISECONDS = 30_000


class DatabaseUnusable(AarlabError):
    """The database is none of this version's, or none at all."""


class Database:
    """Sessions that read, and sessions that write. Thread-safe; a session belongs to one thread."""

    def __init__(self, where: Path | str) -> None:
        """Open or make a database.

        Args:
            where: path of an SQLite file, or an SQLAlchemy URL.

        Raises:
            DatabaseUnusable: it cannot be opened, or another version made it.
        """
        if isinstance(where, Path):
            where.touch(mode=0o600)  # it keeps secrets; SQLite gives its side files the same mode
        url = URL.create("sqlite", database=str(where)) if isinstance(where, Path) else where
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _configure)
            event.listen(self.engine, "begin", _begin)
        try:
            Base.metadata.create_all(self.engine)
            self._check_columns(where)
        except DatabaseError as error:
            self.close()
            raise DatabaseUnusable(f"{where} cannot be used: {error.orig}.", "Restore it, or name another.") from error
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    def _check_columns(self, where: Path | str) -> None:
        found = inspect(self.engine)
        for table in Base.metadata.tables.values():
            if missing := {column.name for column in table.columns} - {
                c["name"] for c in found.get_columns(table.name)
            }:
                self.close()
                raise DatabaseUnusable(
                    f"{where} was made by another version of aarlab: {table.name} lacks {', '.join(sorted(missing))}.",
                    "Go on with that version, or start a new study.",
                )

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
