"""How much to trust each weak label."""

import numpy as np
from scipy.special import expit, logit

from aarlab.researchers.scripted.ideas._parts import Labels, Trainer, confidence, ranked
from aarlab.students import Problem


def sharpen(problem: Problem, train: Trainer, labels: Labels, seed: int, *, temperature: float) -> Labels:
    """Move labels towards 0 and 1 (temperature below 1) or towards 1/2 (above)."""
    return labels._replace(targets=expit(logit(np.clip(labels.targets, 1e-3, 1 - 1e-3)) / temperature))


def weigh_by_confidence(problem: Problem, train: Trainer, labels: Labels, seed: int, *, power: float) -> Labels:
    """Weight examples by the rank of their label's confidence, to a power."""
    return labels._replace(weights=labels.weights * ranked(confidence(problem.weak_labels)) ** power)
