"""Confident learning: estimate how labels are confused, drop as many as that says (Northcutt, Jiang and Chuang 2021).

Assumes that errors depend on the class alone, and that an out-of-fold student ranks the labels it doubts. This is the
core of what the cleanlab package does (prune by noise rate, reweigh by class), without its refinements.
"""

import numpy as np
from numpy.typing import NDArray

from aarlab.methods._steps import as_confident_as, out_of_fold, top, verdicts
from aarlab.students import Floats, Predictor, Problem


def confident_joint(labels: NDArray[np.integer], p: Floats) -> Floats:
    """Estimated joint distribution of given label (rows) and true label (columns), shape (2, 2).

    Args:
        labels: given labels, shape (n,).
        p: out-of-fold P(label = 1), shape (n,).
    """
    by_class = np.stack([1 - p, p], axis=1)
    usual = np.array([by_class[labels == c, c].mean() if (labels == c).any() else 1.0 for c in (0, 1)])
    sure = by_class >= usual - 1e-9  # as sure of a class as the student is of examples that carry its label
    true = np.where(sure.all(axis=1), by_class.argmax(axis=1), sure.argmax(axis=1))
    counts = np.zeros((2, 2))
    np.add.at(counts, (labels[sure.any(axis=1)], true[sure.any(axis=1)]), 1.0)
    given = np.bincount(labels, minlength=2) / len(labels)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * given[:, None])


def fit(problem: Problem, seed: int) -> Predictor:
    targets = verdicts(problem.weak_labels)
    labels = targets.astype(np.intp)
    p = as_confident_as(targets, out_of_fold(problem, targets, seed, folds=5))
    joint = confident_joint(labels, p)
    keep = np.ones(len(labels), np.bool_)
    for c in (0, 1):
        mine = np.flatnonzero(labels == c)
        wrong = joint[c, 1 - c] / max(joint[c].sum(), 1e-12)
        if round(wrong * len(mine)):
            keep[mine[top((1 - 2 * c) * p[mine], wrong)]] = False
    weights = (joint.sum(axis=0) / np.maximum(np.diag(joint), 1e-6))[labels]
    return problem.student.finetune(problem.train.take(keep), targets[keep], weights[keep], seed=seed).predict
