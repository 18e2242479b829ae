"""The figures of a testbed, recomputed from what they are said to be."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from aarlab.methods import confident, vanilla
from aarlab.stats import compare_accuracy
from aarlab.testbeds import Testbed, correctness
from aarlab.testbeds.summary import summarise


def test_figures_are_those_of_the_testbed(small_testbed: Testbed):
    summary = summarise(small_testbed)
    assert [(part.split, part.part) for part in summary.parts] == [
        ("public", "id"),
        ("public", "ood"),
        ("private", "id"),
        ("private", "ood"),
    ]
    for part in summary.parts:
        anchors = small_testbed.anchors(part.split, part.part)
        assert (part.floor, part.floor_se, part.ceiling, part.ceiling_se) == tuple(asdict(anchors).values())
        assert part.rows == len(small_testbed.labels(part.split, part.part))
        assert part.questions == len(set(small_testbed.groups(part.split, part.part).tolist()))
        assert part.gap == pytest.approx(anchors.ceiling - anchors.floor)  # type: ignore[operator]
    json.dumps(asdict(summary))


def test_detectable_difference_is_that_of_the_published_methods(small_testbed: Testbed):
    problem = small_testbed.problem()
    predictors = [method.fit(problem, 0) for method in (vanilla, confident)]
    for part in summarise(small_testbed).parts:
        examples = small_testbed.examples(part.split, part.part)
        labels = small_testbed.labels(part.split, part.part)
        first, second = (correctness(np.asarray(predict(examples)), labels) for predict in predictors)
        error = compare_accuracy(first, second, small_testbed.groups(part.split, part.part)).standard_error
        assert part.detectable_accuracy == pytest.approx(2.8016 * error, rel=1e-3)
        assert part.detectable_pgr == pytest.approx(2.8016 * error / part.gap, rel=1e-3)  # type: ignore[operator]


def test_a_difference_of_that_size_is_found_four_times_in_five(small_testbed: Testbed):
    """The promise itself, simulated: two methods that differ by MDE, on many draws of the questions."""
    part = summarise(small_testbed).parts[0]
    assert part.detectable_accuracy is not None
    rng, found, draws = np.random.default_rng(0), 0, 400
    groups = np.repeat(np.arange(part.questions), part.rows // part.questions)
    spread = part.detectable_accuracy / 2.8016 * np.sqrt(part.questions)
    for _ in range(draws):
        difference = part.detectable_accuracy + spread * rng.normal(size=part.questions)[groups]
        found += compare_accuracy(difference[None], np.zeros((1, len(groups))), groups).p < 0.05
    assert found / draws == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(
    ("ceiling", "resolved"),
    [("the truth", True), ("the weak supervisor", False), ("three points better", False)],
)
def test_a_gap_is_resolved_from_ten_points_and_six_standard_errors(
    small_testbed: Testbed, ceiling: str, resolved: bool
):
    truth, weak = small_testbed.pack.labels.astype(np.float64), small_testbed.weak_labels
    better = weak.copy()
    wrong = np.flatnonzero((weak > 0.5) != (truth > 0.5))[::12]
    better[wrong] = truth[wrong]
    predictions = {"the truth": truth, "the weak supervisor": weak, "three points better": better}[ceiling]
    summary = summarise(replace(small_testbed, ceiling_predictions=predictions[None]))
    assert {part.resolved for part in summary.parts} == {resolved}


def test_a_narrow_gap_is_unresolved_however_sure(small_testbed: Testbed):
    """Nine points, each question alike, so that the standard error is tiny."""
    truth = small_testbed.pack.labels.astype(np.float64)
    weak = truth.copy()
    for group in np.unique(small_testbed.pack.groups):
        rows = np.flatnonzero(small_testbed.pack.groups == group)
        weak[rows[0]] = 0.5 + 0.1 * (0.5 - truth[rows[0]]) * 2 * (group % 3 == 0)  # wrong, or a tie
    ceiling = truth.copy()
    testbed = replace(small_testbed, weak_labels=np.where(weak == 0.5, truth, weak), ceiling_predictions=ceiling[None])
    for part in summarise(testbed).parts:
        assert part.gap is not None
        assert part.gap < 0.13
        assert part.resolved == (part.gap >= 0.1 and (part.gap_standard_errors or 0) >= 6)


def test_a_student_that_cannot_be_trained_has_no_gap(small_testbed: Testbed):
    untrained = replace(small_testbed, ceiling_predictions=np.empty((0, len(small_testbed.weak_labels))))
    summary = summarise(untrained)
    assert summary.pair == "none"
    for part in summary.parts:
        assert (part.ceiling, part.gap, part.detectable_pgr, part.resolved) == (None, None, None, False)
        assert part.floor > 0
