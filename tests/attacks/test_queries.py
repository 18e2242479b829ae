"""Query attacks: exact answers give labels away, the default guard's do not. The same code as the server's answers."""

import numpy as np
import pytest

from aarlab.attacks.queries import ATTACKS, GuardedOracle, Leak, leak
from aarlab.evaluation.guards import DEFAULT, ExactGuard, make_guard, step_for
from aarlab.testbeds import Testbed

QUERIES = 400


def method(testbed: Testbed) -> np.ndarray:
    """P(label = 1) of a method that is right on 72%, and the more often the surer it is."""
    rng = np.random.default_rng(3)
    labels = testbed.labels("public")
    likely = rng.uniform(0.5, 0.94, len(labels))
    right = rng.random(len(labels)) < likely
    return np.where(right == (labels == 1), likely, 1 - likely)


@pytest.fixture(scope="module")
def base(small_testbed: Testbed) -> np.ndarray:
    return method(small_testbed)


def run(testbed: Testbed, guard: str, attack: str, base: np.ndarray, queries: int, seed: int = 0) -> Leak:
    rng = np.random.default_rng(seed)
    examples = len(testbed.labels("public"))
    oracle = GuardedOracle(make_guard(guard, rng.bytes(32), step=step_for(testbed), examples=examples), testbed)
    return leak(attack, oracle, base, oracle.labels, oracle.groups, queries, rng)


@pytest.mark.parametrize("attack", ATTACKS)
def test_exact_answers_give_labels_away(small_testbed: Testbed, base: np.ndarray, attack: str):
    found = run(small_testbed, "exact", attack, base, QUERIES)
    assert found.gained > found.chance


@pytest.mark.parametrize("attack", ["single-flips", "linear-programming", "least-squares", "border-search"])
def test_some_attacks_on_exact_answers_read_all_labels(small_testbed: Testbed, base: np.ndarray, attack: str):
    assert run(small_testbed, "exact", attack, base, QUERIES).right == len(base)


@pytest.mark.parametrize("attack", [name for name in ATTACKS if name != "informed-regression"])
def test_the_default_gives_no_more_than_chance(chat: Testbed, attack: str):
    found = [run(chat, DEFAULT, attack, method(chat), 1000, seed) for seed in range(3)]
    assert np.mean([one.gained for one in found]) <= np.mean([one.chance for one in found])
    assert np.mean([one.inflation / one.inflation_se for one in found]) < 2


def test_what_the_strongest_attack_gains_stops_growing(chat: Testbed):
    """A hundred answers have to tell something; a thousand tell no more than that, and rounded ones ever more."""

    def gained(guard: str, queries: int) -> float:
        found = [run(chat, guard, "informed-regression", method(chat), queries, seed) for seed in range(4)]
        return float(np.mean([one.gained for one in found]))

    assert gained(DEFAULT, 1000) < gained(DEFAULT, 109) + 20
    assert gained("rounded", 1000) > gained("rounded", 109) + 60


def test_the_same_code_is_answered_once(small_testbed: Testbed):
    oracle = GuardedOracle(make_guard(DEFAULT, b"s" * 32, step=0.05, examples=240), small_testbed)
    guess = small_testbed.labels("public").copy()
    first = oracle.ask(guess)
    assert {oracle.ask(guess, salt) for salt in ("", "a comment", "another")} == {first}
    assert oracle.state.answers == 1


def test_the_oracle_tells_what_its_guard_tells(small_testbed: Testbed):
    labels = small_testbed.labels("public")
    oracle = GuardedOracle(ExactGuard(len(labels)), small_testbed)
    guess = labels.copy()
    guess[:60] ^= 1
    assert oracle.ask(guess) == pytest.approx(1 - 60 / len(labels))


def test_who_learns_nothing_gains_nothing(small_testbed: Testbed, base: np.ndarray):
    class Silent:
        n = len(base)

        def ask(self, guess: np.ndarray, salt: str = "") -> float:  # noqa: ARG002
            return 0.6

    labels, groups = small_testbed.labels("public"), small_testbed.groups("public")
    for name in ATTACKS:
        found = leak(name, Silent(), base, labels, groups, 200, np.random.default_rng(0))
        assert (found.gained, found.departed) == (0, 0)


def test_every_attack_is_described():
    assert all(plan.what and len(plan.what) < 120 for plan in ATTACKS.values())
