"""Label-free facts about a method's predictions: what a researcher may see without spending labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 10


@dataclass(frozen=True)
class Diagnostics:
    """What predictions look like, no label involved.

    Attributes:
        agreement: share of train examples on which method and weak label agree, in [0, 1].
        swap_consistency: share of test pairs whose verdict does not hang on their order; None on
            single candidates.
        confidence: mean of |2p - 1| over test inputs, in [0, 1].
        confidence_histogram: share of test inputs by |2p - 1|, in ten equal bins from 0 to 1.
        seed_disagreement: share of test inputs on which two seeds differ, mean over pairs of seeds; 0 with one seed.
    """

    agreement: float
    swap_consistency: float | None
    confidence: float
    confidence_histogram: tuple[float, ...]
    seed_disagreement: float


def diagnose(test: Floats, test_swapped: Floats | None, train: Floats, weak_labels: Floats) -> Diagnostics:
    """Diagnostics of predictions P(label = 1).

    Args:
        test: predictions on test inputs as given, shape (seeds, n).
        test_swapped: predictions on the same pairs with their candidates exchanged, shape (seeds, n);
            None on single candidates.
        train: predictions on train examples, shape (seeds, m).
        weak_labels: the weak supervisor's on the same, shape (m,).
    """
    # Written so that a verdict that hangs on the order alone comes out as exactly 1/2.
    combined = test if test_swapped is None else 0.5 + (test - test_swapped) / 2
    verdicts = combined > 0.5
    confidence = np.abs(2 * combined - 1)
    histogram = np.histogram(confidence, bins=BINS, range=(0.0, 1.0))[0] / confidence.size
    seeds, yes = len(verdicts), verdicts.sum(axis=0)
    pairs = seeds * (seeds - 1) / 2
    return Diagnostics(
        agreement=float(np.mean((train > 0.5) == (weak_labels > 0.5))),
        swap_consistency=None if test_swapped is None else float(np.mean((test > 0.5) == (test_swapped < 0.5))),
        confidence=float(confidence.mean()),
        confidence_histogram=tuple(float(share) for share in histogram),
        seed_disagreement=float(np.mean(yes * (seeds - yes)) / pairs) if pairs else 0.0,
    )
