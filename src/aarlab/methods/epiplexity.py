"""Epiplexity: doubt the labels from which a student learns nothing (Wen et al. 2026).

Assumes that a right label is one whose loss falls while a student trains, because other examples support it. Labels are
those of two students, each trained on the other's half of the questions. A further run records how far each example's
loss falls from the first pass to the last; the 40% with the least drop are moved towards 1/2, convexly more for the
worst. The last student trains on all, pairs in both orders. Here the run's first visit is the end of pass one.
"""

import numpy as np
from scipy.special import expit, log_expit

from aarlab.methods._steps import out_of_fold, passes, ranked
from aarlab.students import Floats, Predictor, Problem, concatenate

PASSES = 5
WORST = 0.4


def cross_entropy(logits: Floats, targets: Floats) -> Floats:
    return np.asarray(-(targets * log_expit(logits) + (1 - targets) * log_expit(-logits)))


def smoothed(targets: Floats, drop: Floats) -> Floats:
    """Targets, of which those with the least drop are moved towards 1/2; the very worst becomes 1/2, shape (n,)."""
    depth = np.clip(1 - ranked(drop) / WORST, 0, 1)
    return 0.5 + (targets - 0.5) * (1 - depth**2)


def fit(problem: Problem, seed: int) -> Predictor:
    student, train = problem.student, problem.train
    targets = expit(out_of_fold(problem, problem.weak_labels, seed, folds=2))
    first = student.finetune(train, targets, seed=seed, max_steps=passes(student, train, 1))
    last = student.finetune(train, targets, start=first, seed=seed, max_steps=passes(student, train, PASSES - 1))
    drop = cross_entropy(first.logits(train), targets) - cross_entropy(last.logits(train), targets)
    targets = smoothed(targets, drop)
    if problem.pairs:
        train, targets = concatenate([train, train.swapped()]), np.concatenate([targets, 1 - targets])
    return student.finetune(train, targets, seed=seed).predict
