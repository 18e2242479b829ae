"""What every student has to pass: checks of the Student contract, for `test_conformance.py` to run on each.

A check takes a `Case`. One that asks for a capability which the student lacks has to meet `Unsupported`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from aarlab.students import Examples, Student, Unsupported, make_student
from aarlab.testbeds import correctness

CAPABILITIES = {"finetune", "hidden", "margins", "texts"}


@dataclass(frozen=True)
class Case:
    """A student and an easy task for it.

    Attributes:
        student: the student.
        train: what to train on; labels has its labels.
        test: what to be asked about; test_labels has its labels.
        accuracy: what it has to reach on `test` after training on `train`.
        steps: enough for an effect that shows.
        tolerance: how much a prediction may differ for reasons of arithmetic.
        optimum: how much two trainings that have the same optimum may differ.
        symmetric: whether a pair gets exactly opposite logits in both orders, by construction.
        draws: arguments of `finetune` that make training depend on the seed.
        restored: from what `to_job` told to what `from_job` is told here, where no sandbox mounts anything.
    """

    student: Student
    train: Examples
    labels: NDArray[Any]
    test: Examples
    test_labels: NDArray[Any]
    accuracy: float = 0.8
    steps: int = 4
    tolerance: float = 1e-4
    optimum: float = 1e-4
    symmetric: bool = False
    draws: Mapping[str, Any] = field(default_factory=dict)
    restored: Callable[[dict[str, Any]], dict[str, Any]] = dict


Check = Callable[[Case], None]
CHECKS: dict[str, tuple[str, Check]] = {}


def asks_for(capability: str) -> Callable[[Check], Check]:
    """Register a check that needs a capability ("" for none)."""

    def register(check: Check) -> Check:
        CHECKS[check.__name__] = capability, check
        return check

    return register


def run(name: str, case: Case) -> None:
    """Run one check, or see that the student refuses what the check would ask for."""
    capability, check = CHECKS[name]
    if not capability or capability in case.student.capabilities:
        check(case)
        return
    refused = {
        "finetune": lambda: case.student.finetune(case.train, case.labels),
        "hidden": lambda: case.student.hidden(case.train, 1, "mean"),
        "margins": lambda: case.student.margins(case.train),
    }
    with pytest.raises(Unsupported, match=", ".join(case.student.capabilities)):
        refused[capability]()


def same(case: Case, a: NDArray[Any], b: NDArray[Any]) -> None:
    """Equal up to arithmetic."""
    np.testing.assert_allclose(a, b, atol=case.tolerance, rtol=case.tolerance)


@asks_for("")
def it_says_what_it_is(case: Case) -> None:
    assert case.student.name
    assert set(case.student.capabilities) <= CAPABILITIES
    assert ("hidden" in case.student.capabilities) == bool(case.student.representations)


@asks_for("")
def a_job_makes_it_again(case: Case) -> None:
    about, arrays = case.student.to_job()
    again = make_student(case.restored(json.loads(json.dumps(about))), arrays)
    assert (again.name, again.capabilities) == (case.student.name, case.student.capabilities)
    assert again.representations == case.student.representations
    some = case.test.take(np.arange(6))
    if "hidden" in case.student.capabilities:
        layer, pooling = case.student.representations[-1]
        same(case, again.hidden(some, layer, pooling), case.student.hidden(some, layer, pooling))
    if "margins" in case.student.capabilities:
        same(case, again.margins(some).templates, case.student.margins(some).templates)
    if "finetune" in case.student.capabilities:
        trained = [s.finetune(case.train, case.labels, max_steps=case.steps) for s in (again, case.student)]
        same(case, trained[0].predict(some), trained[1].predict(some))


@asks_for("finetune")
def it_learns(case: Case) -> None:
    trained = case.student.finetune(case.train, case.labels)
    predicted = trained.predict(case.test)
    assert predicted.shape == (len(case.test),)
    assert correctness(predicted, case.test_labels).mean() > case.accuracy
    same(case, predicted, expit(trained.logits(case.test)))
    if case.test.pairs:
        swapped = trained.predict(case.test.swapped())
        assert correctness(1 - swapped, case.test_labels).mean() > case.accuracy
        same(case, trained.logits(case.test.swapped().swapped()), trained.logits(case.test))


@asks_for("finetune")
def both_orders_of_a_pair_are_opposite(case: Case) -> None:
    if case.symmetric:
        trained = case.student.finetune(case.train, case.labels)
        same(case, trained.logits(case.test.swapped()), -trained.logits(case.test))


@asks_for("hidden")
def hidden_states_follow_the_order(case: Case) -> None:
    for layer, pooling in case.student.representations:
        states = case.student.hidden(case.test, layer, pooling)
        assert states.dtype == np.float64
        assert states.shape == (len(case.test), states.shape[1])
        assert np.isfinite(states).all()
        assert np.ptp(states, axis=0).max() > 0
        if case.test.pairs:
            np.testing.assert_array_equal(case.student.hidden(case.test.swapped(), layer, pooling), -states)


@asks_for("margins")
def margins_follow_the_order(case: Case) -> None:
    margins = case.student.margins(case.test)
    count, templates, orders = margins.templates.shape
    assert (count, orders) == (len(case.test), 2)
    assert templates > 0
    assert margins.logprob.shape == (count,)
    if case.test.pairs:
        swapped = case.student.margins(case.test.swapped())
        same(case, swapped.templates.mean(axis=2), -margins.templates.mean(axis=2))
        same(case, swapped.logprob, -margins.logprob)


@asks_for("finetune")
def predictions_do_not_depend_on_the_batch(case: Case) -> None:
    trained = case.student.finetune(case.train, case.labels, max_steps=case.steps)
    order = np.random.default_rng(0).permutation(len(case.test))
    together = trained.predict(case.test)
    shuffled = np.empty(len(order))
    shuffled[order] = trained.predict(case.test.take(order))
    same(case, shuffled, together)
    same(case, np.concatenate([trained.predict(case.test.take([i])) for i in range(9)]), together[:9])


@asks_for("finetune")
def the_seed_fixes_training(case: Case) -> None:
    def predict(seed: int) -> NDArray[np.float64]:
        arguments = {"max_steps": case.steps, **case.draws}
        return case.student.finetune(case.train, case.labels, seed=seed, **arguments).predict(case.test)

    first = predict(1)
    np.testing.assert_array_equal(first, predict(1))
    assert np.abs(first - predict(2)).max() > 1e-3


@asks_for("finetune")
def a_weight_of_zero_is_leaving_out(case: Case) -> None:
    keep = np.arange(len(case.train)) < len(case.train) * 3 // 4
    kept, labels = case.train.take(keep), case.labels[keep]
    # The same beginning (and standardisation, where there is one), so that only the weights differ.
    start = case.student.finetune(kept, labels, max_steps=1)
    left_out = case.student.finetune(kept, labels, start=start, max_steps=case.steps)
    weighted = case.student.finetune(case.train, case.labels, keep.astype(float), start=start, max_steps=case.steps)
    np.testing.assert_allclose(weighted.predict(case.test), left_out.predict(case.test), atol=case.optimum)


@asks_for("finetune")
def weights_count(case: Case) -> None:
    favoured = np.where(np.asarray(case.labels) > 0.5, 20.0, 1.0)
    plain, weighted = (
        case.student.finetune(case.train, case.labels, w, max_steps=case.steps) for w in (None, favoured)
    )
    assert np.abs(weighted.predict(case.test) - plain.predict(case.test)).max() > 1e-3
    doubled = case.student.finetune(case.train, case.labels, 2 * favoured, max_steps=case.steps)
    np.testing.assert_allclose(doubled.predict(case.test), weighted.predict(case.test), atol=case.optimum)


@asks_for("finetune")
def a_warm_start_goes_on(case: Case) -> None:
    first = case.student.finetune(case.train, case.labels)
    before = first.predict(case.test)
    again = case.student.finetune(case.train, case.labels, start=first, max_steps=1).predict(case.test)
    fresh = case.student.finetune(case.train, case.labels, max_steps=1).predict(case.test)
    assert np.abs(again - before).mean() < np.abs(fresh - before).mean()


@asks_for("finetune")
def classifiers_do_not_disturb_one_another(case: Case) -> None:
    labels = np.asarray(case.labels)
    first = case.student.finetune(case.train, labels, max_steps=case.steps)
    before = first.predict(case.test)
    second = case.student.finetune(case.train, 1 - labels, start=first, max_steps=case.steps)
    other = second.predict(case.test)
    np.testing.assert_array_equal(first.predict(case.test), before)
    np.testing.assert_array_equal(second.predict(case.test), other)
    assert np.abs(other - before).max() > 1e-3
    if "hidden" in case.student.capabilities:
        layer, pooling = case.student.representations[-1]
        case.student.hidden(case.test, layer, pooling)
        np.testing.assert_array_equal(first.predict(case.test), before)


@asks_for("finetune")
def a_loss_of_the_callers_own_equals_the_built_in_one(case: Case) -> None:
    targets = np.linspace(0.1, 0.9, len(case.train))

    def squared(logits: NDArray[Any], wanted: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        p = expit(logits)
        return (p - wanted) ** 2, 2 * (p - wanted) * p * (1 - p)

    predicted = [
        case.student.finetune(case.train, targets, loss=loss, max_steps=case.steps).predict(case.test)
        for loss in ("squared", squared, "cross_entropy")
    ]
    same(case, predicted[1], predicted[0])
    assert np.abs(predicted[2] - predicted[0]).max() > 1e-3


@asks_for("finetune")
def bad_arguments_are_named(case: Case) -> None:
    count = len(case.train)
    half = np.full(count, 0.5)
    table = [
        (half[:1], None, "targets have shape"),
        (np.full(count, np.nan), None, "finite"),
        (np.full(count, 2.0), None, r"\[0, 1\]"),
        (half, half[:1], "weights have shape"),
        (half, -np.ones(count), "finite"),
        (half, np.zeros(count), "nothing to train on"),
    ]
    for targets, weights, message in table:
        with pytest.raises(ValueError, match=message):
            case.student.finetune(case.train, targets, weights)
    with pytest.raises(TypeError, match="start"):
        case.student.finetune(case.train, half, start="a classifier")  # type: ignore[arg-type]


@asks_for("hidden")
def what_it_cannot_read_is_named(case: Case) -> None:
    for layer, pooling in ((99, "mean"), (case.student.representations[0][0], "median")):
        with pytest.raises(Unsupported, match=r"it can: .*mean"):
            case.student.hidden(case.test, layer, pooling)
