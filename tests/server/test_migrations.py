"""The scripts make the tables that the models describe, on both databases, and a newer server's are refused."""

import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from aarlab.server._database import Database, DatabaseUnusable, migrations
from aarlab.server._models import Base


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A database without tables."""
    if request.config.getoption("--database") == "sqlite":
        return tmp_path / "study.db"
    return request.getfixturevalue("postgresql").empty()


def test_the_scripts_make_what_the_models_describe(empty):
    opened = Database(empty)
    with opened.engine.connect() as connection:
        found = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [one for one in compare_metadata(found, Base.metadata) if not about_search(one)]
    opened.close()
    assert differences == []


def about_search(difference: object) -> bool:
    """No model describes what only full-text search needs: 0002 makes it in each database's own way."""
    return "finding_search" in repr(difference)


def test_opening_again_changes_nothing_and_another_versions_is_refused(empty):
    Database(empty).close()
    opened = Database(empty)
    with opened.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    with pytest.raises(DatabaseUnusable, match="another version"):
        Database(empty)


def test_one_from_the_beginning_is_upgraded_with_what_it_holds(empty):
    engine = create_engine(f"sqlite:///{empty}" if isinstance(empty, Path) else empty)
    config = migrations()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO tokens (id, hash, role, label, created_at) "
                "VALUES (7, 'abc', 'viewer', 'kept', '2026-01-02 03:04:05.000000')"
            )
        )
    engine.dispose()
    upgraded = Database(empty)
    with upgraded.engine.connect() as connection:
        assert connection.execute(text("SELECT label FROM tokens WHERE id = 7")).scalar() == "kept"
    upgraded.close()


def test_servers_that_start_together_upgrade_once(empty):
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda: opened.append(Database(empty))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for one in opened:
        one.close()
