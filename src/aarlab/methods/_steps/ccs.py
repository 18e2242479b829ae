"""Contrast-consistent search (Burns et al. 2022) where the contrast of a state is its mirror image."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from aarlab.students import Floats

RESTARTS = 10
DECAY = 0.1


def ccs(points: Floats, rng: np.random.Generator) -> tuple[float, Floats]:
    """The lowest loss over several starts, and the log-odds that reach it, shape (n,).

    A linear probe without intercept says opposite things of mirror images by construction, so that of CCS's two
    losses only the one that rewards being sure is left: the mean of min(p, 1 - p)^2.

    Args:
        points: coordinates of mean square about 1 or below, shape (n, axes).
        rng: draws the starts.
    """

    def objective(w: Floats) -> tuple[float, Floats]:
        p = expit(points @ w)
        low = np.minimum(p, 1 - p)
        slopes = 2 * low * np.where(p < 0.5, 1, -1) * p * (1 - p) / len(p)
        return float((low**2).mean() + DECAY / 2 * w @ w), slopes @ points + DECAY * w

    starts = rng.normal(size=(RESTARTS, points.shape[1])) / np.sqrt(points.shape[1])
    found = [minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}) for start in starts]
    best = min(found, key=lambda result: float(result.fun))
    return float(best.fun), np.asarray(points @ best.x)
