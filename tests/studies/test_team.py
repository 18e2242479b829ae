"""A whole small study, through server and sandbox, interrupted and resumed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aarlab.api.schemas import Kind, Level, Row
from aarlab.audits.auditor import AUDITS, Auditor
from aarlab.sandbox import default_sandbox
from aarlab.server import read_study
from aarlab.stats import Interval
from aarlab.studies import Progress, Settings, StudyFolder, Team, write_report
from aarlab.studies.crew import choose
from aarlab.testbeds import Testbed

SETTINGS = Settings(testbed="synthetic", researchers=3, evaluations=3, confirm=2, workers=2)


@pytest.fixture(scope="module")
def evaluators(small_testbed: Testbed) -> Iterator[Callable[[str, bytes], Auditor]]:
    with Auditor(small_testbed, default_sandbox()) as made:
        yield lambda _testbed, _secret: made


@pytest.mark.slow
def test_a_study_from_start_to_end_through_an_interruption(tmp_path: Path, evaluators: Callable[[str, bytes], Auditor]):
    folder = StudyFolder.create(tmp_path, SETTINGS)
    shown: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        shown.append(progress)
        if progress.evaluated >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Team(folder, evaluators).run(interrupt)
    before = shown[-1]
    assert before.planned == 10
    assert [one.researcher.name for one in before.researchers] == ["r01", "r02", "r03"]

    outcome = Team(StudyFolder.open(folder.path), evaluators).run(shown.append)
    assert shown[len(shown) - 1].phase.startswith("confirming")
    assert outcome.lost == ()
    assert [r.evaluations_used for r in outcome.researchers] == [3, 3, 3]
    assert len(outcome.submissions) == 10
    assert all(r.kind == Kind.SCRIPTED for r in outcome.researchers)
    confirmed = [row for row in outcome.leaderboard if row.level == Level.CONFIRMED]
    looked = [row for row in outcome.leaderboard if row.accuracy_private is not None]
    assert {row.submission for row in confirmed} <= {row.submission for row in looked}
    assert len({row.researcher for row in looked}) == len(looked) <= 3  # two and the baseline
    assert all(row.audited for row in looked)
    assert {row.submission for row in outcome.leaderboard if row.audited} == set(outcome.audits)
    assert {a.finding.audit for found in outcome.audits.values() for a in found} == {*AUDITS, "probing"}
    assert outcome.best is not None
    assert outcome.best.rank == min(row.rank for row in outcome.leaderboard if row.direction)
    assert outcome.best_code is not None
    assert "def fit(" in outcome.best_code
    told = {f.submission for f in outcome.findings if f.submission is not None}
    assert {s.id for s in outcome.submissions if s.researcher != "baseline"} == told

    charges = read_study(folder.database, outcome.study.id).charges
    audited = [one for one in charges if one.key.endswith(":audit")]
    assert {one.submission for one in audited} == set(outcome.audits)
    assert all(one.seconds > 1 and one.researcher is None for one in audited)  # some thirty runs each

    again = Team(StudyFolder.open(folder.path), evaluators).run(shown.append)
    assert again.leaderboard == outcome.leaderboard  # a finished study is only shown again

    write_report(folder, outcome, evaluators)
    page = folder.report.read_text()
    assert outcome.best.researcher in page


def row(
    submission: int,
    researcher: str,
    *,
    level: Level = Level.SCORED,
    audited: bool = False,
    private: float | None = None,
    failure: str | None = None,
) -> Row:
    return Row(
        rank=submission,
        submission=submission,
        method="m",
        researcher=researcher,
        direction="" if researcher == "baseline" else "d",
        level=level,
        pgr_public=Interval(0.5, 0.4, 0.6, 0.95),
        accuracy_public=0.7,
        pgr_private=None,
        accuracy_private=private,
        gain_private=None,
        p_private=None,
        failure_private=failure,
        audited=audited or level >= Level.AUDITED,
        flags=("reading",) if audited and level < Level.AUDITED else (),
        isolated=True,
    )


def test_the_best_of_each_researcher_is_audited():
    rows = [row(1, "a"), row(2, "a"), row(3, "baseline"), row(4, "b"), row(5, "c"), row(6, "d")]
    assert choose(rows, 3) == ([], [1, 4, 5])
    assert choose(rows, 10) == ([], [1, 4, 5, 6])
    assert choose([row(3, "baseline")], 3) == ([], [])


def test_those_that_pass_are_confirmed_and_the_others_replaced():
    rows = [
        row(1, "a", level=Level.AUDITED),
        row(2, "b", audited=True),
        row(3, "b"),
        row(4, "c"),
        row(5, "a", level=Level.AUDITED),
    ]
    assert choose(rows, 2) == ([1], [3])
    assert choose(rows, 3) == ([1], [3, 4])
    assert choose(rows, 1) == ([1], [])


def test_an_interrupted_confirmation_asks_for_no_others():
    """What was looked at counts, whether it was scored or failed; nobody gets a second draw."""
    rows = [
        row(4, "b", level=Level.CONFIRMED, private=0.7),
        row(1, "a", level=Level.AUDITED),
        row(2, "a", level=Level.AUDITED),
        row(5, "c", level=Level.AUDITED, failure="timeout"),
        row(6, "d", level=Level.AUDITED),
    ]
    assert choose(rows, 3) == ([4, 5, 1], [])
    assert choose(rows, 2) == ([4, 5], [])
