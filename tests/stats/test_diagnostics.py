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
