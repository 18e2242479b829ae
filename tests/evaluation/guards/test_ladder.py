"""The Ladder: single flips do not climb it, and clear improvements do."""

import numpy as np

from aarlab.evaluation.guards import LadderGuard, State

GUARD = LadderGuard(0.03)


def climbed(query):
    base = query(0.7)
    answer, state = GUARD.answer(base, State(), None)
    assert answer.accuracy == 0.69
    assert answer.fresh
    return base, state


def test_no_single_flip_is_told(query):
    base, state = climbed(query)
    answers = {GUARD.answer(query(0.7, flip=[i]), state, base)[0] for i in range(0, 800, 7)}
    assert {(answer.accuracy, answer.fresh) for answer in answers} == {(0.69, False)}


def test_a_clear_improvement_is_told_and_a_slight_one_is_not(query):
    base, state = climbed(query)
    wrong = np.flatnonzero(base.correct[0] == 0)
    clear, after = GUARD.answer(query(0.7, flip=wrong[:60]), state, base)
    assert (clear.accuracy, clear.fresh) == (0.78, True)
    assert after.best == 0.78
    slight, after = GUARD.answer(query(0.7, flip=wrong[:6]), state, base)
    assert not slight.fresh
    assert after.best_hash == base.content_hash


def test_what_is_worse_is_told_as_the_best(query):
    base, state = climbed(query)
    answers = {GUARD.answer(query(accuracy, 1), state, base)[0] for accuracy in (0.3, 0.6, 0.65, 0.7)}
    assert len(answers) == 1


def test_the_first_has_to_beat_the_floor(query):
    answer, state = GUARD.answer(query(0.61, 3), State(), None)
    assert (answer.accuracy, answer.censored, state.best) == (0.6, True, None)
