import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aarlab.stats import compare_accuracy


def test_equals_the_paired_t_test_when_each_question_has_one_example():
    rng = np.random.default_rng(0)
    first, second = rng.random(300), rng.random(300)
    ours = compare_accuracy(first[None], second[None], np.arange(300))
    theirs = stats.ttest_rel(first, second)
    assert ours.p == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval()
    assert (ours.difference.low, ours.difference.high) == (pytest.approx(low), pytest.approx(high))


def test_copies_of_an_example_are_no_new_evidence():
    rng = np.random.default_rng(1)
    first, second = rng.random(100), rng.random(100)
    once = compare_accuracy(first[None], second[None], np.arange(100))
    copied = compare_accuracy(np.repeat(first, 7)[None], np.repeat(second, 7)[None], np.repeat(np.arange(100), 7))
    assert copied.p == pytest.approx(once.p)


def test_the_same_method_twice_is_no_difference():
    correct = np.ones((2, 50))
    same = compare_accuracy(correct, correct, np.arange(50))
    assert same.p == 1
    assert same.difference.estimate == 0


def test_false_positives_under_no_difference_are_as_rare_as_promised():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(120), 4)
    rejected = 0
    for _ in range(400):
        shared = np.repeat(rng.random(120), 4)
        first, second = (rng.random((3, 480)) < shared for _ in range(2))
        rejected += compare_accuracy(first.astype(float), second.astype(float), groups).p < 0.05
    assert rejected / 400 < 0.085


def shifted_by_seed(rng: np.random.Generator, seeds: int, questions: int, noise: float) -> np.ndarray:
    """Correctness of a method whose accuracy differs by training seed."""
    accuracy = 0.65 + noise * rng.standard_normal((seeds, 1))
    return (rng.random((seeds, questions)) < accuracy).astype(float)


def test_false_positives_stay_rare_where_seeds_differ():
    """Questions alone would call a quarter of these different."""
    rng, rejected, by_questions = np.random.default_rng(3), 0, 0
    for _ in range(400):
        first, second = (shifted_by_seed(rng, 3, 300, 0.04) for _ in range(2))
        found = compare_accuracy(first, second, np.arange(300))
        rejected += found.p < 0.05
        by_questions += abs(found.difference.estimate) > 1.96 * np.sqrt(found.parts[0].variance)
    assert rejected / 400 < 0.085
    assert by_questions / 400 > 0.15


def test_what_seeds_shift_is_part_of_the_standard_error():
    rng = np.random.default_rng(4)
    restless, steady = shifted_by_seed(rng, 3, 300, 0.1), shifted_by_seed(rng, 1, 300, 0.0)
    found = compare_accuracy(restless, steady, np.arange(300))
    spread = restless.mean(axis=1).std(ddof=1) / np.sqrt(3)
    assert found.seed_error == pytest.approx(spread, rel=0.1)
    assert found.standard_error == pytest.approx(np.hypot(found.question_sd / np.sqrt(300), found.seed_error))
    margin = found.difference.high - found.difference.estimate
    assert margin > 2.5 * found.standard_error  # three seeds: two degrees of freedom


def test_p_and_interval_agree():
    rng = np.random.default_rng(5)
    for seeds in (1, 3, 8):
        for _ in range(30):
            first, second = (shifted_by_seed(rng, seeds, 100, 0.03) for _ in range(2))
            found = compare_accuracy(first, second, np.arange(100))
            assert (found.p < 0.05) == (not found.difference.low <= 0 <= found.difference.high)


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 2**32 - 1))
def test_laws(seed: int):
    """Exchanging the methods turns the sign, and the order of examples and of seeds tells nothing."""
    rng = np.random.default_rng(seed)
    first, second, groups = rng.random((3, 40)), rng.random((2, 40)), rng.integers(0, 12, size=40)
    groups[:2] = 0, 1
    found, turned = compare_accuracy(first, second, groups), compare_accuracy(second, first, groups)
    assert turned.difference.estimate == pytest.approx(-found.difference.estimate)
    assert (turned.difference.low, turned.difference.high) == pytest.approx(
        (-found.difference.high, -found.difference.low)
    )
    assert turned.p == pytest.approx(found.p)
    order = rng.permutation(40)
    mixed = compare_accuracy(first[::-1, order], second[:, order], 100 - groups[order])
    assert (mixed.difference.low, mixed.p) == (pytest.approx(found.difference.low), pytest.approx(found.p))


def test_one_question_is_refused():
    with pytest.raises(ValueError, match="two questions"):
        compare_accuracy(np.ones((1, 5)), np.zeros((1, 5)), np.zeros(5, dtype=int))
