"""How large a difference a comparison can find, and how many questions it takes to find a given one.

All for a two-sided test of a paired difference, by the normal approximation (Bloom 1995, "Minimum detectable effects").
Effects, standard errors and standard deviations share one unit: accuracy, in [0, 1]. A difference in PGR times
the gap is a difference in accuracy, so a PGR effect is planned for as `pgr_effect * gap`.
"""

import math

from scipy import special

ROUNDING = 1e-9


def minimum_detectable_effect(standard_error: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a comparison with this standard error finds with this probability.

    Args:
        standard_error: of the difference; with seeds and questions in it, as `Comparison` gives it.
        alpha: two-sided significance level, in (0, 1).
        power: wanted probability of a significant difference, in (alpha, 1).

    Returns:
        A difference > 0, in the unit of the standard error. Where few seeds make up most of the standard error
        the true one is larger, since the normal approximation is short there.

    Raises:
        ValueError: the standard error is negative, or alpha or power out of range.
    """
    if standard_error < 0:
        raise ValueError("a standard error is not negative")
    return standard_error * _reach(alpha, power)


def question_sd(disagreement: float, *, rows: float = 1.0, correlation: float = 0.0) -> float:
    """Standard deviation of one question's mean difference between two methods, from assumptions instead of a pilot.

    Args:
        disagreement: share of examples on which exactly one of the two is right, in [0, 1]: two near-copies
            disagree on few, and independent methods of accuracies p and r on p (1 - r) + r (1 - p).
        rows: examples a question, at least 1.
        correlation: of the difference between two examples of one question, in [0, 1]: at 1 further
            examples of a question tell nothing new.

    Returns:
        In accuracy, [0, 1]. A standard error is this divided by the root of the number of questions.

    Raises:
        ValueError: an argument is out of range.
    """
    if not (0 <= disagreement <= 1 and rows >= 1 and 0 <= correlation <= 1):
        raise ValueError("disagreement and correlation lie in [0, 1], and a question has at least one row")
    return math.sqrt(disagreement * (1 + (rows - 1) * correlation) / rows)


def required_questions(
    effect: float, question_sd: float, *, seed_error: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """How many questions it takes to find a difference.

    Args:
        effect: the true difference to be found, in accuracy, of either sign but not 0.
        question_sd: standard deviation of the difference that a single question shows: `Comparison.question_sd`
            of a pilot, or `question_sd(...)` from assumptions.
        seed_error: the part of the standard error that is due to seeds, `Comparison.seed_error`, which more
            questions do not lower.
        alpha: two-sided significance level, in (0, 1).
        power: wanted probability of a significant difference, in (alpha, 1).

    Returns:
        At least 2. None if seeds alone hide the effect: train more of them.

    Raises:
        ValueError: the effect is 0, a standard deviation negative, or alpha or power out of range.
    """
    if effect == 0 or question_sd < 0 or seed_error < 0:
        raise ValueError("an effect is not zero, and a standard deviation is not negative")
    left = (effect / _reach(alpha, power)) ** 2 - seed_error**2
    if left <= 0:
        return None
    return max(2, math.ceil(question_sd**2 / left - ROUNDING))


def _reach(alpha: float, power: float) -> float:
    """Standard errors between no effect and one that is found with that power."""
    if not 0 < alpha < power < 1:
        raise ValueError("alpha lies in (0, 1), and power between alpha and 1")
    return -float(special.ndtri(alpha / 2)) + float(special.ndtri(power))
