"""Geometry of the student's hidden states. On pairs an example and its exchanged twin are mirror images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aarlab.students import Floats, Problem, Representation


@dataclass(frozen=True)
class Neighbours:
    """The k nearest neighbours of each example.

    Attributes:
        index: which examples they are, shape (n, k).
        sign: -1 where, on pairs, the exchanged twin of a neighbour is what lies near, else 1, shape (n, k).
        likeness: cosine of the angle between, in [-1, 1], mirrored ones as their twin's, shape (n, k).
    """

    index: NDArray[np.intp]
    sign: NDArray[np.float32]
    likeness: NDArray[np.float32]

    def vote(self, labels: Floats) -> Floats:
        """Mean label of the neighbours, a mirrored one counting as its opposite, shape (n,), in [0, 1]."""
        return np.asarray((1 + (self.sign * (2 * labels[self.index] - 1)).mean(axis=1)) / 2, dtype=np.float64)


def states(problem: Problem, representations: Sequence[Representation] | None = None) -> NDArray[np.float32]:
    """Standardised hidden states of the train examples, side by side, shape (n, d); default all there are."""
    chosen = problem.student.representations if representations is None else representations
    hidden = [problem.student.hidden(problem.train, *place).astype(np.float32) for place in chosen]
    whole = np.concatenate(hidden, axis=1)
    if not problem.pairs:
        whole -= whole.mean(axis=0)
    whole /= np.sqrt(np.square(whole).mean(axis=0)) + np.float32(1e-6)
    return whole


def nearest(points: NDArray[np.float32], count: int, pairs: bool) -> Neighbours:
    """The `count` nearest neighbours of each point by the angle between, shape of points (n, d)."""
    points = points / (np.linalg.norm(points, axis=1, keepdims=True) + np.float32(1e-12))
    likeness = points @ points.T
    np.fill_diagonal(likeness, 0.0 if pairs else -np.inf)
    index = np.argpartition(-np.abs(likeness) if pairs else -likeness, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(likeness, index, axis=1)
    sign = np.where(near < 0, -1, 1).astype(np.float32) if pairs else np.ones_like(near)
    return Neighbours(index, sign, sign * near)


def principal(points: NDArray[np.float32], count: int) -> Floats:
    """Coordinates on the `count` main axes through 0, those of the first with mean square 1, shape (n, count)."""
    square = points @ points.T if len(points) < points.shape[1] else points.T @ points
    values, vectors = np.linalg.eigh(square.astype(np.float64))
    values, vectors = np.maximum(values[: -count - 1 : -1], 0), vectors[:, : -count - 1 : -1]
    whole = vectors * np.sqrt(values) if len(points) < points.shape[1] else points @ vectors
    return np.asarray(whole / (np.sqrt(np.square(whole[:, 0]).mean()) + 1e-12))
