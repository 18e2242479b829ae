"""The event log: everything that counts is in it, in order, and no edit goes unseen."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aarlab.api import Forbidden, NotFound
from aarlab.api.schemas import FindingCreate, FindingKind, SubmissionCreate
from aarlab.server import read_log, verify_log
from aarlab.server._database import DatabaseUnusable
from aarlab.server.log import LogError


def busy(world) -> int:
    """A study in which something happened; returns the submission."""
    ada = world.admit()
    one = ada.submit(SubmissionCreate(name="m", code="# accuracy=0.8\n")).id
    ada.wait(1, timeout=20)
    ada.wait(one, timeout=20)
    ada.post(FindingCreate(kind=FindingKind.RESULT, title="found", submission=one))
    world.operator.audit(world.study, [one])
    world.operator.confirm(world.study, [one])
    world.operator.confirm(world.study, [one])
    world.operator.leaderboard(world.study)
    world.operator.finish(world.study)
    world.operator.finish(world.study)
    return one


def test_what_counts_is_logged_once(world):
    one = busy(world)
    events = world.operator.events(world.study)
    assert [e.number for e in events] == list(range(1, len(events) + 1))
    mine = [(e.kind, e.actor) for e in events if e.payload.get("submission") in (None, one)]
    for wanted in (
        ("study.created", "operator"),
        ("researcher.admitted", "operator"),
        ("submission.received", "ada"),
        ("guard.answered", "server"),
        ("finding.posted", "ada"),
        ("audit.requested", "operator"),
        ("private.requested", "operator"),
        ("figures.read", "operator"),
        ("study.finished", "operator"),
    ):
        assert mine.count(wanted) == 1, wanted
    ended = [e.payload["task"] for e in events if e.kind == "evaluation.ended" and e.payload["submission"] == one]
    assert ended == ["public", "audit", "private"]
    looks = [e.payload["submission"] for e in events if e.kind == "private.requested"]
    assert sorted(looks) == [1, one], "every look on private, the baseline's too"


def test_researchers_cannot_read_it(world):
    ada = world.admit()
    with pytest.raises(Forbidden):
        ada._get(f"/studies/{world.study}/events", list)
    with pytest.raises(NotFound):
        world.operator.events("nowhere")


EDITS = {
    "payload": ("UPDATE events SET payload = replace(payload, '0.8', '0.9') || ' ' WHERE number = 3", 3),
    "actor": ("UPDATE events SET actor = 'eve' WHERE number = 4", 4),
    "time": ("UPDATE events SET at = '2020-01-01' WHERE number = 2", 2),
    "removed": ("DELETE FROM events WHERE number = 5", 5),
    "first removed": ("DELETE FROM events WHERE number = 1", 1),
    "hash": ("UPDATE events SET hash = 'x' WHERE number = 6", 6),
}


@pytest.mark.sqlite
@pytest.mark.parametrize("name", [*EDITS, "reordered", "cut off", "none"])
def test_no_edit_goes_unseen(serving, name: str):
    with serving() as world:
        busy(world)
        head = world.operator.events(world.study)[-1].hash
    with closing(sqlite3.connect(world.database)) as raw, raw:
        if name in EDITS:
            raw.execute(EDITS[name][0])
        elif name == "reordered":
            raw.execute("UPDATE events SET number = -1 WHERE number = 3")
            raw.execute("UPDATE events SET number = 3 WHERE number = 4")
            raw.execute("UPDATE events SET number = 4 WHERE number = -1")
        elif name == "cut off":
            raw.execute("DELETE FROM events WHERE number > 7")
    found = broken(world.database, world.study, head)
    if name == "none":
        assert found is None
    else:
        expected = {"reordered": 3, "cut off": 0} | {key: number for key, (_, number) in EDITS.items()}
        assert found is not None
        assert found.number == expected[name]


def broken(path: Path, study: str, head: str):
    return verify_log(path, study, head)[1]


@pytest.mark.sqlite
def test_what_cannot_be_read_says_so(serving, tmp_path: Path):
    with serving() as world:
        busy(world)
    assert [e.number for e in read_log(world.database, world.study)][:3] == [1, 2, 3]
    missing = tmp_path / "nowhere.db"
    with pytest.raises(LogError, match="is missing"):
        read_log(missing, world.study)
    assert not missing.exists()
    with pytest.raises(LogError, match="no study"):
        verify_log(world.database, "another", None)
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(DatabaseUnusable, match="not a database"):
        read_log(tmp_path / "text.db", world.study)
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw, raw:
        raw.execute("CREATE TABLE studies (id VARCHAR PRIMARY KEY)")
    with pytest.raises(DatabaseUnusable, match=r"another version of aarlab"):
        read_log(tmp_path / "old.db", world.study)
    with closing(sqlite3.connect(world.database)) as raw, raw:
        raw.execute("UPDATE events SET payload = '{' WHERE number = 2")
    with pytest.raises(LogError, match="edited"):
        read_log(world.database, world.study)
