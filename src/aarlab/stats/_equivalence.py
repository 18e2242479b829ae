"""What a comparison allows to be said: better, worse, equivalent, or nothing yet.

No significant difference is not the same as no difference. That two methods are equivalent is a claim of its own, with
a test of its own: two one-sided tests (Schuirmann 1987) against a margin, the smallest difference that would matter.
"""

from typing import Literal

from aarlab.stats._compare import Comparison
from aarlab.stats._noise import tail_above

Verdict = Literal["better", "worse", "equivalent", "cannot tell"]


def equivalence_p(comparison: Comparison, margin: float) -> float:
    """P-value of the claim that the true difference lies within -margin and margin.

    It is the larger one of two one-sided tests, so equivalence is shown at level alpha exactly where the interval of
    level 1 - 2 alpha lies inside the margin.

    Args:
        comparison: of two methods, in accuracy.
        margin: the smallest difference in accuracy that matters, > 0. Choose it before looking.

    Raises:
        ValueError: the margin is not positive.
    """
    if margin <= 0:
        raise ValueError("a margin is positive: no data can show that two methods are exactly equal")
    room = margin - abs(comparison.difference.estimate)
    if comparison.standard_error == 0:
        return 0.0 if room > 0 else 1.0
    return tail_above(comparison.parts, room / comparison.standard_error)


def verdict(comparison: Comparison, margin: float, *, alpha: float = 0.05, p: float | None = None) -> Verdict:
    """One of four words about the first method beside the second.

    "equivalent": the difference is shown to be smaller than the margin, even where it is shown to be not zero.
    "better" and "worse": it is shown to be not zero, and may be as large as the margin. "cannot tell": neither, so
    the comparison is too small for the question; `minimum_detectable_effect` says what it could have found.

    Args:
        comparison: of two methods, in accuracy.
        margin: the smallest difference in accuracy that matters, > 0. Choose it before looking.
        alpha: significance level of either claim, in (0, 1).
        p: the difference's p-value, Holm-adjusted, if the comparison is one of a family.

    Raises:
        ValueError: the margin is not positive.
    """
    if equivalence_p(comparison, margin) < alpha:
        return "equivalent"
    if (comparison.p if p is None else p) < alpha:
        return "better" if comparison.difference.estimate > 0 else "worse"
    return "cannot tell"
