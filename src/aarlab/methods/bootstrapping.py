"""Hard bootstrapping: targets move towards the student's present verdict while it learns (Reed et al. 2015).

Assumes that labels err at random, so that a student which is consistent with itself sees through them. The weight of
the weak label is the paper's for hard verdicts.
"""

import numpy as np
from scipy.special import expit, log_expit

from aarlab.methods._steps import verdicts
from aarlab.students import Floats, Predictor, Problem

WEAK = 0.8


def loss(logits: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Cross-entropy to WEAK parts target and the rest verdict, and its derivative; each of shape (n,)."""
    blended = WEAK * targets + (1 - WEAK) * verdicts(logits, 0.0)
    losses = -(blended * log_expit(logits) + (1 - blended) * log_expit(-logits))
    return np.asarray(losses), np.asarray(expit(logits) - blended)


def fit(problem: Problem, seed: int) -> Predictor:
    return problem.student.finetune(problem.train, verdicts(problem.weak_labels), loss=loss, seed=seed).predict
