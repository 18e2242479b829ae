"""Train only where the weak supervisor is confident (a baseline of Wen et al. 2026).

"Confident" is relative: the half of the examples whose weak label lies farthest from 1/2, since
supervisors with few labels seldom pass a fixed threshold such as .75.
"""

import numpy as np

from aarlab.students import Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    confidence = np.abs(problem.weak_labels - 0.5)
    keep = confidence >= np.median(confidence)
    hard = (problem.weak_labels > 0.5).astype(float)
    return problem.student.finetune(problem.train.take(keep), hard[keep], seed=seed).predict
