"""MDL curriculum: compress the clear part first, then everything, gently (Wen et al. 2026).

Assumes that the surest weak labels share a simple rule, and that a student which holds it is not talked out of it by a
few more steps on noisier ones. Two passes over the sure half, then three over everything from there; soft labels.
Half the learning rate becomes half the steps, since the protocol has no learning rate.
"""

import math

from aarlab.methods._steps import confidence, passes, top
from aarlab.students import Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    student, train, weak = problem.student, problem.train, problem.weak_labels
    sure = top(confidence(weak), 0.5)
    easy = train.take(sure)
    first = student.finetune(easy, weak[sure], seed=seed, max_steps=passes(student, easy, 2))
    steps = math.ceil(passes(student, train, 3) / 2)
    return student.finetune(train, weak, start=first, seed=seed + 1, max_steps=steps).predict
