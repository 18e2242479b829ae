"""`aarlab ledger` on a study's folder."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.ledger import ChargeCreate, ChargeKind, LedgerView
from aarlab.api.schemas import Kind, ResearcherChange, ResearcherCreate, StudyCreate
from aarlab.cli import app
from aarlab.server import create_app, embedded
from aarlab.studies import Settings, StudyFolder
from double import TOKEN, Double, only


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder: ada is stopped, bob has spent nothing."""
    made = StudyFolder.create(tmp_path, Settings())
    server = create_app(made.database, only(Double()), TOKEN)
    with embedded(server) as url, OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic")).id
        made.register(study)
        operator.submission(1, wait=20)
        ada, _ = (
            operator.admit(study, ResearcherCreate(name=name, kind=Kind.LLM, direction="")) for name in ("ada", "[b]ob")
        )
        with ResearcherClient(url, ada.token) as researcher:
            researcher.me()
        operator.change_researcher(study, ada.researcher.id, ResearcherChange(dollars=1234.5))
        used = ChargeCreate(
            key="1",
            kind=ChargeKind.TOKENS,
            researcher=ada.researcher.id,
            model="large",
            input_tokens=54321,
            output_tokens=10,
            dollars=1234.0,
        )
        operator.charge(study, used)
    return made.path


def ledger(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["ledger", *arguments], env={"COLUMNS": "140"})
    return done.exit_code, done.output


def test_what_a_study_cost_is_printed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aarlab.cli._ledger.out.width", 140)
    status, told = ledger(str(folder))
    assert status == 0
    ada, bob = (next(line for line in told.splitlines() if name in line) for name in ("ada", "[b]ob"))
    assert all(cell in ada for cell in ("54.3 k", "$1,234.00", "$1,234.50", "stopped"))
    assert "stopped" not in bob
    assert "the study of 2026: $22" in told
    assert "none gained on private yet" in told


def test_as_json(folder: Path):
    status, told = ledger(str(folder), "--json")
    view = LedgerView.model_validate(json.loads(told))
    assert status == 0
    assert [(one.researcher, one.stopped) for one in view.researchers] == [("ada", True), ("[b]ob", False)]
    assert view.models[0].input_tokens == 54321
    assert view.total.dollars == pytest.approx(1234.0, abs=0.01)


def test_what_is_no_study_is_told(tmp_path: Path):
    assert ledger(str(tmp_path))[0] == 1
    begun = StudyFolder.create(tmp_path, Settings())
    status, told = ledger(str(begun.path))
    assert (status, "has not begun" in told) == (1, True)
    begun.register("nowhere")
    status, told = ledger(str(begun.path))
    assert (status, "is missing" in told) == (1, True)
