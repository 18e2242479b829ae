"""Learn from a student instead of from the weak supervisor."""

from scipy.special import expit

from aarlab.researchers.scripted.ideas._parts import Labels, Scorer, Trainer, calibrated, cross_fit
from aarlab.students import Examples, Problem


def relabel_out_of_fold(
    problem: Problem, train: Trainer, labels: Labels, seed: int, *, folds: int, blend: float
) -> Labels:
    """Blend labels with those of students that did not see them (cross-fitting: no student repeats its own errors)."""
    scores = calibrated(cross_fit(train, problem.train, labels, seed, folds), labels.targets)
    return labels._replace(targets=(1 - blend) * labels.targets + blend * expit(scores))


def distil(problem: Problem, train: Trainer, *, sharpness: float) -> Trainer:
    """Train a fresh student on all train examples, labelled by a first one (born again: Furlanello et al. 2018)."""

    def distilled(examples: Examples, labels: Labels, seed: int) -> Scorer:
        teacher = train(examples, labels, seed)
        scores = calibrated(teacher(examples), labels.targets)
        return train(examples, Labels(expit(sharpness * scores), labels.weights * 0 + 1), seed + 1)

    return distilled
