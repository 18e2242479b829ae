"""What ideas are made of. A composed method carries a copy of the parts that it needs."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from aarlab.students import Examples, Floats


class Labels(NamedTuple):
    """What to learn: P(label = 1) and a weight for each train example, both of shape (n,)."""

    targets: Floats
    weights: Floats


#: Maps examples to log-odds of label 1, shape (n,).
Scorer: TypeAlias = Callable[[Examples], Floats]

#: Learns from examples and their labels, with a seed.
Trainer: TypeAlias = Callable[[Examples, Labels, int], Scorer]


def cross_fit(train: Trainer, examples: Examples, labels: Labels, seed: int, folds: int = 3) -> Floats:
    """Log-odds of each example from a student that saw no example of its question, shape (n,)."""
    questions = np.arange(len(examples)) if examples.groups is None else examples.groups
    fold_of = np.random.default_rng(seed).permutation(questions.max() + 1) % folds
    scores = np.empty(len(examples))
    for fold in range(folds):
        out = fold_of[questions] == fold
        kept = Labels(labels.targets[~out], labels.weights[~out] + 1e-9)
        scores[out] = train(examples.take(~out), kept, seed + fold)(examples.take(out))
    return scores


def ranked(values: Floats) -> Floats:
    """Ranks from just above 0 to just below 1, shape (n,); equal values share theirs."""
    order = np.sort(values)
    return (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")) / (2 * len(values))


def top(values: Floats, share: float) -> NDArray[np.bool_]:
    """Where the largest `share` of the values are, at least one, shape (n,)."""
    kept = np.zeros(len(values), np.bool_)
    kept[np.argsort(-values, kind="stable")[: max(1, round(share * len(values)))]] = True
    return kept


def confidence(targets: Floats) -> Floats:
    """|2p - 1|, shape (n,)."""
    return np.abs(2 * targets - 1)


def calibrated(scores: Floats, targets: Floats) -> Floats:
    """Log-odds rescaled so that they are as confident as the targets warrant, shape (n,)."""
    scales = np.geomspace(0.02, 50, 60) / (np.abs(scores).mean() + 1e-12)
    p = np.clip(expit(scales[:, None] * scores), 1e-6, 1 - 1e-6)
    losses = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(axis=1)
    return np.asarray(scales[losses.argmin()] * scores)
