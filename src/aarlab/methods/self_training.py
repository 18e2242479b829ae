"""Iterated pseudo-labels: the student teaches its successor what it is surest of (Yarowsky 1995; Lee 2013).

Assumes that classes are separated in the student's states: then what it is sure of is right, even where the weak
label is not. Of each verdict the surest half is kept, so that neither crowds out the other.
"""

import numpy as np

from aarlab.methods._steps import top, verdicts
from aarlab.students import Predictor, Problem

ROUNDS = 3
SHARE = 0.5


def fit(problem: Problem, seed: int) -> Predictor:
    student, train = problem.student, problem.train
    classifier = student.finetune(train, verdicts(problem.weak_labels), seed=seed)
    for done in range(1, ROUNDS + 1):
        logits = classifier.logits(train)
        own = verdicts(logits, 0.0)
        kept = [np.flatnonzero(own == v)[top(np.abs(logits[own == v]), SHARE)] for v in (0, 1) if (own == v).any()]
        sure = np.sort(np.concatenate(kept))
        classifier = student.finetune(train.take(sure), own[sure], seed=seed + done)
    return classifier.predict
