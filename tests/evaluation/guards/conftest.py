"""Results on a public split of two hundred questions, made up to have an exact accuracy."""

from collections.abc import Callable

import numpy as np
import pytest

from aarlab.evaluation.guards import Query

N, A_QUESTION, FLOOR = 800, 4, 0.6


def result(correct: np.ndarray, code: str) -> Query:
    """The result of this code; correct of shape (seeds, n) or (n,)."""
    correct = np.atleast_2d(correct).astype(np.float32)
    floor = np.zeros(N, np.float32)
    floor[np.random.default_rng(99).permutation(N)[: round(FLOOR * N)]] = 1
    groups = np.repeat(np.arange(N // A_QUESTION), A_QUESTION).astype(np.int32)
    return Query(correct, groups, FLOOR, floor, code, correct)


@pytest.fixture
def query() -> Callable[..., Query]:
    """Makes a result: right on `round(accuracy * n)` examples drawn with `seed`; flipped afterwards where told."""

    def make(accuracy: float, seed: int = 0, flip: int | list[int] | np.ndarray = (), code: str | None = None) -> Query:
        correct = np.zeros(N)
        correct[np.random.default_rng(seed).permutation(N)[: round(accuracy * N)]] = 1
        correct[np.asarray(flip, dtype=int)] = 1 - correct[np.asarray(flip, dtype=int)]
        return result(correct, code or f"{accuracy} {seed} {flip}")

    return make
