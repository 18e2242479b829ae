"""`aarlab log` on a study's folder: what happened, and whether anybody edited it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aarlab.api import OperatorClient
from aarlab.api.schemas import StudyCreate
from aarlab.cli import app
from aarlab.server import create_app, embedded
from aarlab.studies import Settings, StudyFolder
from double import TOKEN, Double, only


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder, with an outcome that noted where the log ends."""
    made = StudyFolder.create(tmp_path, Settings())
    server = create_app(made.database, only(Double()), TOKEN)
    with embedded(server) as url, OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic")).id
        made.register(study)
        operator.submission(1, wait=20)
        operator.finish(study)
        made.write(made.leaderboard, json.dumps({"log_head": operator.events(study)[-1].hash}))
    return made.path


def log(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["log", *arguments])
    return done.exit_code, done.output


def test_what_happened_is_shown(folder: Path):
    status, told = log("show", str(folder))
    assert status == 0
    for kind in ("study.created", "evaluation.ended", "guard.answered", "study.finished"):
        assert kind in told
    status, told = log("show", str(folder), "--json")
    assert [event["number"] for event in json.loads(told)] == [1, 2, 3, 4]


def test_edits_are_found(folder: Path):
    assert log("verify", str(folder))[0] == 0
    status, told = log("verify", str(folder), "--json")
    assert (status, json.loads(told)["holds"]) == (0, True)
    with closing(sqlite3.connect(folder / "study.db")) as raw, raw:
        raw.execute("DELETE FROM events WHERE number = 4")
    status, told = log("verify", str(folder))
    assert (status, "broken" in told, "at its end" in told) == (1, True, True)
    with closing(sqlite3.connect(folder / "study.db")) as raw, raw:
        raw.execute("UPDATE events SET actor = 'eve' WHERE number = 2")
    status, told = log("verify", str(folder), "--json")
    assert (status, json.loads(told)["broken"]["number"]) == (1, 2)


def test_a_folder_without_a_study_says_what_to_do(folder: Path):
    (folder / "study.db").unlink()
    status, told = log("verify", str(folder))
    assert (status, "is missing" in told, "copy" in told) == (1, True, True)
    (folder / "study.json").unlink()
    status, told = log("show", str(folder))
    assert (status, "has not begun" in told, "aarlab resume" in told) == (1, True, True)
