"""Many students, one verdict."""

import numpy as np

from aarlab.researchers.scripted.ideas._parts import Labels, Scorer, Trainer
from aarlab.researchers.scripted.ideas.representation import linear_head
from aarlab.students import Examples, Problem


def bagging(problem: Problem, train: Trainer, *, members: int, share: float) -> Trainer:
    """Average students that each learn from a random share of the questions (Breiman 1996)."""

    def trained(examples: Examples, labels: Labels, seed: int) -> Scorer:
        rng = np.random.default_rng(seed)
        questions = np.arange(len(examples)) if examples.groups is None else examples.groups
        scorers = []
        for member in range(members):
            keep = rng.random(questions.max() + 1)[questions] < share
            kept = Labels(labels.targets[keep], labels.weights[keep] + 1e-9)
            scorers.append(train(examples.take(keep), kept, seed + member))
        return lambda asked: np.mean([score(asked) for score in scorers], axis=0)

    return trained


def one_head_a_layer(problem: Problem, train: Trainer, *, l2: float, mix: float) -> Trainer:
    """Add to the student the mean of one head for each third of its layers; each is scaled to unit size."""
    heads = [linear_head(problem, depth=depth, pooling="both", l2=l2) for depth in ("early", "middle", "late")]

    def trained(examples: Examples, labels: Labels, seed: int) -> Scorer:
        scorers = [t(examples, labels, seed) for t in (train, *heads)]
        scales = [1 / (np.abs(score(examples)).mean() + 1e-12) for score in scorers]
        shares = [1 - mix] + [mix / len(heads)] * len(heads)
        return lambda asked: np.sum(
            [w * k * score(asked) for w, k, score in zip(shares, scales, scorers, strict=True)], axis=0
        )

    return trained
