"""Performance gap recovered, with an interval that carries every source of noise in it.

PGR = (transfer - floor) / (ceiling - floor) (Burns et al. 2023). All three accuracies are measured on
the same test questions, so the bootstrap (Efron and Tibshirani 1993) resamples questions for all three
together: what they share cancels, what they do not share widens the interval. Then it resamples the
training seeds of method and ceiling.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESOLVED_STANDARD_ERRORS = 6.0


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


@dataclass(frozen=True)
class PGREstimate:
    """PGR of one method on one split, and what its interval is made of.

    Attributes:
        pgr: PGR with its interval; None if the gap is unresolved, because dividing by a gap that does
            not stand clear of its own noise gives no meaningful number.
        gap: ceiling minus floor, in accuracy.
        gap_standard_errors: the gap divided by its standard error, by question.
        noise: standard deviation of PGR by source: `questions` (the test set's draw), `seeds` (the
            method's training), `ceiling_seeds` (the ceiling's training); empty if unresolved.
        resamples: bootstrap resamples drawn.
    """

    pgr: Interval | None
    gap: float
    gap_standard_errors: float
    noise: dict[str, float]
    resamples: int


def _group_sums(correct: NDArray[np.floating], groups: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Sums of correct (seeds, n) by group, shape (groups, seeds), and the groups' sizes."""
    _, index = np.unique(groups, return_inverse=True)
    count = int(index.max()) + 1
    sums = [np.bincount(index, weights=row, minlength=count) for row in np.atleast_2d(correct)]
    return np.stack(sums, axis=1).astype(np.float64), np.bincount(index, minlength=count).astype(np.float64)


def _resampled(sums: Floats, sizes: Floats, weights: Floats) -> Floats:
    """Accuracy by resample of questions and by seed, shape (resamples, seeds)."""
    return np.asarray((weights @ sums) / (weights @ sizes)[:, None])


def _mean_over_seeds(accuracy: Floats, rng: np.random.Generator) -> Floats:
    """Mean over seeds drawn with replacement, anew for each resample, shape (resamples,)."""
    seeds = accuracy.shape[1]
    draws = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(accuracy)) / seeds
    return np.asarray((accuracy * draws).sum(axis=1))


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
    """PGR with a percentile bootstrap interval over questions, then seeds.

    Args:
        transfer: whether the method was right, by seed and example, shape (seeds, n), in [0, 1].
        floor: whether the weak supervisor was right, shape (n,).
        ceiling: whether the student trained on ground truth was right, shape (seeds, n).
        groups: question of each example, shape (n,).
        rng: source of the resamples.
        level: nominal coverage.
        resamples: bootstrap resamples.
    """
    sums = {}
    for name, correct in (("transfer", transfer), ("floor", floor), ("ceiling", ceiling)):
        sums[name], sizes = _group_sums(correct, groups)
    count = len(sizes)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
    by_seed = {name: _resampled(s, sizes, weights) for name, s in sums.items()}
    whole = {name: s.sum(axis=0) / sizes.sum() for name, s in sums.items()}

    gap = float(whole["ceiling"].mean() - whole["floor"].mean())
    gap_draws = by_seed["ceiling"].mean(axis=1) - by_seed["floor"].mean(axis=1)
    standard_errors = float(gap / max(gap_draws.std(ddof=1), 1e-12))
    if standard_errors < RESOLVED_STANDARD_ERRORS:
        return PGREstimate(None, gap, standard_errors, {}, resamples)

    def pgr(transfer_draws: Floats, floor_draws: Floats, ceiling_draws: Floats) -> Floats:
        return np.asarray((transfer_draws - floor_draws) / (ceiling_draws - floor_draws))

    def fixed(name: str) -> Floats:
        return np.tile(whole[name], (resamples, 1))

    floors = by_seed["floor"][:, 0]
    drawn = pgr(_mean_over_seeds(by_seed["transfer"], rng), floors, _mean_over_seeds(by_seed["ceiling"], rng))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    means = {name: accuracy.mean(axis=1) for name, accuracy in by_seed.items()}
    point = {name: np.full(resamples, values.mean()) for name, values in whole.items()}
    noise = {
        "questions": pgr(means["transfer"], floors, means["ceiling"]),
        "seeds": pgr(_mean_over_seeds(fixed("transfer"), rng), point["floor"], point["ceiling"]),
        "ceiling_seeds": pgr(point["transfer"], point["floor"], _mean_over_seeds(fixed("ceiling"), rng)),
    }
    estimate = float(pgr(point["transfer"], point["floor"], point["ceiling"])[0])
    return PGREstimate(
        pgr=Interval(estimate, float(low), float(high), level),
        gap=gap,
        gap_standard_errors=standard_errors,
        noise={name: float(draws.std(ddof=1)) for name, draws in noise.items()},
        resamples=resamples,
    )
