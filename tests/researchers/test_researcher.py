"""A scripted researcher against a real server; the double of the evaluator stands in for the sandbox."""

import io
import re
import tarfile
import threading
import time
from pathlib import Path

import pytest

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import (
    FindingCreate,
    FindingKind,
    Kind,
    ResearcherCreate,
    Status,
    StudyChange,
    StudyCreate,
    SubmissionCreate,
)
from aarlab.researchers import DIRECTIONS, ScriptedResearcher
from aarlab.researchers._workspace import pack
from aarlab.researchers.scripted.researcher import NothingRuns
from aarlab.server import create_app, embedded
from aarlab.server._patience import Patience
from double import TOKEN, Double, only


class Evaluator(Double):
    """Scores a composed method by how many ideas it has, and refuses those with bagging."""

    def evaluate(self, code, split, seeds):
        if self.broken:
            return super().evaluate(code, split, seeds)
        ideas = re.search(r"^# ideas: (.*)$", code, re.MULTILINE)
        count = 0 if ideas is None else ideas[1].count("[") - 1
        time.sleep(0.01)
        if ideas and "bagging" in ideas[1]:
            return super().evaluate("# fail=timeout\n", split, seeds)
        return super().evaluate(f"# accuracy={0.6 + 0.03 * count}\n", split, seeds)


@pytest.fixture
def world(tmp_path: Path):
    app = create_app(tmp_path / "study.db", only(Evaluator()), TOKEN)
    with embedded(app) as url, OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic", evaluations_per_researcher=4)).id

        def admit(name: str) -> ResearcherClient:
            wanted = ResearcherCreate(name=name, kind=Kind.SCRIPTED, direction=name)
            return ResearcherClient(url, operator.admit(study, wanted).token)

        yield operator, study, admit


def test_it_spends_its_budget_and_tells_everything(world, tmp_path: Path):
    operator, study, admit = world
    with admit("ada") as client, admit("bob") as other:
        ScriptedResearcher(client, DIRECTIONS[0], seed=1, workspace=tmp_path / "ada").run(threading.Event())
        ScriptedResearcher(other, DIRECTIONS[1], seed=2, workspace=tmp_path / "bob").run(threading.Event())
    submissions = [s for s in operator.submissions(study) if s.researcher != "baseline"]
    findings = operator.findings(study)
    assert [r.evaluations_used for r in operator.researchers(study)] == [4, 4]
    assert {s.id for s in submissions} <= {f.submission for f in findings}
    failed = {s.id for s in submissions if s.status == Status.FAILED}
    assert failed == {f.submission for f in findings if f.kind == FindingKind.ERROR}
    notebook = (tmp_path / "ada" / "notebook.md").read_text()
    assert all(s.name in notebook for s in submissions if s.researcher == "ada")
    assert len(list((tmp_path / "ada" / "methods").glob("*.py"))) == 4
    assert operator.code(submissions[0].id).code == (tmp_path / "ada" / "methods" / "001.py").read_text()
    mirrored = [path.read_text() for path in (tmp_path / "bob" / "forum").glob("*.md")]
    assert any("researcher: ada" in text for text in mirrored)


def test_it_hands_in_its_workspace_at_the_end(world, tmp_path: Path):
    operator, _, admit = world
    with admit("ada") as client:
        ScriptedResearcher(client, DIRECTIONS[0], seed=1, workspace=tmp_path / "ada").run(threading.Event())
        (snapshot,) = client.snapshots()
        content = operator.snapshot_content(snapshot.id)
    assert content == pack(tmp_path / "ada")
    with tarfile.open(fileobj=io.BytesIO(content)) as packed:
        names = packed.getnames()
    assert names == ["methods/001.py", "methods/002.py", "methods/003.py", "methods/004.py", "notebook.md"]


def test_it_gives_up_where_the_server_runs_nothing(tmp_path: Path):
    """What the server cannot run costs no budget, so the budget does not end it."""
    evaluator = Evaluator()
    evaluator.broken = True
    patience = Patience(retry_seconds=0.01, attempts=1)
    app = create_app(tmp_path / "study.db", only(evaluator), TOKEN, patience=patience)
    with embedded(app) as url, OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic", evaluations_per_researcher=4)).id
        token = operator.admit(study, ResearcherCreate(name="ada", kind=Kind.SCRIPTED, direction="")).token
        with ResearcherClient(url, token) as client:
            researcher = ScriptedResearcher(client, DIRECTIONS[0], seed=1, workspace=tmp_path / "ada")
            with pytest.raises(NothingRuns, match="3 methods in a row"):
                researcher.run(threading.Event())
            assert client.me().evaluations_used == 0


def test_it_waits_while_the_study_is_paused(world, tmp_path: Path):
    operator, study, admit = world
    operator.change(study, StudyChange(paused=True))
    with admit("ada") as client:
        researcher = ScriptedResearcher(client, DIRECTIONS[0], seed=1, workspace=tmp_path / "ada")
        thread = threading.Thread(target=researcher.run, args=(threading.Event(),))
        thread.start()
        while not (tmp_path / "ada" / "methods" / "001.py").exists():
            time.sleep(0.02)
        time.sleep(0.2)
        assert client.me().evaluations_used == 0
        operator.change(study, StudyChange(paused=False))
        thread.join(60)
        assert client.me().evaluations_used == 4


def test_it_stops_when_told_and_goes_on_later(world, tmp_path: Path):
    operator, study, admit = world
    stop = threading.Event()
    with admit("ada") as client:
        thread = threading.Thread(
            target=ScriptedResearcher(client, DIRECTIONS[2], seed=1, workspace=tmp_path).run, args=(stop,)
        )
        thread.start()
        while operator.researchers(study)[0].evaluations_used < 2:
            time.sleep(0.01)
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        ScriptedResearcher(client, DIRECTIONS[2], seed=1, workspace=tmp_path).run(threading.Event())
    own = [s for s in operator.submissions(study) if s.researcher == "ada"]
    told = [f.submission for f in operator.findings(study) if f.submission is not None]
    assert len(own) == 4
    assert sorted(told) == sorted(set(told)), "nothing is told twice"
    assert {s.id for s in own if s.status == Status.SCORED} <= set(told), "what a stop left untold is told later"


def test_it_concludes_once_however_often_it_goes_on(world, tmp_path: Path):
    """Whether there is anything to conclude depends on the guard's noise; going on adds nothing either way."""
    operator, study, admit = world
    operator.change(study, StudyChange(evaluations_per_researcher=12))
    told = []
    with admit("ada") as client:
        for _ in range(2):
            ScriptedResearcher(client, DIRECTIONS[0], seed=0, workspace=tmp_path / "ada").run(threading.Event())
            told.append(operator.findings(study))
        assert len(client.snapshots()) == 1
    assert told[0] == told[1]
    assert len(told[0]) >= 12


def test_code_of_others_is_read_never_run(world, tmp_path: Path):
    _, _, admit = world
    mark = tmp_path / "mark"
    evil = f'open({str(mark)!r}, \'w\').write(\'x\')\n# ideas: [["linear_head", {{"depth": "all"}}]]\n'
    with admit("mallory") as mallory, admit("ada") as client:
        scored = mallory.wait(mallory.submit(SubmissionCreate(name="m", code=evil)).id, timeout=20)
        mallory.post(FindingCreate(kind=FindingKind.RESULT, title="PGR 1.00, copy me", submission=scored.id))
        ScriptedResearcher(client, DIRECTIONS[0], seed=1, workspace=tmp_path / "ada").run(threading.Event())
        assert client.me().evaluations_used == 4
    assert not mark.exists()


def test_it_leaves_a_finished_study(world, tmp_path: Path):
    operator, study, admit = world
    operator.finish(study)
    with admit("ada") as client:
        ScriptedResearcher(client, DIRECTIONS[0], seed=1, workspace=tmp_path).run(threading.Event())
        assert client.me().evaluations_used == 0
