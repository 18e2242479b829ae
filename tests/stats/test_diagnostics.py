import numpy as np
import pytest

from aarlab.stats import diagnose


def test_figures_of_a_hand_checked_case():
    test = np.array([[0.9, 0.2, 0.6], [0.9, 0.2, 0.4]])
    swapped = np.array([[0.1, 0.8, 0.6], [0.1, 0.8, 0.6]])
    found = diagnose(test, swapped, train=np.array([[0.9, 0.9], [0.9, 0.9]]), weak_labels=np.array([0.8, 0.3]))
    assert found.agreement == 0.5
    assert found.swap_consistency == pytest.approx(5 / 6)  # seed 0 says .6 both ways on the third pair
    assert found.confidence == pytest.approx(np.mean([0.8, 0.6, 0.0, 0.8, 0.6, 0.2]))
    assert sum(found.confidence_histogram) == pytest.approx(1)
    assert found.seed_disagreement == 0  # combined over orders both seeds say: no, at .5 and .4


def test_single_candidates_have_no_swap_consistency():
    test = np.array([[0.9, 0.2]])
    assert diagnose(test, None, test, np.array([1.0, 0.0])).swap_consistency is None


def test_disagreement_is_the_mean_over_pairs_of_seeds():
    verdicts = np.random.default_rng(0).random((5, 200))
    pairs = [np.mean((verdicts[i] > 0.5) != (verdicts[j] > 0.5)) for i in range(5) for j in range(i)]
    found = diagnose(verdicts, None, verdicts, verdicts[0])
    assert found.seed_disagreement == pytest.approx(np.mean(pairs))
    assert diagnose(verdicts[:1], None, verdicts, verdicts[0]).seed_disagreement == 0


def test_a_verdict_that_hangs_on_the_order_alone_is_no_verdict():
    """The same number both ways round leaves a coin toss: no confidence, and no seed that says yes by rounding."""
    same = np.random.default_rng(1).random((4, 500))
    found = diagnose(same, same, same, same[0])
    assert found.swap_consistency == 0
    assert found.confidence == 0
    assert found.confidence_histogram[0] == 1
    assert found.seed_disagreement == 0


def test_a_method_that_ignores_the_order_is_consistent():
    p = np.random.default_rng(2).random((3, 100))
    assert diagnose(p, 1 - p, p, p[0]).swap_consistency == 1


def test_histogram_counts_every_input_once_and_puts_certainty_last():
    found = diagnose(np.array([[0.0, 1.0, 0.5, 0.55]]), None, np.ones((1, 1)), np.ones(1))
    assert found.confidence_histogram == (0.25, 0.25, 0, 0, 0, 0, 0, 0, 0, 0.5)
    assert found.agreement == 1
