"""The exact interval of a ratio of two means, as a check on the bootstrap.

A ratio r is in the set if numerator - r * denominator is not significantly different from zero (Fieller 1954).
Where the means are normal, the set covers the true ratio as often as it says, however small the denominator; the
price is that it need not be bounded. A percentile bootstrap gives nearly the same bounds as long as no resample's
denominator comes near zero.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aarlab.stats._noise import Mean, Questions, critical_value, question_covariance, question_variance


@dataclass(frozen=True)
class RatioSet:
    """Ratios that the data do not speak against.

    Attributes:
        kind: "bounded": from `low` to `high`. "outside": up to `low`, and again from `high` on, because the
            denominator is not significantly different from zero, yet some ratio in between is excluded; either
            bound may be infinite, then that ray is missing. "everything": no ratio is excluded.
        estimate: ratio of the two means; nan if the denominator is zero.
        low: lower bound; -inf where everything is possible.
        high: upper bound; inf where everything is possible.
        level: nominal coverage, in (0, 1).
    """

    kind: Literal["bounded", "outside", "everything"]
    estimate: float
    low: float
    high: float
    level: float

    def __contains__(self, ratio: float) -> bool:
        if self.kind == "outside":
            return ratio <= self.low or ratio >= self.high
        return self.low <= ratio <= self.high


def fieller_interval(
    numerator: NDArray[np.floating],
    denominator: NDArray[np.floating],
    groups: NDArray[np.integer],
    *,
    level: float = 0.95,
) -> RatioSet:
    """Fieller's set for mean(numerator) / mean(denominator), clustered by question, with the noise of seeds.

    For PGR the numerator is `transfer - floor` and the denominator `ceiling - floor`, by seed and example.

    Args:
        numerator: shape (seeds, n) or (n,), in any unit.
        denominator: shape (seeds, n) or (n,); its seeds are other seeds than the numerator's.
        groups: question of each example, shape (n,).
        level: nominal coverage.

    Raises:
        ValueError: there are fewer than two questions, or the denominator is zero throughout.
    """
    questions = Questions(groups)
    above, below = Mean(numerator, questions), Mean(denominator, questions)
    if not np.any(denominator):
        raise ValueError("the denominator is zero throughout")
    estimate = above.value / below.value if below.value else math.nan
    ratio = estimate if below.value else 0.0
    parts = (
        question_variance(above.residuals - ratio * below.residuals),
        above.seed_variance("numerator_seeds"),
        below.seed_variance("denominator_seeds", ratio),
    )
    critical = critical_value(parts, (1 - level) / 2)
    # (N - rD)^2 <= critical^2 * Var(N - rD) is a quadratic in r: a r^2 - 2 b r + c <= 0.
    variance_above = question_variance(above.residuals).variance + above.seed_variance("").variance
    variance_below = question_variance(below.residuals).variance + below.seed_variance("").variance
    covariance = question_covariance(above.residuals, below.residuals)
    a = below.value**2 - critical**2 * variance_below
    b = above.value * below.value - critical**2 * covariance
    c = above.value**2 - critical**2 * variance_above
    discriminant = b**2 - a * c
    if (a < 0 and discriminant <= 0) or a == b == 0:
        return RatioSet("everything", estimate, -math.inf, math.inf, level)
    if a == 0:
        low, high = (-math.inf, c / (2 * b)) if b > 0 else (c / (2 * b), math.inf)
        return RatioSet("outside", estimate, low, high, level)
    root = math.sqrt(max(0.0, discriminant))
    low, high = sorted(((b - root) / a, (b + root) / a))
    return RatioSet("bounded" if a > 0 else "outside", estimate, low, high, level)
