"""Stochastic rounding: where it protects, and where it stops protecting."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aarlab.evaluation.guards import RoundedGuard, State

SECRET = b"s" * 32


@given(st.floats(0.64, 1), st.integers(0, 100))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_lie_on_the_grid_next_to_the_truth(query, accuracy: float, seed: int):
    asked = query(accuracy, seed)
    answer, _ = RoundedGuard(SECRET, 0.02).answer(asked, State(), None)
    assert abs(answer.accuracy - asked.accuracy) < 0.02 + 1e-9
    assert answer.accuracy / 0.02 == pytest.approx(round(answer.accuracy / 0.02))


def test_the_mean_is_right(query):
    guard = RoundedGuard(SECRET, 0.02)
    answers = [guard.answer(query(0.7125, seed), State(), None)[0].accuracy for seed in range(2000)]
    assert np.mean(answers) == pytest.approx(0.7125, abs=0.001)
    assert set(answers) == {0.70, 0.72}


def test_without_silence_below_the_floor_random_predictions_tell(query):
    guard = RoundedGuard(SECRET, 0.02, censored=False)
    assert len({guard.answer(query(0.5 + 0.002 * s, s), State(), None)[0].accuracy for s in range(20)}) > 1
