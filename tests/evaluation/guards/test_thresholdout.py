"""Thresholdout: fitting one half of the questions is noticed, as often as the budget allows."""

import numpy as np

from aarlab.evaluation.guards import State, ThresholdoutGuard
from aarlab.evaluation.guards.thresholdout import BUDGET

GUARD = ThresholdoutGuard(b"s" * 32, 0.03)


def overfitted(query, seed: int = 0):
    """Right on the reference half, and on two thirds of the other."""
    base = query(0.66, seed)
    held = GUARD._held(base)
    return query(0.66, seed, flip=np.flatnonzero((base.correct[0] == 0) & ~held))


def test_halves_are_of_questions(query):
    held, groups = GUARD._held(query(0.7)), query(0.7).groups
    assert 0.4 < held.mean() < 0.6
    assert all(len(set(held[groups == question])) == 1 for question in np.unique(groups))


def test_who_fits_the_reference_half_is_told_about_the_other(query):
    asked = overfitted(query)
    assert asked.accuracy > 0.8
    answer, state = GUARD.answer(asked, State(), None)
    assert answer.accuracy < 0.75
    assert state.spent == 1


def test_honest_methods_spend_little(query):
    state = State()
    for seed in range(100):
        _, state = GUARD.answer(query(0.7, seed), state, None)
    assert state.spent < 10


def test_after_the_budget_there_is_silence(query):
    state = State()
    for seed in range(2 * BUDGET):
        _, state = GUARD.answer(overfitted(query, seed), state, None)
    assert state.spent == BUDGET
    answers = {GUARD.answer(query(accuracy, 7), state, None)[0] for accuracy in (0.1, 0.7, 0.9)}
    assert {(answer.accuracy, answer.fresh) for answer in answers} == {(state.best, False)}
