"""What research costs: charged once, summed up, stopped in time."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aarlab import api
from aarlab.api import BudgetExceeded, NotFound, Refused, ledger, schemas
from aarlab.api.access import Role, TokenCreate
from aarlab.api.ledger import ChargeCreate, ChargeKind, LedgerView
from aarlab.api.schemas import ResearcherChange, StudyChange, StudyCreate, SubmissionCreate
from aarlab.server._budgets import Spent, _check_dollars
from aarlab.server._models import ResearcherRow, StudyRow
from aarlab.server._problems import ProblemError
from double import AUDIT_SECONDS, TOKEN

DOCUMENT = Path(__file__).parents[2] / "docs" / "ledger.md"


def method(accuracy: float, extra: str = "") -> SubmissionCreate:
    return SubmissionCreate(name="m", code=f"# accuracy={accuracy}\n{extra}")


def tokens(key: str, dollars: float | None, **more: Any) -> ChargeCreate:
    return ChargeCreate(key=key, kind=ChargeKind.TOKENS, dollars=dollars, **more)


def post(world, body: object) -> httpx.Response:
    url = f"{world.url}/api/v1/studies/{world.study}/charges"
    return httpx.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"})


def test_evaluations_are_charged_to_whoever_pays_for_them(world):
    world.study = world.operator.create_study(StudyCreate(testbed="synthetic", cpu_dollars=36_000)).id
    ada, bob = world.admit("ada", world.study), world.admit("bob", world.study)
    good, same, bad = (
        researcher.submit(code).id
        for researcher, code in ((ada, method(0.8)), (bob, method(0.8)), (bob, method(0.7, "# fail=timeout\n")))
    )
    for one in (good, bad):
        ada.wait(one, timeout=20)
    assert same == good
    world.operator.audit(world.study, [good])
    world.operator.confirm(world.study, [good])
    found = world.operator.charges(world.study)
    assert [one.id for one in found] == sorted(one.id for one in found)
    baseline = next(s.id for s in world.operator.submissions(world.study) if s.researcher == "baseline")
    # The baseline, audits and looks on private are nobody's; what failed, nobody has measured.
    assert sorted((one.researcher or "", one.submission, one.seconds) for one in found) == sorted(
        [("ada", good, 0.01)]
        + [("", one, seconds) for one in (good, baseline) for seconds in (0.01, AUDIT_SECONDS)]
        + [("", baseline, 0.01)]
    )
    assert all(one.kind == ChargeKind.CPU for one in found)
    assert all(one.dollars == pytest.approx(10 * one.seconds) for one in found)
    assert (ada.me().dollars_used, bob.me().dollars_used) == (pytest.approx(0.1), 0)
    assert len({one.key for one in found}) == len(found)


def test_a_charge_is_entered_once(world):
    ada = world.admit()
    wanted = tokens("call-1", 0.25, researcher=ada.me().id, model="m-1", input_tokens=1000, output_tokens=20)
    first = world.operator.charge(world.study, wanted)
    assert (first.researcher, first.dollars, first.model) == ("ada", 0.25, "m-1")
    assert world.operator.charge(world.study, wanted) == first
    assert ada.me().dollars_used == 0.25
    for other in ({"dollars": 0.26}, {"researcher": None}, {"output_tokens": 21}, {"model": None}):
        with pytest.raises(Refused, match="another content") as caught:
            world.operator.charge(world.study, wanted.model_copy(update=other))
        assert (caught.value.status, caught.value.type) == (409, "urn:aarlab:key-reused")
    events = [event for event in world.operator.events(world.study) if event.kind == "charge.entered"]
    assert [event.payload for event in events] == [
        {"key": "call-1", "charged": "tokens", "researcher": "ada", "model": "m-1", "dollars": 0.25}
    ]
    other = world.operator.create_study(StudyCreate(testbed="synthetic", seeds=4)).id
    assert world.operator.charge(other, tokens("call-1", 3.0)).dollars == 3.0, "a key is of one study"


def test_a_charge_that_arrives_many_times_at_once_is_one(world):
    wanted = tokens("call", 0.25)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: world.operator.charge(world.study, wanted), range(16)))
    assert len({one.id for one in found}) == 1
    assert [event.kind for event in world.operator.events(world.study)].count("charge.entered") == 1


def test_prices(world):
    assert world.operator.charge(world.study, ChargeCreate(key="g", kind=ChargeKind.GPU, seconds=1200)).dollars == 1.0
    assert world.operator.charge(
        world.study, ChargeCreate(key="c", kind=ChargeKind.CPU, seconds=3600)
    ).dollars == pytest.approx(0.05)
    assert (
        world.operator.charge(world.study, ChargeCreate(key="o", kind=ChargeKind.GPU, seconds=9, dollars=7)).dollars
        == 7
    )
    with pytest.raises(Refused, match="does not know what tokens cost"):
        world.operator.charge(world.study, tokens("t", None, input_tokens=5))
    dear = world.operator.create_study(StudyCreate(testbed="synthetic", gpu_dollars=1e6)).id
    with pytest.raises(Refused, match="at most"):
        world.operator.charge(dear, ChargeCreate(key="much", kind=ChargeKind.GPU, seconds=10**6))


@pytest.mark.parametrize(
    "change",
    [
        {"key": ""},
        {"key": "x" * 201},
        {"key": "a\nb"},
        {"key": "a\0"},
        {"key": "evaluation:1:public"},
        {"kind": "bribe"},
        {"dollars": -0.01},
        {"dollars": 1e9},
        {"dollars": "Infinity"},
        {"input_tokens": -1},
        {"input_tokens": 2**31},
        {"seconds": 1e300},
        {"model": "m\u202e"},
        {"at": "yesterday"},
    ],
)
def test_senseless_charges_are_refused(world, change):
    response = post(world, {"key": "k", "kind": "tokens", "dollars": 1.0} | change)
    assert response.status_code == 422, response.text
    assert [one for one in world.operator.charges(world.study) if one.kind == ChargeKind.TOKENS] == []


def test_charges_stay_in_their_study(world):
    ada = world.admit()
    mine = ada.submit(method(0.8)).id
    other = world.operator.create_study(StudyCreate(testbed="synthetic", seeds=4)).id
    for wrong in ({"researcher": ada.me().id}, {"submission": mine}, {"researcher": 10**6}, {"submission": 10**6}):
        with pytest.raises(NotFound):
            world.operator.charge(other, tokens("k", 1.0, **wrong))
    for ask in (
        world.operator.charges,
        world.operator.ledger,
        lambda study: world.operator.charge(study, tokens("k", 1)),
    ):
        with pytest.raises(NotFound):
            ask("nowhere")
    assert world.operator.ledger(other).total.dollars < 0.01


def test_charges_come_in_pages(world, monkeypatch):
    monkeypatch.setattr("aarlab.api._http.PAGE", 2)
    keys = [world.operator.charge(world.study, tokens(f"k{i}", 0.01)).key for i in range(5)]
    assert [one.key for one in world.operator.charges(world.study) if one.kind == ChargeKind.TOKENS] == keys


def test_a_study_that_is_over_still_takes_charges(world):
    world.operator.finish(world.study)
    world.operator.charge(world.study, tokens("late", 1.0))
    assert world.operator.ledger(world.study).total.dollars >= 1.0


def test_a_researcher_is_stopped_before_its_limit(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    assert ada.me().dollars_left is None
    ada.wait(1, timeout=20)  # the baseline, whose charge would come between
    world.operator.change_researcher(world.study, ada.me().id, ResearcherChange(dollars=1.0))
    assert ada.me().dollars_left == pytest.approx(1.0, abs=1e-5)
    world.operator.charge(world.study, tokens("1", 0.3, researcher=ada.me().id))
    assert ada.me().dollars_left == pytest.approx(0.4), "a call of 0.3 may be under way"
    scored = ada.submit(method(0.8))
    ada.wait(scored.id, timeout=20)
    world.operator.charge(world.study, tokens("2", 0.3, researcher=ada.me().id))
    world.operator.charge(world.study, tokens("3", 0.2, researcher=ada.me().id))
    assert ada.me().dollars_left == 0
    with pytest.raises(
        BudgetExceeded, match=r"\$0.80 of the \$1.00 are spent, and no more than \$0.70 may be"
    ) as caught:
        ada.submit(method(0.81))
    assert caught.value.spent == pytest.approx(0.8)
    assert caught.value.limit == 1.0
    assert ada.submit(method(0.8)).id == scored.id, "what is known costs nothing"
    bob.submit(method(0.82))
    world.operator.change_researcher(world.study, ada.me().id, ResearcherChange(dollars=2.0))
    ada.submit(method(0.81))


def test_all_are_stopped_before_the_studys_limit(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    ada.wait(1, timeout=20)
    world.operator.change(world.study, StudyChange(dollars_per_study=1.0))
    world.operator.charge(world.study, tokens("1", 0.2, researcher=ada.me().id))
    assert bob.me().dollars_left == pytest.approx(0.4, abs=1e-5), "each of the two may have a call under way"
    world.operator.charge(world.study, tokens("2", 0.2))
    world.operator.charge(world.study, tokens("3", 0.2))
    for one in (ada, bob):
        assert one.me().dollars_left == 0
        with pytest.raises(BudgetExceeded, match="of the study are spent"):
            one.submit(method(0.8))
    total = world.operator.ledger(world.study).total
    assert (total.stopped, total.dollars_limit) == (True, 1.0)
    assert total.dollars_stop == pytest.approx(0.6, abs=1e-5)


def test_evaluations_that_wait_count_against_the_budget(world):
    world.study = world.operator.create_study(
        StudyCreate(testbed="synthetic", cpu_dollars=36_000, evaluations_per_researcher=50)
    ).id
    ada = world.admit("ada", world.study)
    baseline = next(s.id for s in world.operator.submissions(world.study))
    ada.wait(baseline, timeout=20)  # 0.1 dollars, so that is what one may cost
    world.operator.change_researcher(world.study, ada.me().id, ResearcherChange(dollars=1.0))
    sent: list[int] = []
    with pytest.raises(BudgetExceeded):
        sent.extend(ada.submit(method(0.7, f"# sleep=0.2\n# {i}\n")).id for i in range(50))
    for one in sent:
        ada.wait(one, timeout=20)
    assert 0.5 < ada.me().dollars_used <= 1.0


def test_the_summary(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    good = ada.wait(ada.submit(method(0.82)).id, timeout=20)
    empty = world.operator.ledger(world.study)
    assert (empty.models, empty.dollars_per_point) == ((), None)
    ids = {"ada": ada.me().id, "bob": bob.me().id}
    for key, who, model, dollars in (
        ("1", "ada", "large", 2.0),
        ("2", "ada", "small", 0.5),
        ("3", "bob", "large", 1.0),
        ("4", "bob", None, 0.25),
    ):
        used = {"input_tokens": 100, "output_tokens": 10, "cached_tokens": 1}
        world.operator.charge(world.study, tokens(key, dollars, researcher=ids[who], model=model, **used))
    world.operator.charge(world.study, ChargeCreate(key="gpu", kind=ChargeKind.GPU, seconds=600, researcher=ids["bob"]))
    world.operator.charge(world.study, ChargeCreate(key="host", kind=ChargeKind.CPU, seconds=3600, dollars=4.0))
    world.operator.audit(world.study, [good.id])
    world.operator.confirm(world.study, [good.id])
    found = world.operator.ledger(world.study)
    cents = pytest.approx
    assert [(one.model, one.calls, one.input_tokens) for one in found.models] == [
        ("large", 2, 200),
        ("small", 1, 100),
        ("(unnamed)", 1, 100),
    ]
    assert [one.researcher for one in found.researchers] == ["ada", "bob"]
    assert [one.dollars for one in found.researchers] == [cents(2.5, abs=1e-4), cents(1.75, abs=1e-4)]
    assert (found.researchers[0].evaluations, found.researchers[0].output_tokens) == (1, 20)
    assert (found.researchers[1].gpu_seconds, found.researchers[1].cpu_seconds) == (600, 0)
    audits = 2 * AUDIT_SECONDS  # the baseline's and hers
    assert found.unassigned_dollars == cents(4.0 + audits / 3600 * 0.05, abs=1e-5)
    assert found.total.dollars == cents(8.25 + audits / 3600 * 0.05, abs=1e-4)
    assert found.total.cpu_seconds == cents(3600 + audits, abs=1)
    assert found.total.hours == cents(sum(one.hours for one in found.researchers))
    rows = {row.submission: row.pgr_private for row in world.operator.leaderboard(world.study)}
    best, vanilla = rows[good.id], rows[min(rows)]
    assert found.dollars_per_point == cents(found.total.dollars / (100 * (best.estimate - vanilla.estimate)))


def test_viewers_see_the_ledger_but_not_what_a_point_costs(world):
    ada = world.admit()
    good = ada.wait(ada.submit(method(0.82)).id, timeout=20)
    world.operator.audit(world.study, [good.id])
    world.operator.confirm(world.study, [good.id])
    assert world.operator.ledger(world.study).dollars_per_point is not None
    wanted = TokenCreate(role=Role.VIEWER, study=world.study)
    with httpx.Client(base_url=f"{world.url}/api/v1", headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        token = http.post("/tokens", json=wanted.model_dump(mode="json")).json()["token"]
    with httpx.Client(base_url=f"{world.url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as http:
        seen = LedgerView.model_validate(http.get(f"/studies/{world.study}/ledger").json())
        assert http.get(f"/studies/{world.study}/charges").status_code == 403
        assert http.post(f"/studies/{world.study}/charges", json={}).status_code == 403
    assert seen.dollars_per_point is None
    assert seen.researchers[0].evaluations == 1


def test_what_the_document_shows_works(world):
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    for name in ("ada", "bob", "eve"):
        world.admit(name)
    names = {name: getattr(module, name) for module in (api, ledger, schemas) for name in dir(module)}
    for block in blocks:
        exec(block, names | {"url": world.url, "token": TOKEN, "study": world.study, "operator": world.operator})
    changed = world.operator.study(world.study)
    assert (len(blocks), changed.paused, changed.dollars_per_study) == (2, False, 150.0)
    assert [one.dollars_used for one in world.operator.researchers(world.study)] == [0, 0, 0.21]
    assert world.operator.researchers(world.study)[2].evaluations_limit == 20


# No limit is passed, whatever is done in whatever order


@dataclass
class Market:
    """A study whose researchers look before each call, and make one at a time."""

    study: StudyRow
    researchers: list[ResearcherRow]
    dearest: float
    dearest_evaluation: float
    dollars: dict[int | None, float] = field(default_factory=dict)
    calling: set[int] = field(default_factory=set)
    waiting: dict[int | None, int] = field(default_factory=dict)

    def spent(self) -> Spent:
        return Spent(
            {}, self.dollars, self.waiting, self.dearest, self.dearest_evaluation, callers=len(self.researchers)
        )

    def act(self, what: str, who: int, share: float) -> None:
        row = self.researchers[who % len(self.researchers)]
        if what == "call" and row.id not in self.calling and self.spent().left(row) != 0:
            self.calling.add(row.id)
        elif what == "pay" and row.id in self.calling:
            self.calling.remove(row.id)
            self.dollars[row.id] = self.dollars.get(row.id, 0.0) + share * self.dearest
        elif what == "submit":
            try:
                _check_dollars(self.spent(), row)
            except ProblemError:
                return
            self.waiting[row.id] = self.waiting.get(row.id, 0) + 1
        elif what == "score" and self.waiting.get(row.id, 0):
            self.waiting[row.id] -= 1
            self.dollars[row.id] = self.dollars.get(row.id, 0.0) + share * self.dearest_evaluation


LIMITS = st.none() | st.integers(0, 16).map(lambda n: n / 2)
ACTS = ("call", "call", "pay", "submit", "score")


@given(
    shared=LIMITS,
    each=LIMITS,
    own=LIMITS,
    count=st.integers(1, 4),
    evaluation=st.sampled_from([0.01, 0.5, 1.0]),
    shares=st.sampled_from([(1.0,), (1.0, 0.3), (0.2,)]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=300)
def test_no_limit_is_passed_while_no_charge_is_dearer_than_before(shared, each, own, count, evaluation, shares, seed):
    study = StudyRow(id="s", dollars_per_study=shared, dollars_per_researcher=each)
    rows = [ResearcherRow(id=i, study=study, dollars=own if i == 1 else None) for i in range(1, count + 1)]
    market = Market(study, rows, dearest=1.0, dearest_evaluation=evaluation)
    drawn = random.Random(seed)
    for _ in range(150):
        market.act(drawn.choice(ACTS), drawn.randrange(count), drawn.choice(shares))
    for row in rows:  # what is under way comes in, at its worst
        market.act("pay", row.id - 1, 1.0)
        while market.waiting.get(row.id, 0):
            market.act("score", row.id - 1, 1.0)
    for row in rows:
        assert row.dollars_limit is None or market.dollars.get(row.id, 0.0) <= row.dollars_limit + 1e-9
    assert shared is None or sum(market.dollars.values()) <= shared + 1e-9


def test_the_first_call_may_pass_the_limit():
    """Nothing is known of its price yet. So the test above can fail, too."""
    study = StudyRow(id="s", dollars_per_study=None, dollars_per_researcher=1.0)
    rows = [ResearcherRow(id=1, study=study, dollars=None)]
    market = Market(study, rows, dearest=0.0, dearest_evaluation=0.0, dollars={1: 0.9})
    market.act("call", 0, 1.0)
    market.dearest = 0.4
    market.act("pay", 0, 1.0)
    assert market.dollars[1] > 1.0
