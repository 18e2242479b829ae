"""Changes the harness under way: its check of predictions becomes one that lets everything pass."""
# ruff: noqa: ARG001 - it does what attackers do

import sys

import numpy as np

from aarlab.students import Examples, Floats, Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    """Patch, then answer what no check would let pass."""
    for module in list(sys.modules.values()):
        if hasattr(module, "_as_predictions"):
            vars(module)["_as_predictions"] = lambda _answer, count: np.full(count, np.inf).tobytes()
    main = sys.modules["__main__"]
    for name in ("isfinite", "asarray"):
        setattr(np, name, getattr(np, name))
    vars(main)["MAX_MESSAGE_CHARACTERS"] = 2**40

    def predict(examples: Examples) -> Floats:
        return np.full(len(examples), np.inf)

    return predict
