import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aarlab.stats import estimate_pgr, fieller_interval

GROUPS = np.arange(4)


def significance(numerator: np.ndarray, denominator: np.ndarray, ratio: float) -> float:
    """Standard errors between numerator - ratio * denominator and zero, one example a question."""
    values = numerator - ratio * denominator
    return abs(values.mean()) / (values.std(ddof=1) / math.sqrt(len(values)))


def test_bounds_are_where_the_t_test_turns():
    rng = np.random.default_rng(0)
    numerator, denominator = rng.normal(1, 1, 50), rng.normal(3, 1, 50)
    found = fieller_interval(numerator, denominator, np.arange(50))
    assert found.kind == "bounded"
    assert found.low < found.estimate < found.high
    for bound in (found.low, found.high):
        assert significance(numerator, denominator, bound) == pytest.approx(2.0096, abs=1e-4)  # t of 49, 97.5%


# Denominators of four questions with mean m and standard error 1: t of 3 is 3.18.
SPREAD = np.array([1.0, -1.0, 1.0, -1.0]) * math.sqrt(3)
OTHER = np.array([1.0, 1.0, -1.0, -1.0]) * math.sqrt(3)


@pytest.mark.parametrize(
    ("numerator", "denominator", "kind"),
    [
        (2 + OTHER, 8 + SPREAD, "bounded"),
        (8 + OTHER, 1 + SPREAD, "outside"),
        (1 + OTHER, 1 + SPREAD, "everything"),
        (0 * OTHER, 8 + SPREAD, "bounded"),
        (8 + OTHER, 0 + SPREAD, "outside"),
        (0 * OTHER, 0 + SPREAD, "everything"),
    ],
)
def test_bounded_only_if_the_denominator_is_significant(numerator, denominator, kind):
    found = fieller_interval(numerator, denominator, GROUPS)
    assert found.kind == kind
    if not math.isnan(found.estimate):
        assert found.estimate in found
    assert (0.0 in found) == (abs(numerator.mean()) < 3.18)
    if kind == "everything":
        assert (found.low, found.high) == (-math.inf, math.inf)


def test_a_set_of_two_rays_leaves_out_what_lies_between():
    found = fieller_interval(8 + OTHER, 1 + SPREAD, GROUPS)
    assert found.low < 0 < found.high
    assert math.nextafter(found.low, 0) not in found
    assert 1e9 in found
    assert -1e9 in found
    for bound in (found.low, found.high):
        assert significance(8 + OTHER, 1 + SPREAD, bound) == pytest.approx(3.1824, abs=1e-3)


def test_a_denominator_that_is_zero_has_no_ratio():
    with pytest.raises(ValueError, match="zero"):
        fieller_interval(np.ones(4), np.zeros(4), GROUPS)


def test_a_known_ratio_has_no_width():
    denominator = np.array([1.0, 2.0, 3.0, 4.0])
    found = fieller_interval(2 * denominator, denominator, GROUPS)
    assert (found.low, found.high) == (pytest.approx(2, abs=1e-6), pytest.approx(2, abs=1e-6))


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_units_cancel(numerator_unit: float, denominator_unit: float):
    rng = np.random.default_rng(1)
    numerator, denominator = rng.normal(1, 1, (3, 60)), rng.normal(3, 1, (2, 60))
    groups = np.arange(60) // 2
    plain = fieller_interval(numerator, denominator, groups)
    scaled = fieller_interval(numerator * numerator_unit, denominator * denominator_unit, groups)
    factor = numerator_unit / denominator_unit
    assert (scaled.low, scaled.high) == (pytest.approx(plain.low * factor), pytest.approx(plain.high * factor))


def test_agrees_with_the_bootstrap_of_a_clear_gap():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(300), 3)
    floor, transfer, ceiling = (
        (rng.random((seeds, 900)) < accuracy).astype(float) for seeds, accuracy in ((1, 0.55), (3, 0.7), (8, 0.85))
    )
    exact = fieller_interval(transfer - floor, ceiling - floor, groups)
    drawn = estimate_pgr(transfer, floor[0], ceiling, groups, rng, resamples=20_000).pgr
    assert exact.estimate == pytest.approx(drawn.estimate)
    assert (exact.low, exact.high) == (pytest.approx(drawn.low, abs=0.01), pytest.approx(drawn.high, abs=0.01))
