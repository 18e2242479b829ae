"""Witnesses of unknown accuracy, weighed by how they agree (Dawid and Skene 1979).

Assumes that, given the truth, witnesses err independently. They are the weak label, an out-of-fold student (which
learned from weak labels, so the assumption is strained), each zero-shot template and the log-probability. Expectation
maximisation gives each one's rate of error by class, and the posterior of the label; the student learns from that.
"""

import numpy as np
from scipy.special import expit, logit

from aarlab.methods._steps import centred, out_of_fold, verdicts
from aarlab.students import Floats, Predictor, Problem

ROUNDS = 50
LEAST = 0.05  # no witness is taken to err less often


def posterior(votes: Floats, start: Floats) -> Floats:
    """P(label = 1), shape (n,).

    Args:
        votes: 0 or 1, shape (n, witnesses).
        start: first guess at it, shape (n,).
    """
    p = start
    for _ in range(ROUNDS):
        says_1_if_1 = np.clip(p @ votes / p.sum(), LEAST, 1 - LEAST)
        says_1_if_0 = np.clip((1 - p) @ votes / (1 - p).sum(), LEAST, 1 - LEAST)
        evidence = votes @ np.log(says_1_if_1 / says_1_if_0) + (1 - votes) @ np.log(
            (1 - says_1_if_1) / (1 - says_1_if_0)
        )
        p = expit(evidence + logit(np.clip(p.mean(), LEAST, 1 - LEAST)))
    return p


def fit(problem: Problem, seed: int) -> Predictor:
    weak, margins = problem.weak_labels, problem.student.margins(problem.train)
    student = out_of_fold(problem, verdicts(weak), seed)
    zero_shot = centred(np.column_stack([margins.templates.mean(axis=2), margins.logprob]), problem.pairs)
    votes = verdicts(np.column_stack([weak - 0.5, student, zero_shot]), 0.0)
    start = np.clip(weak, LEAST, 1 - LEAST)
    if problem.pairs:  # what holds in one order holds in the other
        votes, start = np.concatenate([votes, 1 - votes]), np.concatenate([start, 1 - start])
    targets = posterior(votes, start)[: len(weak)]
    return problem.student.finetune(problem.train, targets, seed=seed).predict
