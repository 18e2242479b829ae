"""Paired comparison of two methods on the same questions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aarlab.stats._pgr import Interval


@dataclass(frozen=True)
class Comparison:
    """How much better the first method is than the second, in accuracy.

    Attributes:
        difference: mean accuracy of the first minus the second, with its interval.
        standard_error: of the difference, by question.
        p: two-sided p-value of no difference.
        questions: how many questions the test rests on.
    """

    difference: Interval
    standard_error: float
    p: float
    questions: int


def compare_accuracy(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    groups: NDArray[np.integer],
    *,
    level: float = 0.95,
) -> Comparison:
    """Paired t-test by question, on examples' mean correctness over seeds.

    Examples of one question are not independent, so the question is the unit: the difference in
    accuracy is a ratio of question sums, its standard error the linearised one of a ratio with one
    observation a question (Miller 2024, "Adding Error Bars to Evals", gives the clustered form).

    Args:
        first: whether the first method was right, shape (seeds, n), in [0, 1].
        second: the same of the second; it may have another number of seeds.
        groups: question of each example, shape (n,).
        level: nominal coverage.
    """
    difference = np.atleast_2d(first).mean(axis=0) - np.atleast_2d(second).mean(axis=0)
    _, index = np.unique(groups, return_inverse=True)
    mean = float(difference.mean())
    residuals = np.bincount(index, weights=difference - mean)
    questions = len(residuals)
    error = float(np.sqrt(questions / (questions - 1) * np.square(residuals).sum()) / len(difference))
    if error == 0:
        p = 1.0 if mean == 0 else 0.0
        return Comparison(Interval(mean, mean, mean, level), 0.0, p, questions)
    margin = float(stats.t.ppf((1 + level) / 2, questions - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, questions - 1))
    return Comparison(Interval(mean, mean - margin, mean + margin, level), error, p, questions)
