"""What students are trained towards: targets and weights as they must be, and the losses by name."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit

from aarlab.students.protocol import Floats


def checked(values: ArrayLike, count: int, name: str, upper: float = np.inf) -> Floats:
    """Targets or weights, shape (count,), finite and in [0, upper].

    Raises:
        ValueError: they are not.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (count,):
        raise ValueError(f"{name} have shape {vector.shape}, the examples want ({count},)")
    if not np.isfinite(vector).all() or vector.min(initial=0) < 0 or vector.max(initial=0) > upper:
        raise ValueError(f"{name} must be finite and lie in [0, {upper:g}]")
    return vector


def _cross_entropy(logits: Floats, targets: Floats) -> tuple[Floats, Floats]:
    losses = -(targets * log_expit(logits) + (1 - targets) * log_expit(-logits))
    return losses, expit(logits) - targets


def _squared(logits: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Brier score."""
    p = expit(logits)
    return (p - targets) ** 2, 2 * (p - targets) * p * (1 - p)


LOSSES = {"cross_entropy": _cross_entropy, "squared": _squared}
