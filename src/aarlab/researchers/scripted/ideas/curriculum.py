"""In which order to learn."""

import numpy as np

from aarlab.researchers.scripted.ideas._parts import Labels, Scorer, Trainer, confidence, top
from aarlab.students import Examples, Problem


def self_paced(problem: Problem, train: Trainer, *, start: float, stages: int) -> Trainer:
    """Begin with the surest labels, then admit what the student so far finds easiest (Kumar et al. 2010)."""

    def trained(examples: Examples, labels: Labels, seed: int) -> Scorer:
        ease = confidence(labels.targets) * (labels.weights > 0)
        for share in np.linspace(start, 1.0, stages + 1)[:-1]:
            keep = top(ease, share)
            score = train(examples.take(keep), Labels(labels.targets[keep], labels.weights[keep] + 1e-9), seed)
            ease = (2 * labels.targets - 1) * score(examples)
        return score

    return trained


def easy_then_all(problem: Problem, train: Trainer, *, share: float, later: float) -> Trainer:
    """Learn the easy part first; the rest then counts only as `later`, and more where the first student agrees."""

    def trained(examples: Examples, labels: Labels, seed: int) -> Scorer:
        easy = top(confidence(labels.targets), share)
        first = train(examples.take(easy), Labels(labels.targets[easy], labels.weights[easy] + 1e-9), seed)
        agrees = (first(examples) > 0) == (labels.targets > 0.5)
        pace = np.where(easy, 1.0, np.where(agrees, later, later / 4))
        return train(examples, labels._replace(weights=labels.weights * pace + 1e-9), seed)

    return trained
