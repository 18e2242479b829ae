"""Performance gap recovered, with an interval that carries every source of noise in it.

PGR = (transfer - floor) / (ceiling - floor) (Burns et al. 2023). All three accuracies are measured on
the same test questions, so the bootstrap (Efron and Tibshirani 1993) resamples questions for all three
together: what they share cancels, what they do not share widens the interval. What training seeds of method
and ceiling shift is added to each resample from a normal distribution, widened by as much as few seeds need a
larger critical value. Resampling three seeds themselves would show two thirds of their variance, and nothing of
how little three seeds tell.

`benchmarks/pgr_coverage.py` simulates how often the intervals cover the truth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aarlab.stats._compare import Comparison, compare_means
from aarlab.stats._interval import Interval
from aarlab.stats._noise import Mean, Questions, standard_error
from aarlab.stats._ratio import Ratio

RESOLVED_STANDARD_ERRORS = 6.0


@dataclass(frozen=True)
class PGREstimate:
    """PGR of one method on one split, and what its interval is made of.

    Attributes:
        pgr: PGR with its interval; None if the gap is unresolved, because dividing by a gap that does
            not stand clear of its own noise gives no meaningful number; None, too, if resamples do not bound it,
            which a ceiling of two or three restless seeds can do.
        gap: ceiling minus floor, in accuracy.
        gap_standard_errors: the gap divided by its standard error, which holds the draw of questions and the
            ceiling's seeds.
        noise: standard deviation of PGR by source: `questions` (the test set's draw), `seeds` (the
            method's training), `ceiling_seeds` (the ceiling's training); empty if unresolved.
        resamples: bootstrap resamples drawn.
        unmeasured: sources that the interval leaves out, `seeds` or `ceiling_seeds`, because a single seed does not
            show what another would do.
    """

    pgr: Interval | None
    gap: float
    gap_standard_errors: float
    noise: dict[str, float]
    resamples: int
    unmeasured: tuple[str, ...] = ()


@dataclass(frozen=True)
class PGRComparison:
    """How much more of the gap the first method recovers than the second, on the same questions.

    Attributes:
        difference: PGR of the first minus PGR of the second; None if the gap is unresolved.
        accuracy: the same in accuracy, with the p-value: PGR differs exactly where accuracy does, and
            accuracy needs no division.
        gap: ceiling minus floor, in accuracy.
        gap_standard_errors: as in `PGREstimate`.
        resamples: bootstrap resamples drawn.
    """

    difference: Interval | None
    accuracy: Comparison
    gap: float
    gap_standard_errors: float
    resamples: int


def estimate_pgr(
    transfer: NDArray[np.floating],
    floor: NDArray[np.floating],
    ceiling: NDArray[np.floating],
    groups: NDArray[np.integer],
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 2000,
) -> PGREstimate:
    """PGR with a percentile bootstrap interval over questions and seeds.

    Near the limit of resolution the interval still covers, but it is long and lopsided, and testbeds that pass
    the limit by luck show too large a gap, hence a PGR too close to 0.

    Args:
        transfer: whether the method was right, by seed and example, shape (seeds, n), in [0, 1].
        floor: whether the weak supervisor was right, shape (n,).
        ceiling: whether the student trained on ground truth was right, shape (seeds, n).
        groups: question of each example, shape (n,).
        rng: source of the resamples.
        level: nominal coverage.
        resamples: bootstrap resamples.

    Raises:
        ValueError: there are fewer than two questions.
    """
    questions = Questions(groups)
    method, below, above = (Mean(correct, questions) for correct in (transfer, floor, ceiling))
    ratio = Ratio(method, below, below, above)
    gap, standard_errors = ratio.gap, ratio.gap_standard_errors
    unmeasured = tuple(name for name, of in (("seeds", method), ("ceiling_seeds", above)) if of.seeds == 1)
    pgr = ratio.interval(rng, level, resamples) if standard_errors >= RESOLVED_STANDARD_ERRORS else None
    noise = {
        part.source: standard_error([part]) / gap
        for part in (ratio.parts if pgr else ())
        if part.source != "second_seeds"  # the floor is one fixed supervisor
    }
    return PGREstimate(pgr, gap, standard_errors, noise, resamples, unmeasured)


def compare_pgr(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    floor: NDArray[np.floating],
    ceiling: NDArray[np.floating],
    groups: NDArray[np.integer],
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 2000,
) -> PGRComparison:
    """Paired difference in PGR of two methods: one draw of questions, one floor and one ceiling for both.

    The floor cancels from the numerator, so the interval is much shorter than two intervals side by side suggest.

    Args:
        first: whether the first method was right, shape (seeds, n), in [0, 1].
        second: the same of the second; it may have another number of seeds.
        floor: whether the weak supervisor was right, shape (n,).
        ceiling: whether the student trained on ground truth was right, shape (seeds, n).
        groups: question of each example, shape (n,).
        rng: source of the resamples.
        level: nominal coverage.
        resamples: bootstrap resamples.

    Raises:
        ValueError: there are fewer than two questions.
    """
    questions = Questions(groups)
    ratio = Ratio(*(Mean(correct, questions) for correct in (first, second, floor, ceiling)))
    resolved = ratio.gap_standard_errors >= RESOLVED_STANDARD_ERRORS
    return PGRComparison(
        difference=ratio.interval(rng, level, resamples) if resolved else None,
        accuracy=compare_means(ratio.first, ratio.second, level),
        gap=ratio.gap,
        gap_standard_errors=ratio.gap_standard_errors,
        resamples=resamples,
    )
