"""Arithmetic on probabilities, scores and labels."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from aarlab.students import Floats


def verdicts(probabilities: Floats, boundary: float = 0.5) -> Floats:
    """1 above the boundary, 0 below and on it, shape (n,)."""
    return (probabilities > boundary).astype(np.float64)


def confidence(probabilities: Floats) -> Floats:
    """Distance from 1/2, scaled to [0, 1], shape (n,)."""
    return np.abs(2 * probabilities - 1)


def top(values: Floats, share: float) -> NDArray[np.bool_]:
    """Where the largest `share` of the values lie, at least one; of equal values the first, shape (n,)."""
    kept = np.zeros(len(values), np.bool_)
    kept[np.argsort(-values, kind="stable")[: max(1, round(share * len(values)))]] = True
    return kept


def ranked(values: Floats) -> Floats:
    """Share of the values that are smaller, equal ones counting half, in (0, 1), shape (n,)."""
    order = np.sort(values)
    smaller, not_larger = np.searchsorted(order, values, "left"), np.searchsorted(order, values, "right")
    return np.asarray((smaller + not_larger) / (2 * len(values)))


def unit(values: Floats) -> Floats:
    """Mean 0 and standard deviation 1 (0 throughout if all are equal), shape (n,)."""
    return np.asarray((values - values.mean()) / (values.std() + 1e-12))


def as_confident_as(targets: Floats, scores: Floats, right: float = 1.0) -> Floats:
    """P(label = 1), shape (n,): scores times the one factor that makes them fit the targets best.

    Args:
        targets: P(label = 1), shape (n,), in [0, 1].
        scores: log-odds on an arbitrary scale, shape (n,).
        right: how often targets are taken to be right, whatever the label; in (1/2, 1].
    """
    scales = np.geomspace(0.01, 50, 80) / (np.abs(scores).mean() + 1e-12)
    p = np.clip(expit(scales[:, None] * scores), 1e-6, 1 - 1e-6)
    seen = right * p + (1 - right) * (1 - p)
    losses = -(targets * np.log(seen) + (1 - targets) * np.log(1 - seen)).mean(axis=1)
    return np.asarray(p[losses.argmin()])
