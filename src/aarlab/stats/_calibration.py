"""Whether a method is as sure as it is right. Needs labels: for the operator alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aarlab.stats._diagnostics import BINS


@dataclass(frozen=True)
class ReliabilityBin:
    """Test inputs on which a method is about equally sure.

    Attributes:
        low: least confidence in the bin, max(p, 1 - p), in [0.5, 1].
        high: largest confidence.
        share: of all predictions, in [0, 1].
        confidence: mean in the bin; None if it is empty.
        accuracy: share that is right; None if the bin is empty.
    """

    low: float
    high: float
    share: float
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Confidence beside accuracy.

    Attributes:
        bins: ten of equal width, from confidence 0.5 to 1: those of `Diagnostics.confidence_histogram`.
        expected_calibration_error: mean distance of confidence and accuracy over bins, weighted by share, in
            [0, 1] (Guo et al. 2017). Few predictions a bin raise it by chance alone.
        overconfidence: mean confidence minus accuracy, in [-1, 1]: above 0 where a method is surer than right.
        brier: mean squared distance of P(label = 1) from the label, in [0, 1].
    """

    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: float
    overconfidence: float
    brier: float


def measure_calibration(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> Calibration:
    """Calibration of predictions, all seeds pooled.

    Args:
        probabilities: P(label = 1), shape (seeds, n) or (n,), in [0, 1]; pairs with both orders averaged.
        labels: ground truth, 0 or 1, shape (n,).
    """
    p = np.atleast_2d(np.asarray(probabilities, dtype=np.float64))
    right = (1 + np.sign(p - 0.5) * (2 * labels - 1)) / 2  # an exact tie is half right
    confidence = 0.5 + np.abs(p - 0.5)
    edges = np.linspace(0.5, 1.0, BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence.ravel(), side="right") - 1, 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    sure, correct = (np.bincount(place, weights=values.ravel(), minlength=BINS) for values in (confidence, right))
    bins = tuple(
        ReliabilityBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            share=float(counts[i] / p.size),
            confidence=float(sure[i] / counts[i]) if counts[i] else None,
            accuracy=float(correct[i] / counts[i]) if counts[i] else None,
        )
        for i in range(BINS)
    )
    return Calibration(
        bins=bins,
        expected_calibration_error=float(np.abs(sure - correct).sum() / p.size),
        overconfidence=float(confidence.mean() - right.mean()),
        brier=float(np.square(p - labels).mean()),
    )
