"""What should agree: different views of one example, and neighbours."""

import numpy as np
from scipy.special import expit

from aarlab.researchers.scripted.ideas._parts import Labels, Trainer, calibrated, cross_fit
from aarlab.researchers.scripted.ideas.representation import chosen, linear_head
from aarlab.students import Problem


def agreeing_views(problem: Problem, train: Trainer, labels: Labels, seed: int, *, penalty: float) -> Labels:
    """Count less where cross-fitted heads on early and late layers, or the weak label, disagree."""
    scores = [
        cross_fit(linear_head(problem, depth=depth, pooling="both", l2=1e-2), problem.train, labels, seed)
        for depth in ("early", "late")
    ]
    verdicts = np.stack([scores[0] > 0, scores[1] > 0, labels.targets > 0.5])
    split = verdicts.any(axis=0) & ~verdicts.all(axis=0)
    return labels._replace(weights=labels.weights * np.where(split, 1 - penalty, 1.0))


def smooth_over_neighbours(
    problem: Problem, train: Trainer, labels: Labels, seed: int, *, neighbours: int, blend: float
) -> Labels:
    """Blend each label with those of its nearest neighbours in the late layers; a swapped pair counts as its mirror."""
    hidden = np.concatenate([problem.student.hidden(problem.train, *r) for r in chosen(problem, "late", "both")], 1)
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True) + 1e-12
    likeness = hidden @ hidden.T
    np.fill_diagonal(likeness, 0.0)
    distance = -np.abs(likeness) if problem.pairs else -likeness
    nearest = np.argpartition(distance, neighbours, axis=1)[:, :neighbours]
    signs = np.sign(np.take_along_axis(likeness, nearest, axis=1)) if problem.pairs else 1.0
    evidence = (signs * (2 * labels.targets[nearest] - 1)).mean(axis=1)
    smooth = expit(calibrated(evidence, labels.targets))
    return labels._replace(targets=(1 - blend) * labels.targets + blend * smooth)


def agreeing_orders(problem: Problem, train: Trainer, labels: Labels, seed: int, *, penalty: float) -> Labels:
    """Count less where the zero-shot verdict hangs on the order in which options are shown."""
    margins = problem.student.margins(problem.train).templates
    steady = (np.sign(margins[:, :, 0]) == np.sign(margins[:, :, 1])).mean(axis=1)
    return labels._replace(weights=labels.weights * (1 - penalty * (1 - steady)))
