"""Small worlds with known truth, and a student that remembers what it was trained on."""

from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
import pytest

from aarlab.students import Examples, ProbeAssets, ProbeStudent, Problem, Unsupported
from aarlab.testbeds import correctness


@dataclass(frozen=True)
class Call:
    """One call of `finetune`."""

    rows: np.ndarray  # of the train examples
    swap: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    options: dict
    made: object


class RecordingStudent(ProbeStudent):
    """A probe whose trainings can be looked at."""

    def __init__(self, assets):
        super().__init__(assets)
        self.calls: list[Call] = []

    def finetune(self, examples, targets, weights=None, **options):
        made = super().finetune(examples, targets, weights, **options)
        self.calls.append(Call(examples.columns["row"], examples.swap, np.array(targets), weights, options, made))
        return made


class OtherStudent(RecordingStudent):
    """Lacks what only the probe has, as a language model with adapters does."""

    name = "other"

    def finetune(self, examples, targets, weights=None, **options):
        for name in ("representations", "l2", "hidden_units"):
            if options.get(name):
                raise Unsupported(f"choose {name}", self.capabilities)
        return super().finetune(examples, targets, weights, **options)


@dataclass(frozen=True)
class World:
    """A problem whose truth is known."""

    problem: Problem
    truth: np.ndarray  # of train
    test: Examples
    test_truth: np.ndarray

    @property
    def student(self):
        return self.problem.student

    @property
    def weak(self):
        return self.problem.weak_labels

    @property
    def wrong(self):
        """Where the weak label is."""
        return (self.weak > 0.5) != self.truth

    def with_weak(self, weak):
        return replace(self, problem=replace(self.problem, weak_labels=np.asarray(weak, dtype=float)))

    def accuracy(self, method, seed=0):
        predict = import_module(f"aarlab.methods.{method}").fit(self.problem, seed)
        return float(correctness(predict(self.test), self.test_truth).mean())


def make_world(
    hidden,
    truth,
    weak,
    *,
    margins=None,
    pairs=True,
    test=0,
    groups=None,
    texts=None,
    domain="chat",
    student=RecordingStudent,
):
    """A world of given states; the last `test` rows are for testing.

    Args:
        hidden: shape (n, d), or (n, places, d).
        truth: 0 or 1, shape (n,).
        weak: P(label = 1), shape (n,).
        margins: shape (n,), or (n, templates, orders); default all 0.
    """
    hidden = hidden[:, None] if hidden.ndim == 2 else hidden
    count, places, _ = hidden.shape
    train = np.arange(count) < count - test
    scale = np.abs(hidden).max(axis=0) / 127 + 1e-9
    margins = np.zeros(count) if margins is None else np.asarray(margins)
    margins = np.tile(margins[:, None, None], (1, 2, 2)) if margins.ndim == 1 else margins
    examples = Examples(
        columns={
            "hidden": np.rint(hidden / scale).astype(np.int8),
            "margins": margins,
            "logprob": margins.mean(axis=(1, 2)),
            "row": np.arange(count),
        },
        swap=np.zeros(count, np.bool_),
        pairs=pairs,
        groups=np.arange(count, dtype=np.int32) if groups is None else np.asarray(groups, np.int32),
        texts=texts,
    )
    places = tuple((layer, "mean") for layer in range(places))
    made = student(ProbeAssets(places, places, scale.astype(np.float32), ("a", "b")))
    weak = np.asarray(weak, dtype=float)
    return World(
        Problem(made, examples.take(train), weak[train], domain),
        np.asarray(truth)[train],
        replace(examples.take(~train), groups=None),
        np.asarray(truth)[~train],
    )


def clusters(rng, count, *, width=12, apart=1.5, places=1, pairs=True):
    """Truth and states: two opposite clusters; off the origin for single candidates. Shapes (n,), (n, places, d)."""
    truth = rng.integers(2, size=count)
    direction = rng.normal(size=(places, width))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    hidden = rng.normal(size=(count, places, width)) + apart * (2 * truth - 1)[:, None, None] * direction
    return truth, hidden + (0 if pairs else 2)


def noisy(rng, truth, error, confidence=0.1):
    """Weak labels that are wrong with this probability, each as sure as the next; `error` shape () or (n,)."""
    flip = rng.random(len(truth)) < error
    return 0.5 + confidence * (2 * np.where(flip, 1 - truth, truth) - 1)


@pytest.fixture(name="make_world")
def make_world_fixture():
    return make_world


@pytest.fixture(name="clusters")
def clusters_fixture():
    return clusters


@pytest.fixture(name="noisy")
def noisy_fixture():
    return noisy


@pytest.fixture
def other_student():
    return OtherStudent


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def separated(rng):
    """Clusters far apart, a third of the weak labels wrong at random."""
    truth, hidden = clusters(rng, 900, width=60, apart=2.5)
    return make_world(hidden, truth, noisy(rng, truth, 0.35), test=400)
