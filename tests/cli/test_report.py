"""`aarlab report` on a study's folder, in each of its forms."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import Kind, ResearcherCreate, StudyCreate, SubmissionCreate
from aarlab.cli import app
from aarlab.server import Record, create_app, embedded
from aarlab.studies import Settings, StudyFolder
from double import TOKEN, Double, only


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a method that was scored and one that failed."""
    made = StudyFolder.create(tmp_path, Settings())
    server = create_app(made.database, only(Double()), TOKEN)
    with embedded(server) as url, OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic")).id
        made.register(study)
        token = operator.admit(study, ResearcherCreate(name="ada", kind=Kind.HUMAN, direction="any")).token
        with ResearcherClient(url, token) as ada:
            for code in ("# accuracy=0.8\n", "# fail=timeout\n"):
                ada.wait(ada.submit(SubmissionCreate(name="mine", code=code)).id, timeout=20)
    return made.path


def report(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["report", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def test_html_is_the_default(folder: Path):
    status, told = report(folder)
    assert (status, "report.html" in told) == (0, True)
    page = (folder / "report.html").read_text()
    assert "#2 mine" in page
    assert "timeout" in page


def test_the_suffix_or_the_option_tells_the_format(folder: Path, tmp_path: Path):
    assert report(folder, "-o", tmp_path / "r.json")[0] == 0
    record = Record.model_validate(json.loads((tmp_path / "r.json").read_bytes()))
    assert [one.method for one in record.submissions] == ["vanilla", "mine", "mine"]
    assert report(folder, "-o", tmp_path / "log", "--format", "md")[0] == 0
    assert "failed on public: timeout" in (tmp_path / "log").read_text()
    assert report(folder, "--format", "parquet")[0] == 0
    assert (folder / "report" / "scores.parquet").is_file()
    assert not list(folder.glob("*.part"))


def test_mistakes_are_told_with_advice(folder: Path, tmp_path: Path):
    status, told = report(folder, "-o", tmp_path / "r.docx")
    assert (status, "does not tell its format" in told, "--format" in told) == (1, True, True)
    status, told = report(folder, "-o", tmp_path / "nowhere" / "r.html")
    assert (status, "cannot be written" in told, "-o" in told) == (1, True, True)
    status, told = report(tmp_path)
    assert (status, "is no study" in told) == (1, True)
    (folder / "study.db").unlink()
    status, told = report(folder)
    assert (status, "is missing" in told) == (1, True)
