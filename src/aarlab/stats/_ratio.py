"""A difference of two methods' accuracies as a share of the gap, and its bootstrap interval."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from aarlab.stats._interval import Interval
from aarlab.stats._noise import Floats, Mean, Variance, critical_value, question_variance, standard_error

CELLS_AT_ONCE = 2**20  # of resamples by questions: bounds the memory


@dataclass(frozen=True)
class Ratio:
    """(first - second) / (ceiling - floor), all four over the same questions. With second = floor it is a PGR."""

    first: Mean
    second: Mean
    floor: Mean
    ceiling: Mean

    @property
    def gap(self) -> float:
        """Ceiling minus floor."""
        return self.ceiling.value - self.floor.value

    @property
    def gap_standard_errors(self) -> float:
        """The gap divided by its standard error, by question and by the ceiling's seeds."""
        residuals = self.ceiling.residuals - self.floor.residuals
        error = standard_error([question_variance(residuals), self.ceiling.seed_variance("ceiling_seeds")])
        return self.gap / max(error, 1e-12)

    @property
    def estimate(self) -> float:
        """The ratio."""
        return (self.first.value - self.second.value) / self.gap

    @cached_property
    def parts(self) -> tuple[Variance, ...]:
        """Sources of the variance of (first - second) - ratio * (ceiling - floor) at the estimate, in accuracy."""
        ratio = self.estimate
        residuals = self.first.residuals - self.second.residuals
        return (
            question_variance(residuals - ratio * (self.ceiling.residuals - self.floor.residuals)),
            self.first.seed_variance("seeds"),
            self.second.seed_variance("second_seeds"),
            self.ceiling.seed_variance("ceiling_seeds", ratio),
        )

    def interval(self, rng: np.random.Generator, level: float, resamples: int) -> Interval | None:
        """Percentiles of the ratio over resampled questions and other seeds.

        They are taken in order of the ratio's angle, which has no jump where a denominator passes through zero.
        None if a bound lies beyond that passage: then the ratio is not bounded.
        """
        tail = (1 - level) / 2
        normal = -float(special.ndtri(tail))
        point = np.array([self.first.value - self.second.value, self.gap])
        # A resample of q questions has (q - 1) / q of the variance and normal tails, where t tails are due.
        questions = len(self.first.sizes)
        stretch = np.sqrt(questions / (questions - 1)) * critical_value(self.parts[:1], tail) / normal
        drawn = point + stretch * (self._over_questions(rng, resamples) - point)
        widened = self._widening(tail, normal)
        for column, sign, mean in ((0, 1, self.first), (0, -1, self.second), (1, 1, self.ceiling)):
            error = standard_error([mean.seed_variance("")])
            if error > 0:
                drawn[:, column] += sign * widened * error * rng.standard_normal(resamples)
        low, high = np.quantile(np.arctan2(drawn[:, 0], drawn[:, 1]), [tail, 1 - tail])
        if low <= -np.pi / 2 or high >= np.pi / 2:
            return None
        return Interval(self.estimate, float(np.tan(low)), float(np.tan(high)), level)

    def _widening(self, tail: float, normal: float) -> float:
        """Factor on normal draws of seeds with which questions and seeds together reach their critical value."""
        by_questions, *by_seeds = self.parts
        seeds = standard_error(by_seeds)
        if seeds == 0:
            return 1.0
        margin = critical_value(self.parts, tail) * standard_error(self.parts)
        question_margin = critical_value([by_questions], tail) * standard_error([by_questions])
        return max(1.0, float(np.sqrt(max(0.0, margin**2 - question_margin**2))) / (normal * seeds))

    def _over_questions(self, rng: np.random.Generator, resamples: int) -> Floats:
        """Numerator and denominator on resampled questions, shape (resamples, 2)."""
        differences = [self.first.sums - self.second.sums, self.ceiling.sums - self.floor.sums]
        columns = np.stack([*differences, self.first.sizes], axis=1)
        questions = len(columns)
        at_once = max(1, CELLS_AT_ONCE // questions)
        sums = []
        for start in range(0, resamples, at_once):
            rows = min(at_once, resamples - start)
            drawn = rng.integers(questions, size=(rows, questions)) + np.arange(rows)[:, None] * questions
            times = np.bincount(drawn.ravel(), minlength=rows * questions).reshape(rows, questions)
            sums.append(times.astype(np.float64) @ columns)
        total = np.concatenate(sums)
        return np.asarray(total[:, :2] / total[:, 2:])
