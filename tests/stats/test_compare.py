import numpy as np
import pytest
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
