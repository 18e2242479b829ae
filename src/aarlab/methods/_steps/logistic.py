"""A linear probe of our own, for states that no `finetune` should touch."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from aarlab.students import Floats


def logistic(features: NDArray[np.floating], targets: Floats, l2: float = 1e-3) -> NDArray[np.float32]:
    """Coefficients of a logistic regression without intercept, shape (d,).

    Args:
        features: centred, shape (n, d).
        targets: P(label = 1), shape (n,), in [0, 1].
        l2: strength of the L2 penalty, for features of mean square 1 / d.
    """
    shrunk = (features / np.sqrt(features.shape[1])).astype(np.float32)

    def objective(w: Floats) -> tuple[float, Floats]:
        logits = (shrunk @ w.astype(np.float32)).astype(np.float64)
        loss = -(targets * log_expit(logits) + (1 - targets) * log_expit(-logits)).mean()
        slopes = (expit(logits) - targets) / len(targets)
        return float(loss + l2 / 2 * w @ w), slopes.astype(np.float32) @ shrunk + l2 * w

    found = minimize(objective, np.zeros(shrunk.shape[1]), jac=True, method="L-BFGS-B", options={"ftol": 1e-7})
    return np.asarray(found.x / np.sqrt(shrunk.shape[1]), dtype=np.float32)
