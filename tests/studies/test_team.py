"""A whole small study, through server and sandbox, interrupted and resumed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aarlab.api.schemas import Kind, Level, Row
from aarlab.evaluation import Evaluator
from aarlab.sandbox import default_sandbox
from aarlab.stats import Interval
from aarlab.studies import Progress, Settings, StudyFolder, Team, write_report
from aarlab.studies.team import choose
from aarlab.testbeds import Testbed

SETTINGS = Settings(testbed="synthetic", researchers=3, evaluations=3, confirm=2, workers=2)


@pytest.fixture(scope="module")
def evaluator(small_testbed: Testbed) -> Iterator[Evaluator]:
    with Evaluator(small_testbed, default_sandbox()) as made:
        yield made


@pytest.mark.slow
def test_a_study_from_start_to_end_through_an_interruption(tmp_path: Path, evaluator: Evaluator):
    folder = StudyFolder.create(tmp_path, SETTINGS)
    shown: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        shown.append(progress)
        if progress.evaluated >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Team(folder, evaluator).run(interrupt)
    before = shown[-1]
    assert before.planned == 10
    assert [one.researcher.name for one in before.researchers] == ["r01", "r02", "r03"]

    outcome = Team(StudyFolder.open(folder.path), evaluator).run(shown.append)
    assert shown[len(shown) - 1].phase.startswith("confirming")
    assert outcome.lost == ()
    assert [r.evaluations_used for r in outcome.researchers] == [3, 3, 3]
    assert len(outcome.submissions) == 10
    assert all(r.kind == Kind.SCRIPTED for r in outcome.researchers)
    confirmed = [row for row in outcome.leaderboard if row.level == Level.CONFIRMED]
    assert len(confirmed) == 3  # two and the baseline
    assert len({row.researcher for row in confirmed}) == 3
    assert outcome.best is not None
    assert outcome.best.rank == min(row.rank for row in confirmed if row.direction)
    assert outcome.best_code is not None
    assert "def fit(" in outcome.best_code
    told = {f.submission for f in outcome.findings if f.submission is not None}
    assert {s.id for s in outcome.submissions if s.researcher != "baseline"} == told

    again = Team(StudyFolder.open(folder.path), evaluator).run(shown.append)
    assert again.leaderboard == outcome.leaderboard  # a finished study is only shown again

    write_report(folder, outcome)
    page = folder.report.read_text()
    assert "<script" not in page
    assert outcome.best.researcher in page


def row(submission: int, researcher: str, *, private: float | None = None, failure: str | None = None) -> Row:
    return Row(
        rank=submission,
        submission=submission,
        method="m",
        researcher=researcher,
        direction="" if researcher == "baseline" else "d",
        level=Level.SCORED if private is None else Level.CONFIRMED,
        pgr_public=Interval(0.5, 0.4, 0.6, 0.95),
        accuracy_public=0.7,
        pgr_private=None,
        accuracy_private=private,
        gain_private=None,
        p_private=None,
        failure_private=failure,
        isolated=True,
    )


def test_the_best_of_each_researcher_is_confirmed():
    rows = [row(1, "a"), row(2, "a"), row(3, "baseline"), row(4, "b"), row(5, "c"), row(6, "d")]
    assert choose(rows, 3) == [1, 4, 5]
    assert choose(rows, 10) == [1, 4, 5, 6]
    assert choose([row(3, "baseline")], 3) == []


def test_an_interrupted_confirmation_asks_for_no_others():
    """What was looked at counts, whether it was scored or failed; nobody gets a second draw."""
    rows = [row(4, "b", private=0.7), row(1, "a"), row(2, "a"), row(5, "c", failure="timeout"), row(6, "d")]
    assert choose(rows, 3) == [4, 5, 1]
    assert choose(rows, 2) == [4, 5]
