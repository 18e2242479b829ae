"""Nearest neighbours vote on each label (Wilson 1972; Bahri, Jiang and Gupta 2020).

Assumes that what lies near in the student's states has the same label, while weak labels err independently. On pairs a
neighbour may also be near the exchanged pair, and then votes for the opposite. The example's own weak label has no
vote. k is the square root of the number of examples.
"""

import math

from aarlab.methods._steps import nearest, states, verdicts
from aarlab.students import Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    neighbours = nearest(states(problem), math.isqrt(len(problem.train) - 1), problem.pairs)
    votes = neighbours.vote(verdicts(problem.weak_labels))
    return problem.student.finetune(problem.train, votes, seed=seed).predict
