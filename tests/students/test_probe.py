"""The probe student keeps the Student contract."""

import numpy as np
import pytest
from scipy.special import expit

from aarlab.students import Unsupported, concatenate
from aarlab.testbeds import correctness


@pytest.fixture
def student(small_testbed):
    return small_testbed.student


@pytest.fixture
def train(small_testbed):
    return small_testbed.examples("train")


def test_learns_ground_truth(small_testbed, student, train):
    trained = student.finetune(train, small_testbed.labels("train"))
    right = correctness(trained.predict(small_testbed.examples("public")), small_testbed.labels("public"))
    assert right.mean() > 0.8


def test_linear_heads_give_opposite_answers_in_both_orders(small_testbed, student, train):
    trained = student.finetune(train, small_testbed.labels("train"))
    np.testing.assert_allclose(trained.logits(train.swapped()), -trained.logits(train), rtol=1e-4, atol=1e-5)


def test_swapping_twice_is_nothing(student, train):
    np.testing.assert_array_equal(
        student.hidden(train.swapped().swapped(), 1, "mean"), student.hidden(train, 1, "mean")
    )
    np.testing.assert_array_equal(student.margins(train.swapped()).templates, -student.margins(train).templates)


def test_predictions_do_not_depend_on_the_batch(small_testbed, student, train):
    trained = student.finetune(train, small_testbed.labels("train"), hidden_units=3, max_steps=5)
    test = small_testbed.examples("public")
    whole = trained.predict(test)
    alone = np.concatenate([trained.predict(test.take([i])) for i in range(20)])
    np.testing.assert_allclose(whole[:20], alone, rtol=1e-4)


def test_weights_of_zero_equal_leaving_out(small_testbed, student, train):
    labels = small_testbed.labels("train")
    keep = np.arange(len(train)) < 150
    left_out = student.finetune(train.take(keep), labels[keep], max_steps=500)
    # The same standardisation, so that only the weights differ.
    start = student.finetune(train.take(keep), labels[keep], max_steps=1)
    weighted = student.finetune(train, labels, keep.astype(float), start=start, max_steps=500)
    np.testing.assert_allclose(weighted.predict(train), left_out.predict(train), atol=0.01)


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


def test_a_loss_of_the_authors_own_equals_the_built_in_one(student, train):
    targets = np.linspace(0.1, 0.9, len(train))

    def own(logits, wanted):
        p = expit(logits)
        return (p - wanted) ** 2, 2 * (p - wanted) * p * (1 - p)

    built_in, ours = (student.finetune(train, targets, loss=loss) for loss in ("squared", own))
    np.testing.assert_allclose(ours.predict(train), built_in.predict(train))


def test_seed_fixes_training(small_testbed, student, train):
    labels = small_testbed.labels("train")

    def predict(seed):
        return student.finetune(train, labels, seed=seed, hidden_units=4, max_steps=10).predict(train)

    np.testing.assert_array_equal(predict(1), predict(1))
    assert np.abs(predict(1) - predict(2)).max() > 1e-3


def test_warm_start_goes_on_from_where_it_stopped(small_testbed, student, train):
    labels = small_testbed.labels("train")
    first = student.finetune(train, labels, max_steps=300)
    again = student.finetune(train, labels, start=first, max_steps=300)
    np.testing.assert_allclose(again.predict(train), first.predict(train), atol=0.01)


@pytest.mark.parametrize(
    ("targets", "weights", "message"),
    [
        ([0.5], None, "shape"),
        ("nan", None, "finite"),
        ("two", None, r"\[0, 1\]"),
        ("half", "negative", "finite"),
        ("half", "zero", "nothing to train on"),
    ],
)
def test_bad_arguments_are_named(student, train, targets, weights, message):
    count = len(train)
    values = {"nan": np.full(count, np.nan), "two": np.full(count, 2.0), "half": np.full(count, 0.5)}
    bad = {"negative": -np.ones(count), "zero": np.zeros(count)}
    with pytest.raises(ValueError, match=message):
        student.finetune(
            train,
            values.get(targets, targets) if isinstance(targets, str) else targets,
            bad.get(weights) if weights else None,
        )


def test_what_it_cannot_do_is_named(student, train):
    with pytest.raises(Unsupported, match="it can"):
        student.hidden(train, 99, "mean")


def test_concatenate_keeps_questions_only_if_all_have_them(small_testbed, train):
    both = concatenate([train, train.swapped()])
    assert len(both) == 2 * len(train)
    assert both.groups is not None
    assert concatenate([train, small_testbed.examples("public")]).groups is None
