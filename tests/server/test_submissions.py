"""From queued to scored: budget, repeats, failures, forum."""

import re
import time
from datetime import UTC, datetime

import pytest

from aarlab.api import BudgetExceeded, NotFound, OperatorClient, Refused
from aarlab.api.schemas import BASELINE, FindingCreate, FindingKind, Level, Status, StudyCreate, SubmissionCreate
from aarlab.evaluation.guards import DEFAULT
from aarlab.server import create_app, embedded
from double import TOKEN, VANILLA, Double


def method(accuracy: float, name: str = "m", extra: str = "", parent: int | None = None) -> SubmissionCreate:
    return SubmissionCreate(name=name, code=f"# accuracy={accuracy}\n{extra}", parent=parent)


def test_a_submission_is_scored(world):
    ada = world.admit()
    queued = ada.submit(method(0.8, "first"))
    assert (queued.status, queued.level, queued.researcher) in {
        (status, Level.CLAIMED, "ada") for status in (Status.QUEUED, Status.RUNNING)
    }
    scored = ada.wait(queued.id)
    assert (scored.status, scored.level, scored.failure) == (Status.SCORED, Level.SCORED, None)
    assert scored.feedback is not None
    assert scored.feedback.accuracy == pytest.approx(0.8, abs=0.06)
    assert scored.feedback.pgr == pytest.approx(0.8, abs=0.3)
    assert 0 <= (datetime.now(UTC) - scored.created_at).total_seconds() < 60
    assert ada.code(scored.id).code == method(0.8).code
    child = ada.submit(method(0.81, "second", parent=scored.id))
    assert child.parent == scored.id
    me = ada.me()
    assert (me.evaluations_used, me.evaluations_limit, me.direction) == (2, 5, "what ada likes")


def test_the_study(world):
    ada = world.admit()
    (baseline,) = ada.submissions()
    ada.wait(baseline.id)  # its answer changes what the guard says is left
    study = ada.study()
    assert study == world.operator.study(world.study)
    assert study.floor.accuracy < study.ceiling.accuracy
    assert (study.guard, study.guarded) == (DEFAULT, True)
    assert "answers are left" in study.guard_says
    assert study.seeds == 3
    with pytest.raises(Refused, match="'chess' cannot be had"):
        world.operator.create_study(StudyCreate(testbed="chess"))


def test_the_same_code_is_evaluated_once_and_paid_once(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    first = ada.submit(method(0.8, "mine"))
    assert bob.submit(method(0.8, "no, mine")).id == first.id
    assert ada.submit(method(0.8, "again")).id == first.id
    assert bob.wait(first.id).name == "mine"
    assert (ada.me().evaluations_used, bob.me().evaluations_used) == (1, 0)
    assert [code for code, _, _ in world.double.calls].count(method(0.8).code) == 1
    baseline = bob.submit(SubmissionCreate(name="copy", code=VANILLA))
    assert baseline.researcher == BASELINE
    assert bob.me().evaluations_used == 0


def test_budget(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    codes = [method(0.7, extra="# fail=timeout" if i == 0 else f"# {i}") for i in range(5)]
    ids = [ada.submit(code).id for code in codes]
    with pytest.raises(BudgetExceeded, match="All 5 evaluations") as caught:
        ada.submit(method(0.9))
    assert (caught.value.spent, caught.value.limit, caught.value.status) == (5, 5, 429)
    assert caught.value.advice
    assert ada.submit(codes[3]).id == ids[3], "known code is found also when the budget is spent"
    assert ada.wait(ids[0]).status == Status.FAILED
    assert ada.me().evaluations_used == 5, "a failed evaluation counts"
    bob.submit(method(0.9))
    ada.post(FindingCreate(kind=FindingKind.INSIGHT, title="that was that"))


def test_a_failing_method_is_told_and_the_study_goes_on(world):
    ada = world.admit()
    failed = ada.wait(ada.submit(method(0.7, extra="# fail=wrong-shape")).id)
    assert (failed.status, failed.level, failed.feedback) == (Status.FAILED, Level.CLAIMED, None)
    assert failed.failure is not None
    assert (failed.failure.kind, failed.failure.advice) == ("wrong-shape", "Do better.")
    assert failed.failure.message.startswith("It failed on public.\N{REPLACEMENT CHARACTER}")
    assert len(failed.failure.message) == 4000
    assert ada.wait(ada.submit(method(0.8)).id).status == Status.SCORED
    assert failed.id in [s.id for s in world.operator.submissions(world.study)]
    assert failed.id not in [row.submission for row in world.operator.leaderboard(world.study)]


@pytest.mark.parametrize("error", ["ValueError", "RuntimeError"])
def test_a_fault_in_the_evaluator_stops_one_evaluation_only(world, error, caplog):
    ada = world.admit()
    failed = ada.wait(ada.submit(method(0.7, extra=f"# raise={error}")).id)
    assert failed.failure is not None
    assert failed.failure.kind == "unforeseen"
    assert ada.me().evaluations_used == 1, "hostile code may have provoked it, so it is not free"
    assert ada.wait(ada.submit(method(0.8)).id).status == Status.SCORED
    assert "odd" in caplog.text


def test_our_own_failures_cost_nothing_and_may_be_repeated(world, caplog):
    ada, bob = world.admit("ada"), world.admit("bob")
    ada.wait(1)  # the baseline
    world.double.broken = True
    failed = ada.wait(ada.submit(method(0.8)).id)
    assert failed.failure is not None
    assert failed.failure.kind == "server-fault"
    assert ada.me().evaluations_used == 0
    assert "could not be run" in caplog.text
    world.double.broken = False
    again = bob.wait(bob.submit(method(0.8)).id)
    assert (again.id, again.status, again.researcher) == (failed.id, Status.SCORED, "ada")
    assert (ada.me().evaluations_used, bob.me().evaluations_used) == (0, 1), "whoever asks again pays"


def test_a_finished_study_takes_no_submissions(world):
    ada = world.admit()
    known = ada.submit(method(0.8))
    assert not ada.study().finished
    assert world.operator.finish(world.study).finished
    with pytest.raises(Refused) as caught:
        ada.submit(method(0.9))
    assert (caught.value.status, caught.value.type) == (409, "urn:aarlab:finished")
    assert ada.submit(method(0.8)).id == known.id
    assert ada.wait(known.id).status == Status.SCORED, "what was queued is still evaluated"


def test_long_polls_end_with_the_evaluation_or_with_their_time(world):
    ada = world.admit()
    slow = ada.submit(method(0.8, extra="# sleep=1"))
    started = time.monotonic()
    assert ada.submission(slow.id, wait=0.2).status == Status.RUNNING
    assert 0.2 <= time.monotonic() - started < 0.9
    assert ada.submission(slow.id, wait=20).status == Status.SCORED
    assert time.monotonic() - started < 3
    assert ada.wait(slow.id, timeout=0).status == Status.SCORED


def test_forum(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    scored = ada.wait(ada.submit(method(0.8)).id)
    first = ada.post(FindingCreate(kind=FindingKind.RESULT, title="It works", body="a\n\tb", submission=scored.id))
    assert scored.feedback is not None
    assert (first.researcher, first.pgr, first.body) == ("ada", scored.feedback.pgr, "a\n\tb")
    second = bob.post(FindingCreate(kind=FindingKind.HYPOTHESIS, title="Why?"))
    assert (second.pgr, second.submission) == (None, None)
    assert ada.findings() == [first, second] == world.operator.findings(world.study)
    assert bob.findings(after=first.id) == [second]
    with pytest.raises(NotFound):
        world.operator.findings("nowhere")


def test_listings_come_in_pages(world):
    ada = world.admit()
    for i in range(205):
        ada.post(FindingCreate(kind=FindingKind.INSIGHT, title=f"{i}"))
    found = ada.findings()
    assert [f.title for f in found] == [f"{i}" for i in range(205)]
    assert len(ada._get("/findings", list, limit=7)) == 7
    for bad in ({"limit": 201}, {"limit": 0}, {"after": -1}, {"after": 2**63}):
        with pytest.raises(Refused) as caught:
            ada._get("/findings", list, **bad)
        assert caught.value.status == 422


def test_progress(world):
    world.admit("ada"), world.admit("bob").submit(method(0.8))
    assert [(r.name, r.evaluations_used) for r in world.operator.researchers(world.study)] == [("ada", 0), ("bob", 1)]


def test_what_is_refused_leaves_nothing_on_the_disk(world, tmp_path):
    def kept() -> int:
        return sum(path.is_file() for path in (tmp_path / "artifacts").rglob("*"))

    ada = world.admit()
    for n in range(5):
        ada.wait(ada.submit(method(0.7, extra=f"# {n}")).id)
    bob = world.admit("bob")
    before = kept()
    with pytest.raises(BudgetExceeded):
        ada.submit(method(0.7, extra="# beyond"))
    with pytest.raises(NotFound):
        bob.submit(method(0.7, extra="# an orphan", parent=10**6))
    world.operator.finish(world.study)
    with pytest.raises(Refused):
        bob.submit(method(0.7, extra="# too late"))
    assert kept() == before


def test_the_whole_study_has_a_budget_too(world):
    study = world.operator.create_study(
        StudyCreate(testbed="synthetic", evaluations_per_researcher=4, evaluations_per_study=5)
    ).id
    ada, bob = world.admit("ada", study), world.admit("bob", study)
    for i in range(4):
        ada.submit(method(0.7, extra=f"# {i}"))
    assert (ada.me().evaluations_left, bob.me().evaluations_left) == (0, 1)
    assert (ada.study().evaluations_used, ada.study().evaluations_per_study) == (4, 5)
    bob.submit(method(0.7, extra="# 4"))
    with pytest.raises(BudgetExceeded, match="of the study") as caught:
        bob.submit(method(0.7, extra="# 5"))
    assert (caught.value.spent, caught.value.limit) == (5, 5)
    assert bob.me().evaluations_left == 0


def test_exact_feedback_marks_the_study(world):
    marked = world.operator.create_study(StudyCreate(testbed="synthetic", guard="exact"))
    assert not marked.guarded
    ada = world.admit("ada", marked.id)
    scored = ada.wait(ada.submit(method(0.8)).id)
    row = next(row for row in world.operator.leaderboard(marked.id) if row.submission == scored.id)
    assert scored.feedback.accuracy == pytest.approx(row.accuracy_public, abs=1e-6)
    with pytest.raises(ValueError, match="there is no guard"):
        StudyCreate(testbed="synthetic", guard="none")


def test_a_testbed_of_ones_own_makes_a_study_that_can_be_addressed(tmp_path):
    """Its name is the path of a folder."""
    app = create_app(tmp_path / "study.db", lambda _testbed, _secret: Double(), TOKEN)
    with embedded(app) as url, OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="/some where/my testbed"))
        assert re.fullmatch(r"my-testbed-[0-9a-f]{8}", study.id)
        assert operator.study(study.id) == study
