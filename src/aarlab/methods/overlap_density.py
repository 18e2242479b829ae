"""Overlap density: train where the weak label is supported from several sides (Wen et al. 2026; Shin et al. 2025).

Assumes that labels which a probe, the neighbours and a dense surrounding all support are right more often. Four scores
with mean 0 and deviation 1 are added up: log-probability of the weak label under a cross-fitted probe of the frozen
states, share of neighbours with the same label, local density, and closeness of the label's entropy to half its
maximum. The better half of each label is kept. The sources give no weights for the scores; here they are equal.
"""

import math

import numpy as np
from scipy.special import log_expit, xlogy

from aarlab.methods._steps import logistic, nearest, split_questions, states, top, unit, verdicts
from aarlab.students import Floats, Predictor, Problem

KEPT = 0.5
FOLDS = 5


def scores(problem: Problem, seed: int) -> Floats:
    """How well each weak label is supported, shape (n,)."""
    points, weak, labels = states(problem), problem.weak_labels, verdicts(problem.weak_labels)
    fold_of = split_questions(problem.train, FOLDS, np.random.default_rng(seed))
    probe = np.empty(len(labels))
    for fold in range(FOLDS):
        out = fold_of == fold
        probe[out] = points[out] @ logistic(points[~out], labels[~out])
    neighbours = nearest(points, math.isqrt(len(labels) - 1), problem.pairs)
    same = 1 - np.abs(neighbours.vote(labels) - labels)
    density = neighbours.likeness.mean(axis=1).astype(np.float64)
    entropy = -(xlogy(weak, weak) + xlogy(1 - weak, 1 - weak)) / math.log(2)
    supports = [log_expit((2 * labels - 1) * probe), same, density, -np.abs(entropy - 0.5)]
    return np.asarray(np.sum([unit(support) for support in supports], axis=0))


def fit(problem: Problem, seed: int) -> Predictor:
    support, labels = scores(problem, seed), verdicts(problem.weak_labels)
    groups = [np.flatnonzero(labels == v) for v in (0, 1)]
    keep = np.sort(np.concatenate([rows[top(support[rows], KEPT)] for rows in groups if len(rows)]))
    return problem.student.finetune(problem.train.take(keep), labels[keep], seed=seed).predict
