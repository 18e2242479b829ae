"""Nobody may ask too often, whoever does is told when to come back, and the memory for it is bounded."""

import itertools
import time
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aarlab.api import BudgetExceeded, OperatorClient, RateLimited, _http
from aarlab.api.access import Role, TokenCreate
from aarlab.api.schemas import SubmissionCreate
from aarlab.server import Limits, Rate
from aarlab.server._limits import Buckets, address_of, retry_after
from double import TOKEN
from routes import PREFIX

SLOW = Rate(0.001, 3)  # three, then one in a quarter of an hour


class Clock:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def asked(url: str, token: str, path: str = "/studies", count: int = 1) -> list[httpx.Response]:
    with httpx.Client(base_url=url + PREFIX, headers={"Authorization": f"Bearer {token}"}) as http:
        return [http.get(path) for _ in range(count)]


# Buckets


def test_a_bucket_holds_a_burst_and_fills_again():
    clock = Clock()
    buckets = Buckets(Rate(2, 3), clock)
    assert [buckets.take("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert buckets.take("b") == 0
    clock.seconds += 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 0.5]
    clock.seconds += 3600
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


@given(
    st.lists(st.floats(0, 5, allow_subnormal=False), min_size=1, max_size=60),
    st.floats(0.1, 20),
    st.integers(1, 20),
)
def test_no_stretch_of_time_lets_more_through_than_it_may(pauses: list[float], rate: float, burst: int):
    clock = Clock()
    buckets = Buckets(Rate(rate, burst), clock)
    let: list[float] = []
    for pause in pauses:
        clock.seconds += pause
        wait = buckets.take("a")
        if not wait:
            let.append(clock.seconds)
        else:
            assert 0 < wait <= 1 / rate + 1e-9
    for first, last in itertools.combinations(range(len(let)), 2):
        assert last - first + 1 <= burst + rate * (let[last] - let[first]) + 1e-6


def test_a_wait_as_long_as_told_is_enough():
    clock = Clock()
    buckets = Buckets(Rate(0.3, 1), clock)
    assert buckets.take("a") == 0
    clock.seconds += float(retry_after(buckets.take("a")))
    assert buckets.take("a") == 0


def test_a_million_addresses_do_not_fill_the_memory():
    buckets = Buckets(Rate(1, 2), Clock(), kept=500)
    for number in range(20_000):
        buckets.take(address_of((f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1)))
        buckets.take("busy")
    assert len(buckets) == 500
    assert buckets.take("busy") > 0  # whoever keeps asking is not forgotten


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        (("192.0.2.7", 4711), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::1", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (None, "unix"),
        (("x" * 5000, 1), "x" * 100),
    ],
)
def test_what_an_address_is_counted_under(client: tuple[str, int] | None, counted: str):
    assert address_of(client) == counted


# The server


def test_a_token_may_not_ask_too_often_and_no_other_pays_for_it(serving):
    with serving(limits=Limits(token=Rate(0.001, 30))) as world:
        busy, calm = (world.operator.issue(TokenCreate(role=Role.VIEWER)).token for _ in range(2))
        answers = asked(world.url, busy, count=31)
        assert [answer.status_code for answer in answers] == [200] * 30 + [429]
        refused = answers[-1]
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["type"] == "urn:aarlab:rate"
        assert "spent" not in refused.json()
        assert 900 < int(refused.headers["retry-after"]) <= 1001
        assert asked(world.url, calm)[0].status_code == 200


def test_a_guesser_is_slowed_down_and_holds_nobody_else_up(serving):
    with serving(limits=Limits(wrong=SLOW)) as world:
        guesses = [asked(world.url, f"guess-{number}")[0].status_code for number in range(6)]
        assert guesses == [401] * 3 + [429] * 3
        assert asked(world.url, TOKEN)[0].status_code == 200
        assert httpx.get(f"{world.url}{PREFIX}/health").status_code == 200


def test_a_forwarded_address_of_nobody_we_trust_changes_nothing(serving):
    with serving(limits=Limits(wrong=SLOW)) as world:
        statuses = [
            httpx.get(f"{world.url}{PREFIX}/studies", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
            for number in range(5)
        ]
        assert statuses == [401] * 3 + [429] * 2


def test_open_paths_are_limited_by_address(serving):
    with serving(limits=Limits(address=SLOW)) as world:
        statuses = [asked(world.url, TOKEN, "/health")[0].status_code for _ in range(4)]
        assert statuses == [200] * 3 + [429]
        assert asked(world.url, TOKEN)[0].status_code == 200


def test_a_long_poll_counts_once(serving):
    with serving(limits=Limits(token=Rate(0.001, 20))) as world:
        ada = world.admit()
        one = ada.submit(SubmissionCreate(name="m", code="# accuracy=0.7\n# sleep=2.5\n")).id
        assert ada.submission(one, wait=20).status == "scored"  # looked at several times meanwhile
        token = ada._http.headers["authorization"].removeprefix("Bearer ")
        assert [answer.status_code for answer in asked(world.url, token, "/me", 19)] == [200] * 18 + [429]


# The client


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client slept, each time; it does not."""
    slept: list[float] = []
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=slept.append))
    return slept


def test_the_client_waits_as_told_and_tries_again(serving):
    with serving(limits=Limits(token=Rate(2, 1))) as world:
        token = world.operator.issue(TokenCreate(role=Role.VIEWER)).token
        began = time.monotonic()
        with OperatorClient(world.url, token) as viewer:
            assert [viewer.study(world.study).id for _ in range(3)] == [world.study] * 3
        assert time.monotonic() - began > 1.0  # twice half a second at least


def test_a_client_that_is_held_off_for_ever_says_so(serving, naps: list[float]):
    with serving(limits=Limits(token=SLOW)) as world:
        token = world.operator.issue(TokenCreate(role=Role.VIEWER)).token
        with OperatorClient(world.url, token) as viewer:
            for _ in range(3):
                viewer.studies()
            with pytest.raises(RateLimited) as caught:
                viewer.studies()
    assert caught.value.status == 429
    assert naps == [_http.MAX_HELD_SECONDS] * _http.MAX_HELD


def test_a_spent_budget_is_not_waited_for(serving, naps: list[float]):
    with serving(evaluations=1) as world:
        ada = world.admit()
        ada.submit(SubmissionCreate(name="m", code="# accuracy=0.7\n"))
        with pytest.raises(BudgetExceeded) as caught:
            ada.submit(SubmissionCreate(name="m", code="# accuracy=0.71\n"))
        assert (caught.value.spent, caught.value.limit) == (1, 1)
    assert naps == []
