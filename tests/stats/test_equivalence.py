import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aarlab.stats import Comparison, compare_accuracy, equivalence_p, verdict


def comparison(difference: float, noise: float, questions: int = 400, seed: int = 0, level: float = 0.95) -> Comparison:
    """One example a question, differences of that mean and standard error."""
    values = np.random.default_rng(seed).standard_normal(questions)
    values = difference + noise * np.sqrt(questions) * (values - values.mean()) / values.std(ddof=1)
    return compare_accuracy(values[None], np.zeros((1, questions)), np.arange(questions), level=level)


@pytest.mark.parametrize(
    ("difference", "noise", "expected"),
    [
        (0.05, 0.010, "better"),
        (-0.05, 0.010, "worse"),
        (0.0, 0.005, "equivalent"),
        (0.006, 0.002, "equivalent"),  # not zero, yet too small to matter
        (0.02, 0.002, "better"),
        (0.01, 0.020, "cannot tell"),
        (0.0, 0.030, "cannot tell"),
    ],
)
def test_four_words(difference, noise, expected):
    assert verdict(comparison(difference, noise), margin=0.015) == expected


def test_p_is_the_larger_of_two_one_sided_tests():
    found = equivalence_p(comparison(0.004, 0.005), 0.015)
    assert found == pytest.approx(max(stats.t.sf(0.019 / 0.005, 399), stats.t.sf(0.011 / 0.005, 399)))


def test_a_family_of_comparisons_brings_its_own_p():
    lone = comparison(0.05, 0.02)
    assert lone.p < 0.05
    assert verdict(lone, 0.01, p=5 * lone.p) == "cannot tell"


@pytest.mark.parametrize(("difference", "expected"), [(0.0, "equivalent"), (0.01, "equivalent"), (0.02, "better")])
def test_without_noise_the_margin_decides(difference, expected):
    first = np.full((1, 8), 0.5 + difference)
    assert verdict(compare_accuracy(first, np.full((1, 8), 0.5), np.arange(8)), 0.015) == expected


@pytest.mark.parametrize("margin", [0.0, -0.01])
def test_no_margin_no_equivalence(margin):
    with pytest.raises(ValueError, match="margin"):
        verdict(comparison(0, 0.01), margin)


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(-0.06, 0.06), st.floats(0.002, 0.03), st.floats(0.005, 0.05))
def test_the_interval_of_level_90_lies_inside_the_margin_where_equivalence_is_shown(difference, noise, margin):
    interval = comparison(difference, noise, level=0.9).difference
    inside = -margin < interval.low and interval.high < margin
    p = equivalence_p(comparison(difference, noise), margin)
    assert inside == (p < 0.05) or p == pytest.approx(0.05)


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(-0.06, 0.06), st.floats(0.002, 0.03), st.floats(0.005, 0.05))
def test_exchanging_the_two_exchanges_better_and_worse(difference, noise, margin):
    turned = {"better": "worse", "worse": "better", "equivalent": "equivalent", "cannot tell": "cannot tell"}
    assert verdict(comparison(-difference, noise), margin) == turned[verdict(comparison(difference, noise), margin)]


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(-0.06, 0.06), st.floats(0.002, 0.03), st.floats(0.005, 0.05), st.floats(1, 3))
def test_a_wider_margin_never_takes_equivalence_back(difference, noise, margin, factor):
    found = comparison(difference, noise)
    assert equivalence_p(found, margin * factor) <= equivalence_p(found, margin) * (1 + 1e-9)  # rounding


@pytest.mark.slow
def test_methods_a_margin_apart_are_rarely_called_equivalent():
    """At the margin itself the error rate is alpha: 300 experiments, binomial SE .013."""
    rng, called, trials = np.random.default_rng(5), 0, 300
    for _ in range(trials):
        first, second = rng.random((1, 3000)) < 0.65, rng.random((1, 3000)) < 0.6
        same = compare_accuracy(first.astype(float), second.astype(float), np.arange(3000))
        called += verdict(same, 0.05) == "equivalent"
    assert 0.01 < called / trials < 0.095
