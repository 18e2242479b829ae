"""Training and asking students of any kind."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from aarlab.students import (
    Classifier,
    Examples,
    Floats,
    Predictor,
    Representation,
    Student,
    Unsupported,
    concatenate,
)

BATCH = 32  # examples to a step, as in Wen et al. 2026


def passes(student: Student, examples: Examples, count: int) -> int:
    """How many steps of `finetune` are `count` passes over the examples: the probe takes them all in one step."""
    return count * (1 if student.name == "probe" else math.ceil(len(examples) / BATCH))


def reading(
    student: Student, representations: Sequence[Representation], examples: Examples, targets: Floats, **options: Any
) -> Classifier:
    """Train a student that reads these representations; one that cannot choose reads what it always does."""
    try:
        return student.finetune(examples, targets, representations=representations, **options)
    except Unsupported:
        return student.finetune(examples, targets, **options)


def shuffled_orders(examples: Examples, targets: Floats, rng: np.random.Generator) -> tuple[Examples, Floats]:
    """A random half of the pairs presented the other way round, targets to match; single candidates as they are."""
    if not examples.pairs:
        return examples, targets
    other = rng.random(len(examples)) < 0.5
    return (
        concatenate([examples.take(~other), examples.take(other).swapped()]),
        np.concatenate([targets[~other], 1 - targets[other]]),
    )


def member_logits(members: Sequence[Classifier], examples: Examples) -> Floats:
    """Log-odds of label 1 by each member, shape (n, members)."""
    return np.stack([member.logits(examples) for member in members], axis=1)


def mean_of(members: Sequence[Classifier]) -> Predictor:
    """The predictor whose log-odds are the mean of those of its members."""
    return lambda examples: np.asarray(expit(member_logits(members, examples).mean(axis=1)))
