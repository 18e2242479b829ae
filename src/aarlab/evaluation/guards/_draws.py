"""Random numbers that are the same each time, and that nobody can foresee without the study's secret."""

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray
from scipy import special

from aarlab.evaluation.guards._types import Query


def uniform(secret: bytes, purpose: str, about: bytes = b"") -> float:
    """A number in (0, 1), by HMAC of what it is for and what it is about."""
    digest = hmac.new(secret, purpose.encode() + b"\0" + about, hashlib.sha256).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48


def normal(secret: bytes, purpose: str, about: bytes = b"") -> float:
    """A standard normal number."""
    return float(special.ndtri(uniform(secret, purpose, about)))


def laplace(secret: bytes, purpose: str, about: bytes = b"") -> float:
    """A number from the Laplace distribution of scale 1."""
    centred = uniform(secret, purpose, about) - 0.5
    return float(-np.sign(centred) * np.log1p(-2 * abs(centred)))


def outcome(query: Query) -> bytes:
    """What an answer is about: which examples were right with which seed.

    Not the code: a comment in it draws nothing anew. Nor the probabilities: one that moves without crossing 1/2
    changes no label that is guessed.
    """
    return np.ascontiguousarray(query.correct, dtype=np.float32).tobytes()


def grid(value: float, step: float) -> float:
    """The nearest point of a grid, in [0, 1]."""
    return float(np.clip(round(round(value / step) * step, 10), 0, 1))


def changed(first: Query, second: Query) -> float:
    """Examples on which two submissions fare differently: no less than n times the difference of their accuracies."""

    def by_example(query: Query) -> NDArray[np.float64]:
        return np.asarray(query.correct.mean(axis=0, dtype=np.float64))

    return float(np.abs(by_example(first) - by_example(second)).sum())
