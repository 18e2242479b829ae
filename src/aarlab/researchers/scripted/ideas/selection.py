"""Which examples to train on at all."""

import numpy as np
from scipy.special import expit

from aarlab.researchers.scripted.ideas._parts import Labels, Trainer, calibrated, confidence, cross_fit, ranked, top
from aarlab.students import Problem


def keep_confident(problem: Problem, train: Trainer, labels: Labels, seed: int, *, share: float) -> Labels:
    """Keep the share of the examples with the most confident weak labels (Wen et al. 2026 keep a fixed range)."""
    return labels._replace(weights=labels.weights * top(confidence(problem.weak_labels), share))


def drop_disputed(problem: Problem, train: Trainer, labels: Labels, seed: int, *, share: float) -> Labels:
    """Drop the share whose label surprises a cross-fitted student most (confident learning, Northcutt et al. 2021)."""
    scores = calibrated(cross_fit(train, problem.train, labels, seed), labels.targets)
    surprise = np.abs(labels.targets - expit(scores))
    return labels._replace(weights=labels.weights * top(-surprise, 1 - share))


def keep_separable(problem: Problem, train: Trainer, labels: Labels, seed: int, *, share: float) -> Labels:
    """Keep the share that a cross-fitted student finds easiest, and weak labels clear: their overlap."""
    scores = np.abs(cross_fit(train, problem.train, labels, seed))
    both = ranked(scores) + ranked(confidence(problem.weak_labels))
    return labels._replace(weights=labels.weights * top(both, share))
