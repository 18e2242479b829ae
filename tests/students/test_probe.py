"""What is the probe student's own; that it keeps the Student contract is in test_conformance.py."""

import numpy as np
import pytest
from scipy.special import expit

from aarlab.students import concatenate


@pytest.fixture
def student(small_testbed):
    return small_testbed.student


@pytest.fixture
def train(small_testbed):
    return small_testbed.examples("train")


def test_predictions_of_hidden_units_do_not_depend_on_the_batch(small_testbed, student, train):
    trained = student.finetune(train, small_testbed.labels("train"), hidden_units=3, max_steps=5)
    test = small_testbed.examples("public")
    whole = trained.predict(test)
    alone = np.concatenate([trained.predict(test.take([i])) for i in range(20)])
    np.testing.assert_allclose(whole[:20], alone, rtol=1e-4)


@pytest.mark.parametrize("units", [0, 4])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
def test_gradients_are_those_of_the_objective(small_testbed, student, train, units, loss):
    """With a wrong gradient the line search of L-BFGS fails at once, and longer runs do no better."""
    targets = small_testbed.labels("train").astype(float)
    losses = [_objective(student, train, targets, loss, units, steps) for steps in (1, 5, 300)]
    assert losses[0] > losses[1] > losses[2]


def _objective(student, train, targets, loss, units, steps):
    trained = student.finetune(train, targets, loss=loss, hidden_units=units, l2=1e-3, max_steps=steps)
    p = expit(trained.logits(train))
    value = np.mean((p - targets) ** 2) if loss == "squared" else _cross_entropy(p, targets)
    return value + 0.5e-3 * np.square(trained.head.parameters).sum()


def _cross_entropy(p, targets):
    return -np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p))


def test_warm_start_goes_on_from_where_it_stopped(small_testbed, student, train):
    labels = small_testbed.labels("train")
    first = student.finetune(train, labels, max_steps=300)
    again = student.finetune(train, labels, start=first, max_steps=300)
    np.testing.assert_allclose(again.predict(train), first.predict(train), atol=0.01)


def test_concatenate_keeps_questions_only_if_all_have_them(small_testbed, train):
    both = concatenate([train, train.swapped()])
    assert len(both) == 2 * len(train)
    assert both.groups is not None
    assert concatenate([train, small_testbed.examples("public")]).groups is None
