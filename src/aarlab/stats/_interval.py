"""An estimate and how far it can be trusted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """An estimate with a confidence interval.

    Attributes:
        estimate: the point estimate.
        low: lower bound.
        high: upper bound.
        level: nominal coverage, in (0, 1).
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95
