"""The database: an SQLite file in WAL mode, or any that SQLAlchemy knows by URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker

from aarlab.errors import AarlabError
from aarlab.server._models import Base

BUSY_MILLISECONDS = 30_000
MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = 0x61617232  # of PostgreSQL, so that two servers that start together upgrade one after the other


class DatabaseUnusable(AarlabError):
    """The database is none of this version's, or none at all."""


class Database:
    """Sessions that read, and sessions that write. Thread-safe; a session belongs to one thread."""

    def __init__(self, where: Path | str) -> None:
        """Open a database, and make or upgrade its tables.

        Args:
            where: path of an SQLite file, or an SQLAlchemy URL.

        Raises:
            DatabaseUnusable: it cannot be opened, or another version made it.
        """
        self._name = str(where) if isinstance(where, Path) else "the database"  # a URL may hold a password
        if isinstance(where, Path):
            where.touch(mode=0o600)  # it keeps secrets; SQLite gives its side files the same mode
        url = URL.create("sqlite", database=str(where)) if isinstance(where, Path) else where
        try:
            self.engine: Engine = create_engine(url)
        except (ImportError, ArgumentError, NoSuchModuleError) as error:
            advice = "For PostgreSQL: pip install 'aarlab[postgres]', and postgresql+psycopg://USER@HOST/NAME."
            raise DatabaseUnusable(f"{self._name} cannot be used: {error}.", advice) from None
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _configure)
            event.listen(self.engine, "begin", _begin)
        try:
            with self.engine.connect().execution_options(aarlab_write=True) as connection, connection.begin():
                self._upgrade(connection)
        except DatabaseError as error:
            self.close()
            advice = "Restore it, or name another."
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


def migrations() -> Config:
    """Alembic's settings: where the scripts lie."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


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
