"""A killed server loses nothing that was recorded, counts nothing twice, and goes on where it was."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import FindingCreate, FindingKind, Kind, ResearcherCreate, Status, StudyCreate, SubmissionCreate
from aarlab.server import create_app, embedded, serve
from aarlab.server._database import DatabaseUnusable
from double import TOKEN, Double, only

DOUBLE = Path(__file__).parent.parent / "double.py"


@contextmanager
def process(database: Path | str, artifacts: Path):
    """A server in a process of its own, killed without mercy at the end."""
    command = [sys.executable, str(DOUBLE), str(database), str(artifacts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server, server.stdout.readline().strip()
        finally:
            server.kill()


def test_kill_and_resume(tmp_path: Path, database: Path | str):
    artifacts = tmp_path / "artifacts"
    with process(database, artifacts) as (server, url), OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic", evaluations_per_researcher=4)).id
        token = operator.admit(study, ResearcherCreate(name="ada", kind=Kind.SCRIPTED, direction="")).token
        with ResearcherClient(url, token) as ada:
            scored = ada.wait(ada.submit(SubmissionCreate(name="quick", code="# accuracy=0.7\n")).id, timeout=20)
            ada.post(FindingCreate(kind=FindingKind.RESULT, title="found", submission=scored.id))
            running = ada.submit(SubmissionCreate(name="slow", code="# accuracy=0.75\n# sleep=1\n")).id
            queued = ada.submit(SubmissionCreate(name="next", code="# accuracy=0.72\n")).id
            while ada.submission(running).status != Status.RUNNING:
                time.sleep(0.02)
            os.kill(server.pid, signal.SIGKILL)
    with (
        process(database, artifacts) as (_, url),
        OperatorClient(url, TOKEN) as operator,
        ResearcherClient(url, token) as ada,
    ):
        assert ada.submission(scored.id) == scored
        assert [finding.title for finding in ada.findings()] == ["found"]
        for one in (running, queued):
            assert ada.wait(one, timeout=20).status == Status.SCORED
        assert ada.me().evaluations_used == 3
        assert ada.submit(SubmissionCreate(name="quick", code="# accuracy=0.7\n")) == scored
        confirmed = operator.confirm(study, [scored.id, running])
        assert len(confirmed.done) == 3


def test_a_stopped_server_queues_again_what_it_abandons(serving):
    with serving() as world:
        ada = world.admit()
        slow = ada.submit(SubmissionCreate(name="slow", code="# accuracy=0.75\n# sleep=3\n")).id
        while ada.submission(slow).status != Status.RUNNING:
            time.sleep(0.02)
        study = world.study
    started = time.monotonic()
    with serving(study=study) as world:
        ada = world.admit()
        assert ada.submission(slow).status in (Status.QUEUED, Status.RUNNING)
        assert ada.wait(slow, timeout=20).status == Status.SCORED
        assert ada.me().evaluations_used == 1
    assert time.monotonic() - started < 15


@pytest.mark.sqlite
def test_a_second_server_does_not_take_over_what_the_first_has_under_way(serving):
    with serving() as world:
        app = create_app(world.database, only(Double()), TOKEN)
        with pytest.raises(DatabaseUnusable, match="being served already"), embedded(app):
            pass
        assert world.operator.study(world.study).id == world.study
    with embedded(app):  # it is free again
        pass


@pytest.mark.sqlite
def test_a_database_that_cannot_be_made_is_told(tmp_path: Path):
    app = create_app(tmp_path / "nowhere" / "study.db", only(Double()), TOKEN)
    with pytest.raises(DatabaseUnusable, match="No such file"), embedded(app):
        pass


def test_a_database_of_another_version_is_named(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw, raw:
        raw.execute("CREATE TABLE studies (id VARCHAR PRIMARY KEY)")
    app = create_app(tmp_path / "old.db", only(Double()), TOKEN)
    with pytest.raises(DatabaseUnusable, match="another version"), embedded(app):
        pass
    # In a thread of its own, since a browser that other tests opened keeps an event loop in this one.
    with ThreadPoolExecutor(1) as pool, pytest.raises(DatabaseUnusable, match="another version"):
        pool.submit(serve, app, port=0).result()
