"""What the operator changes while a study runs: pause, go on, budgets."""

import time

import httpx
import pytest

from aarlab.api import BudgetExceeded, NotFound, Refused
from aarlab.api.ledger import ChargeCreate, ChargeKind
from aarlab.api.schemas import ResearcherChange, Status, StudyChange, StudyCreate, SubmissionCreate
from double import TOKEN
from held import Held


def method(accuracy: float) -> SubmissionCreate:
    return SubmissionCreate(name="m", code=f"# accuracy={accuracy}\n")


def told(world, *kinds: str) -> list[tuple[str, dict]]:
    return [(event.kind, event.payload) for event in world.operator.events(world.study) if event.kind in kinds]


def patch(world, body: object, path: str = "") -> httpx.Response:
    url = f"{world.url}/api/v1/studies/{world.study}{path}"
    return httpx.patch(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"})


def test_a_paused_study_takes_nothing_until_it_goes_on(world):
    ada = world.admit()
    assert world.operator.change(world.study, StudyChange(paused=True)).paused
    with pytest.raises(Refused, match="paused") as caught:
        ada.submit(method(0.8))
    assert (caught.value.status, caught.value.type) == (409, "urn:aarlab:paused")
    assert ada.study().paused, "a researcher sees why"
    assert not world.operator.change(world.study, StudyChange(paused=False)).paused
    assert ada.wait(ada.submit(method(0.8)).id, timeout=20).status == Status.SCORED
    world.operator.change(world.study, StudyChange(paused=False))
    assert told(world, "study.paused", "study.resumed") == [("study.paused", {}), ("study.resumed", {})]


def test_what_is_queued_waits_out_a_pause(serving):
    held = Held()
    with serving(double=held) as world:
        ada = world.admit()
        ada.wait(1, timeout=20)  # the baseline
        running, queued = ada.submit(SubmissionCreate(name="m", code="# held")).id, ada.submit(method(0.8)).id
        while ada.submission(running).status != Status.RUNNING:
            time.sleep(0.01)
        world.operator.change(world.study, StudyChange(paused=True))
        held.go.set()
        assert ada.wait(running, timeout=20).status == Status.SCORED, "what is under way is finished"
        assert ada.wait(queued, timeout=1).status == Status.QUEUED
        world.operator.change(world.study, StudyChange(paused=False))
        assert ada.wait(queued, timeout=20).status == Status.SCORED


def test_what_is_left_out_stays_and_null_lifts_a_limit(world):
    change = StudyChange(evaluations_per_study=50, dollars_per_researcher=3.0, dollars_per_study=20.0)
    world.operator.change(world.study, change)
    study = world.operator.change(world.study, StudyChange(dollars_per_study=None))
    assert (study.evaluations_per_study, study.dollars_per_researcher, study.dollars_per_study) == (50, 3.0, None)
    assert study.evaluations_per_researcher == 5
    assert not study.paused
    study = world.operator.change(world.study, StudyChange())
    assert study.evaluations_per_study == 50
    changes = [payload for _, payload in told(world, "budget.changed")]
    assert [(one["budget"], one["old"], one["new"]) for one in changes] == [
        ("dollars_per_researcher", None, 3.0),
        ("dollars_per_study", None, 20.0),
        ("evaluations_per_study", None, 50),
        ("dollars_per_study", 20.0, None),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"paused": None},
        {"evaluations_per_researcher": None},
        {"evaluations_per_researcher": 0},
        {"dollars_per_study": -1},
        {"dollars_per_study": "NaN"},
        {"secret": "x"},
        [],
    ],
)
def test_senseless_changes_are_refused(world, body):
    assert patch(world, body).status_code == 422
    study = world.operator.study(world.study)
    assert (study.paused, study.evaluations_per_researcher, study.dollars_per_study) == (False, 5, None)
    assert told(world, "budget.changed", "study.paused") == []


def test_budgets_do_not_fall_below_what_is_spent(world):
    ada = world.admit()
    for accuracy in (0.7, 0.72):
        ada.submit(method(accuracy))
    world.operator.charge(
        world.study, ChargeCreate(key="c", kind=ChargeKind.TOKENS, researcher=ada.me().id, dollars=4.0)
    )
    too_little = [{"evaluations_per_researcher": 1}, {"evaluations_per_study": 1}]
    too_little += [{"dollars_per_researcher": 3.9}, {"dollars_per_study": 3.9}]
    for body in too_little:
        response = patch(world, body)
        assert (response.status_code, response.json()["type"]) == (409, "urn:aarlab:below-spent"), body
        assert "Set at least" in response.json()["advice"]
        own = {"evaluations": 1} if "evaluations_per_researcher" in body else {"dollars": 3.9}
        assert patch(world, own, f"/researchers/{ada.me().id}").status_code == 409
    both = patch(world, {"paused": True, "evaluations_per_study": 1})
    assert both.status_code == 409
    assert not world.operator.study(world.study).paused, "all that is asked for, or nothing"
    assert told(world, "budget.changed", "study.paused") == []
    world.operator.change(world.study, StudyChange(evaluations_per_study=2, evaluations_per_researcher=2))
    with pytest.raises(BudgetExceeded):
        ada.submit(method(0.74))
    world.operator.change(world.study, StudyChange(evaluations_per_study=3))
    with pytest.raises(BudgetExceeded):
        ada.submit(method(0.74))
    assert world.operator.change_researcher(world.study, ada.me().id, ResearcherChange(evaluations=3)).id == ada.me().id
    ada.submit(method(0.74))


def test_a_researchers_own_budget_is_not_bound_by_the_studys_for_each(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    changed = world.operator.change_researcher(world.study, ada.me().id, ResearcherChange(evaluations=9, dollars=7.0))
    assert (changed.evaluations_limit, changed.dollars_left) == (9, pytest.approx(7.0, abs=1e-5))
    assert (bob.me().evaluations_limit, bob.me().dollars_left) == (5, None)
    world.operator.change(world.study, StudyChange(evaluations_per_researcher=6))
    assert (ada.me().evaluations_limit, bob.me().evaluations_limit) == (9, 6)
    world.operator.change_researcher(world.study, ada.me().id, ResearcherChange(evaluations=None, dollars=None))
    assert (ada.me().evaluations_limit, ada.me().dollars_left) == (6, None)
    changes = [payload for _, payload in told(world, "budget.changed") if payload.get("researcher") == "ada"]
    assert [(one["budget"], one["old"], one["new"]) for one in changes] == [
        ("dollars_of_researcher", None, 7.0),
        ("evaluations_of_researcher", None, 9),
        ("dollars_of_researcher", 7.0, None),
        ("evaluations_of_researcher", 9, None),
    ]


def test_a_study_that_is_over_is_not_changed_but_may_go_on(world):
    ada = world.admit()
    world.operator.change(world.study, StudyChange(paused=True))
    world.operator.finish(world.study)
    for body in ({"paused": True}, {"evaluations_per_researcher": 100}, {"paused": False, "dollars_per_study": 1}):
        response = patch(world, body)
        assert (response.status_code, response.json()["type"]) == (409, "urn:aarlab:finished"), body
    assert patch(world, {"dollars": 1}, f"/researchers/{ada.me().id}").status_code == 409
    assert not world.operator.change(world.study, StudyChange(paused=False)).paused, "what is queued is evaluated"


def test_other_studies_look_absent(world):
    ada = world.admit()
    other = world.operator.create_study(StudyCreate(testbed="synthetic", seeds=4)).id
    for study, researcher in ((other, ada.me().id), (world.study, 10**6), ("nowhere", ada.me().id)):
        with pytest.raises(NotFound):
            world.operator.change_researcher(study, researcher, ResearcherChange(evaluations=9))
    with pytest.raises(NotFound):
        world.operator.change("nowhere", StudyChange(paused=True))
    assert ada.me().evaluations_limit == 5
