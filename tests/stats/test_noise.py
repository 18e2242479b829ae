import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aarlab.stats._noise import Mean, Questions, Variance, critical_value, question_variance, tail_above


def part(variance: float, degrees: int, measured: float | None = None) -> Variance:
    return Variance("", variance, variance if measured is None else measured, degrees)


VARIANCES = st.just(0.0) | st.floats(1e-6, 10)
PARTS = st.lists(st.builds(part, VARIANCES, st.integers(1, 500)), min_size=1, max_size=3)


def test_a_mean_by_hand():
    """Two questions of one and three examples: residuals are sums less mean times size, over the total."""
    mean = Mean(np.array([1.0, 0.0, 0.0, 1.0]), Questions(np.array([7, 3, 3, 3])))
    assert mean.value == 0.5
    assert mean.residuals == pytest.approx([(1 - 1.5) / 4, (1 - 0.5) / 4])
    assert question_variance(mean.residuals).variance == pytest.approx(2 * 2 * 0.125**2)


def test_what_seeds_shift_is_the_textbook_estimate_of_a_two_way_layout():
    """(MS_seeds - MS_interaction) / (seeds * questions), one observation a cell."""
    table = np.random.default_rng(0).random((5, 40)) + np.linspace(0, 0.5, 5)[:, None]
    found = Mean(table, Questions(np.arange(40))).seed_variance("")
    by_seed, by_question, grand = table.mean(axis=1), table.mean(axis=0), table.mean()
    seeds = 40 * np.square(by_seed - grand).sum() / 4
    interaction = np.square(table - by_seed[:, None] - by_question + grand).sum() / (4 * 39)
    assert found.variance == pytest.approx((seeds - interaction) / (5 * 40))
    assert found.measured == pytest.approx(seeds / (5 * 40))
    assert found.degrees_of_freedom == 4


@pytest.mark.parametrize("seeds", [1, 3])
def test_seeds_that_agree_shift_nothing(seeds: int):
    values = np.tile(np.random.default_rng(0).random(30), (seeds, 1))
    assert Mean(values, Questions(np.arange(30) // 2)).seed_variance("").variance == pytest.approx(0, abs=1e-15)


def test_one_question_shows_no_noise():
    with pytest.raises(ValueError, match="two questions"):
        Questions(np.zeros(5, dtype=int))


@pytest.mark.parametrize("degrees", [1, 2, 15, 400])
def test_one_source_is_the_t_distribution(degrees: int):
    assert critical_value([part(3.0, degrees)], 0.025) == pytest.approx(stats.t.ppf(0.975, degrees))
    assert tail_above([part(3.0, degrees)], 1.7) == pytest.approx(stats.t.sf(1.7, degrees))


@settings(deadline=None)  # a busy machine is no failure
@given(PARTS, st.floats(0.001, 0.4))
def test_between_the_best_and_the_worst_known_source(parts: list[Variance], tail: float):
    found = critical_value(parts, tail)
    worst = min((p.degrees_of_freedom for p in parts if p.variance), default=parts[0].degrees_of_freedom)
    assert -stats.norm.ppf(tail) <= found * (1 + 1e-9)
    assert found <= stats.t.isf(tail, worst) * (1 + 1e-9)


@settings(deadline=None)  # a busy machine is no failure
@given(PARTS, st.floats(-8, 8))
def test_tail_and_critical_value_are_inverse(parts: list[Variance], statistic: float):
    tail = tail_above(parts, statistic)
    assert 0 <= tail <= 1
    assert tail + tail_above(parts, -statistic) == pytest.approx(1)
    if 1e-12 < tail < 0.5 - 1e-9:
        assert critical_value(parts, tail) == pytest.approx(statistic, rel=1e-4, abs=1e-6)
