"""Let the student correct its labels, round by round."""

import numpy as np

from aarlab.researchers.scripted.ideas._parts import Labels, Scorer, Trainer, top
from aarlab.students import Examples, Problem


def self_train(problem: Problem, train: Trainer, *, rounds: int, trust: float) -> Trainer:
    """Blend labels with the student's own hard predictions, trusted more each round (after Burns et al. 2023)."""

    def trained(examples: Examples, labels: Labels, seed: int) -> Scorer:
        score = train(examples, labels, seed)
        for step in range(rounds):
            own = (score(examples) > 0).astype(float)
            share = trust * (step + 1) / rounds
            score = train(examples, labels._replace(targets=(1 - share) * labels.targets + share * own), seed)
        return score

    return trained


def pseudo_label(problem: Problem, train: Trainer, *, rounds: int, share: float) -> Trainer:
    """Train again on the examples of which the student itself is surest, with its own labels (Lee 2013)."""

    def trained(examples: Examples, labels: Labels, seed: int) -> Scorer:
        score = train(examples, labels, seed)
        for _ in range(rounds):
            scores = score(examples)
            sure = top(np.abs(scores), share)
            score = train(examples.take(sure), Labels((scores[sure] > 0).astype(float), np.ones(sure.sum())), seed)
        return score

    return trained
