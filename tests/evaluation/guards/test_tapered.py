"""The default: answers while they last, then a ladder."""

from dataclasses import replace

import numpy as np
import pytest

from aarlab.evaluation.guards import State, TaperedGuard
from aarlab.evaluation.guards.tapered import ANSWERS, NOISE

STEP = 0.03
GUARD = TaperedGuard(b"s" * 32, STEP)


def test_noise_is_as_large_as_it_says_and_centred(query):
    told = np.array([GUARD.answer(query(0.75, seed), State(), None)[0].accuracy for seed in range(1000)])
    assert told.mean() == pytest.approx(0.75, abs=0.002)
    assert told.std() == pytest.approx(NOISE * STEP, rel=0.15)


def test_as_many_as_a_default_study_asks_are_told(query):
    state, best = State(), None
    for seed in range(109):
        answer, state = GUARD.answer(asked := query(0.7 + 0.0005 * seed, seed), state, best)
        best = asked if state.best_hash == asked.content_hash else best
        assert answer.fresh
        assert not answer.censored


def test_afterwards_only_a_clear_best_is_told(query):
    best = query(0.7)
    _, state = GUARD.answer(best, State(answers=ANSWERS - 1), None)
    similar = [GUARD.answer(query(0.5 + seed / 1000, seed), state, best)[0] for seed in range(1, 200)]
    assert {(answer.accuracy, answer.fresh) for answer in similar} == {(state.best, False)}
    better, after = GUARD.answer(query(0.85, 1), state, best)
    assert better.fresh
    assert better.accuracy == after.best > state.best + 2 * STEP


def test_what_hardly_differs_from_the_best_is_told_as_the_best_and_costs_nothing(query):
    best = query(0.7)
    answer, state = GUARD.answer(best, State(), None)
    for flips in (0, 1, 12):  # half a step of 800 examples
        same, after = GUARD.answer(query(0.7, flip=list(range(flips)), code="other"), state, best)
        assert (same.accuracy, same.fresh, after) == (answer.accuracy, False, state)
    wrong = np.flatnonzero(best.correct[0] == 0)
    other, after = GUARD.answer(query(0.7, flip=wrong[:13]), state, best)
    assert other.fresh
    assert after.answers == state.answers + 1


def test_seeds_count_by_their_mean(query):
    one, two = query(0.7).correct, query(0.7, flip=list(range(24))).correct
    best = query(0.7)
    _, state = GUARD.answer(best, State(), None)
    half = replace(best, correct=np.concatenate([one, two]), content_hash="two seeds")
    assert not GUARD.answer(half, state, best)[0].fresh
    assert GUARD.answer(replace(half, correct=two), state, best)[0].fresh


def test_what_is_not_above_the_floor_counts(query):
    answer, state = GUARD.answer(query(0.4), State(), None)
    assert (answer.censored, answer.accuracy, state.answers, state.best) == (True, 0.6, 1, None)
