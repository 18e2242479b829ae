"""Answers with objects that run code wherever they are unpickled."""
# ruff: noqa: ARG001 - it does what attackers do

from pathlib import Path

import numpy as np

from aarlab.students import Examples, Predictor, Problem

MARK = "/nowhere/mark"  # filled in: a file that only the operator's process could make


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path(MARK),))


def fit(problem: Problem, seed: int) -> Predictor:
    """Answer with bombs."""

    def predict(examples: Examples) -> np.ndarray:
        return np.array([Bomb()] * len(examples), dtype=object)

    return predict
