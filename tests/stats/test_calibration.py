import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aarlab.stats import diagnose, measure_calibration


def test_figures_of_a_hand_checked_case():
    """Confidences .92 (right), .92 (wrong), .60 (right) and .60 (wrong): off by .42 and by .10, half each."""
    found = measure_calibration(np.array([0.92, 0.08, 0.6, 0.4]), np.array([1, 1, 1, 1]))
    assert found.expected_calibration_error == pytest.approx((0.42 + 0.10) / 2)
    assert found.overconfidence == pytest.approx(0.26)
    assert found.brier == pytest.approx(np.mean([0.08**2, 0.92**2, 0.4**2, 0.6**2]))
    filled = [b for b in found.bins if b.share]
    assert [(b.share, b.accuracy) for b in filled] == [(0.5, 0.5), (0.5, 0.5)]
    assert [b.confidence for b in filled] == [pytest.approx(0.6), pytest.approx(0.92)]
    assert all(b.low <= b.confidence <= b.high for b in filled)


def test_bins_cover_all_and_empty_ones_say_so():
    found = measure_calibration(np.array([0.5, 1.0, 0.0]), np.array([1, 1, 1]))
    assert (found.bins[0].low, found.bins[-1].high) == (0.5, 1.0)
    assert found.bins[0].accuracy == 0.5  # a tie is half right
    assert found.bins[-1].accuracy == 0.5
    assert found.bins[4].accuracy is None
    assert sum(b.share for b in found.bins) == pytest.approx(1)


def test_a_method_that_knows_how_sure_it_is():
    rng = np.random.default_rng(0)
    p = rng.random((2, 20_000))
    labels = (rng.random(20_000) < p[0]).astype(int)
    assert measure_calibration(p[0], labels).expected_calibration_error < 0.02
    surer = 1 / (1 + ((1 - p[0]) / p[0]) ** 3)
    assert measure_calibration(surer, labels).overconfidence > 0.05


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_laws(drawn: list[tuple[float, int]]):
    p, labels = np.array([x for x, _ in drawn]), np.array([y for _, y in drawn])
    found = measure_calibration(p, labels)
    assert abs(found.overconfidence) <= found.expected_calibration_error + 1e-9
    assert found.expected_calibration_error <= 1
    turned = measure_calibration(1 - p, 1 - labels)  # which side is called 1 is a convention
    assert turned.brier == pytest.approx(found.brier)
    assert turned.overconfidence == pytest.approx(found.overconfidence)


def test_bins_are_those_of_the_label_free_histogram():
    p = np.random.default_rng(1).random((3, 200))
    found = measure_calibration(p, np.zeros(200, dtype=int))
    histogram = diagnose(p, None, p, p[0]).confidence_histogram
    assert [b.share for b in found.bins] == pytest.approx(list(histogram))
