import pytest
from hypothesis import given
from hypothesis import strategies as st

from aarlab.stats import holm

P = st.lists(st.floats(0, 1), max_size=20)


def test_the_example_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_nothing_to_correct():
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


@given(P)
def test_between_raw_and_bonferroni_and_in_order(p_values: list[float]):
    adjusted = holm(p_values)
    for raw, after in zip(p_values, adjusted, strict=True):
        assert raw <= after <= min(1.0, len(p_values) * raw)
    in_order = [after for _, after in sorted(zip(p_values, adjusted, strict=True))]
    assert in_order == sorted(in_order)
