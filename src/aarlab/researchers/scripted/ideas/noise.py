"""Models of how weak labels err."""

import numpy as np
from scipy.special import expit

from aarlab.researchers.scripted.ideas._parts import Labels, Trainer, calibrated, cross_fit, ranked
from aarlab.students import Problem


def correct_labels(problem: Problem, train: Trainer, labels: Labels, seed: int, *, rounds: int, prior: float) -> Labels:
    """Posterior of the true label from weak label and cross-fitted student, taken as independent witnesses.

    `prior` is the share of the student's evidence that counts, since it learned from these very labels.
    """
    weak = np.log(np.clip(labels.targets, 1e-3, 1 - 1e-3) / np.clip(1 - labels.targets, 1e-3, 1))
    current = labels
    for _ in range(rounds):
        student = calibrated(cross_fit(train, problem.train, current, seed), labels.targets)
        current = labels._replace(targets=expit(weak + prior * student))
    return current


def vote_of_views(problem: Problem, train: Trainer, labels: Labels, seed: int, *, trust: float) -> Labels:
    """Accuracy of several witnesses by expectation maximisation, then their joint posterior (Dawid and Skene 1979).

    Witnesses: the weak label, the zero-shot margin of the likelihood and of each template, and the
    cross-fitted student. `trust` blends the posterior into the weak labels.
    """
    margins = problem.student.margins(problem.train)
    student = cross_fit(train, problem.train, labels, seed)
    witnesses = [labels.targets - 0.5, student, margins.logprob, *margins.templates.mean(axis=2).T]
    votes = np.stack([ranked(np.asarray(w)) > 0.5 for w in witnesses]).astype(float)
    posterior = labels.targets
    for _ in range(20):
        right = (votes @ posterior + (1 - votes) @ (1 - posterior)) / len(posterior)
        log_odds = np.log(np.clip(right, 0.05, 0.95) / (1 - np.clip(right, 0.05, 0.95)))
        posterior = expit((2 * votes - 1).T @ log_odds)
    return labels._replace(targets=(1 - trust) * labels.targets + trust * posterior)
