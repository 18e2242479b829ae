"""Teams that a server starts by itself: on request, and again after it was stopped. The evaluator is a double."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from aarlab.api import OperatorClient, Refused
from aarlab.api.schemas import Study, StudyChange, StudyCreate, TeamCreate
from aarlab.server import create_app, embedded
from aarlab.server._store import Store
from aarlab.studies.conductor import Conductor
from aarlab.studies.crew import Crew, CrewError
from double import TOKEN, Double, only

WANTED = StudyCreate(
    testbed="synthetic", evaluations_per_researcher=3, team=TeamCreate(researchers=2, confirm=1, seed=5)
)
SECONDS = 120.0


class Evaluator(Double):
    """Scores every composed method alike, slowly enough to be interrupted."""

    def evaluate(self, _code, split, seeds):
        time.sleep(0.05)
        return super().evaluate("# accuracy=0.7\n", split, seeds)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[OperatorClient, Conductor]]:
    with ExitStack() as stack:
        conductors: list[Conductor] = []

        def launch(study: str, plan: TeamCreate) -> None:
            conductors[0].launch(study, plan)

        url = stack.enter_context(embedded(create_app(folder / "all.db", only(Evaluator()), TOKEN, launch=launch)))
        conductors.append(stack.enter_context(Conductor(url, TOKEN, folder / "workspaces")))
        operator = stack.enter_context(OperatorClient(url, TOKEN))
        yield operator, conductors[0]


def until(look: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not look():
        assert time.monotonic() < end
        time.sleep(0.05)


def used(operator: OperatorClient, study: Study) -> list[int]:
    return [one.evaluations_used for one in operator.researchers(study.id)]


@pytest.mark.slow
def test_a_study_that_wants_a_team_is_carried_to_its_end_through_a_restart(tmp_path: Path):
    with serving(tmp_path) as (operator, _):
        study = operator.create_study(WANTED)
        assert study.team == WANTED.team
        until(lambda: sum(used(operator, study)) >= 2)
    with serving(tmp_path) as (operator, conductor):
        assert not operator.study(study.id).finished
        conductor.go_on()
        until(lambda: operator.study(study.id).finished)
        assert used(operator, study) == [3, 3]
        rows = operator.leaderboard(study.id)
        assert sum(row.accuracy_private is not None for row in rows if row.direction) == 1
        assert (tmp_path / "workspaces" / study.id / "r01" / "notebook.md").is_file()
        conductor.go_on()  # nothing is left to do
        time.sleep(0.2)
        assert used(operator, study) == [3, 3]


@pytest.mark.slow
def test_what_the_operator_ends_is_not_confirmed(tmp_path: Path):
    with serving(tmp_path) as (operator, _):
        study = operator.create_study(WANTED)
        until(lambda: sum(used(operator, study)) >= 1)
        operator.change(study.id, StudyChange(paused=True))
        time.sleep(0.3)
        before = sum(used(operator, study))
        time.sleep(0.5)
        assert sum(used(operator, study)) == before
        operator.change(study.id, StudyChange(paused=False))
        operator.finish(study.id)
        time.sleep(3)
        assert sum(used(operator, study)) <= before + 2
        kinds = [event.kind for event in operator.events(study.id)]
        assert "private.requested" not in kinds


@pytest.mark.slow
def test_a_study_is_not_ended_because_its_team_gave_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What made all of them give up may pass, and the end of a study is for good."""
    app = create_app(tmp_path / "all.db", only(Evaluator()), TOKEN)
    with embedded(app) as url, OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(WANTED.model_copy(update={"team": None})).id

        def crew() -> Crew:
            assert WANTED.team is not None
            return Crew(operator, url, study, WANTED.team, lambda name: tmp_path / name)

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Store, "submit", full)
            with pytest.raises(CrewError, match=r"gave up.*r01.*r02"):
                crew().run(lambda _: None)
        assert not operator.study(study).finished
        assert crew().run(lambda _: None).finished
        assert [one.evaluations_used for one in operator.researchers(study)] == [3, 3]


def test_a_server_that_starts_no_teams_says_so(tmp_path: Path):
    app = create_app(tmp_path / "all.db", only(Double()), TOKEN)
    with embedded(app) as url, OperatorClient(url, TOKEN) as operator:
        with pytest.raises(Refused, match="starts no teams"):
            operator.create_study(WANTED)
        assert operator.studies() == []
