"""Paired comparison of two methods on the same questions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aarlab.stats._interval import Interval
from aarlab.stats._noise import Mean, Questions, Variance, critical_value, question_variance, standard_error, tail_above


@dataclass(frozen=True)
class Comparison:
    """How much better the first method is than the second, in accuracy.

    Attributes:
        difference: mean accuracy of the first minus the second, in [-1, 1], with its interval; above 0
            where the first is better.
        standard_error: of the difference, in accuracy: questions and seeds.
        p: two-sided p-value of no difference.
        questions: how many questions the test rests on.
        parts: what the standard error is made of: `questions`, `first_seeds`, `second_seeds`.
    """

    difference: Interval
    standard_error: float
    p: float
    questions: int
    parts: tuple[Variance, ...] = ()

    @property
    def question_sd(self) -> float:
        """Standard deviation of the difference that a single question shows: what `required_questions` asks for."""
        return float(np.sqrt(self._variance("questions") * self.questions))

    @property
    def seed_error(self) -> float:
        """The part of the standard error that is due to training seeds: more questions do not lower it."""
        return float(np.sqrt(self._variance("first_seeds") + self._variance("second_seeds")))

    def _variance(self, source: str) -> float:
        return sum(part.variance for part in self.parts if part.source == source)


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
    observation a question (Miller 2024, "Adding Error Bars to Evals", gives the clustered form). A method
    is what it does on any seed, so what seeds shift is added, with its few degrees of freedom; a method given
    with a single seed is taken as it is, since one seed does not show what another would do.

    Args:
        first: whether the first method was right, shape (seeds, n), in [0, 1].
        second: the same of the second; it may have another number of seeds.
        groups: question of each example, shape (n,).
        level: nominal coverage.

    Raises:
        ValueError: there are fewer than two questions.
    """
    questions = Questions(groups)
    return compare_means(Mean(first, questions), Mean(second, questions), level)


def compare_means(first: Mean, second: Mean, level: float) -> Comparison:
    """`compare_accuracy` of two means over the same questions."""
    residuals = first.residuals - second.residuals
    questions = len(residuals)
    parts = (
        question_variance(residuals),
        first.seed_variance("first_seeds"),
        second.seed_variance("second_seeds"),
    )
    difference = first.value - second.value
    error = standard_error(parts)
    if error == 0:
        interval = Interval(difference, difference, difference, level)
        return Comparison(interval, 0.0, 1.0 if difference == 0 else 0.0, questions, parts)
    margin = critical_value(parts, (1 - level) / 2) * error
    p = 2 * tail_above(parts, abs(difference) / error)
    return Comparison(Interval(difference, difference - margin, difference + margin, level), error, p, questions, parts)
