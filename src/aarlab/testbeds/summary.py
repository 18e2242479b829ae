"""A testbed in figures: how wide its gap is, and how small a difference between methods it can show.

The least difference in PGR that a part can show between two methods, with 80% power in a two-sided test at 5%
paired by question, is (1.960 + 0.842) * SE / gap. It hangs on which two methods are compared: the more often they
disagree, the larger SE is. Taken here are two published ones that every study compares first, vanilla and confident
(Burns et al. 2023; Wen et al. 2026), trained on the spot, once each; the student `probe` does that in a blink. For a
student that takes minutes to train, SE is that of floor against ceiling, which disagree more often than two methods
do: an upper bound. `Summary.pair` says which it was. The gap is taken as known, and noise of training comes on top.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aarlab.stats import RESOLVED_STANDARD_ERRORS, compare_accuracy, minimum_detectable_effect
from aarlab.testbeds.pack import Part
from aarlab.testbeds.testbed import SCORED, Split, Testbed, correctness

RESOLVED_GAP = 0.10

Pair = Literal["vanilla and confident", "floor and ceiling", "none"]


@dataclass(frozen=True)
class PartSummary:
    """One part of one split.

    Attributes:
        split: public or private.
        part: "id" or "ood".
        rows: examples.
        questions: what standard errors count.
        positive: share of label 1, in [0, 1].
        floor: accuracy of the weak supervisor.
        floor_se: its standard error by question.
        ceiling: accuracy of the student trained on ground truth; None if that was not measured on all rows.
        ceiling_se: its standard error by question.
        gap: ceiling minus floor.
        gap_standard_errors: the gap divided by its standard error.
        resolved: whether the gap is at least .10 and 6 standard errors wide, so that PGR means something.
        detectable_accuracy: least difference in accuracy that it can show between two methods.
        detectable_pgr: the same in PGR; None if the gap is not positive.
    """

    split: Split
    part: Part
    rows: int
    questions: int
    positive: float
    floor: float
    floor_se: float
    ceiling: float | None
    ceiling_se: float | None
    gap: float | None
    gap_standard_errors: float | None
    resolved: bool
    detectable_accuracy: float | None
    detectable_pgr: float | None


@dataclass(frozen=True)
class Summary:
    """A testbed with one student.

    Attributes:
        testbed: its name.
        domain: chat, math or code.
        task: "pair" or "pointwise".
        student: which.
        rows: examples of all splits.
        questions: questions of all splits.
        pair: the two predictors whose paired standard error `detectable_*` rests on.
        parts: those that are scored.
    """

    testbed: str
    domain: str
    task: str
    student: str
    rows: int
    questions: int
    pair: Pair
    parts: tuple[PartSummary, ...]


def summarise(testbed: Testbed) -> Summary:
    """All figures of a testbed with its student; a second for `probe` or any student's stored ceiling."""
    manifest = testbed.pack.manifest
    methods = _two_methods(testbed)
    pair: Pair = "none"
    if len(testbed.ceiling_predictions):
        pair = "floor and ceiling" if methods is None else "vanilla and confident"
    return Summary(
        testbed=testbed.name,
        domain=manifest.domain,
        task=manifest.task,
        student=testbed.student.name,
        rows=len(testbed.pack.labels),
        questions=len(np.unique(testbed.pack.groups)),
        pair=pair,
        parts=tuple(_part(testbed, split, part, methods) for split in SCORED for part in testbed.parts(split)),
    )


def _two_methods(testbed: Testbed) -> NDArray[np.float64] | None:
    """P(label = 1) of vanilla and of confident for all rows, shape (2, n); None if training takes long."""
    if testbed.student.name != "probe" or not len(testbed.ceiling_predictions):
        return None
    train, weak = testbed.examples("train"), testbed.weak_labels[testbed.rows("train")]
    hard, confidence = (weak > 0.5).astype(np.float64), np.abs(weak - 0.5)
    keep = confidence >= np.median(confidence)
    predictions = np.full((2, len(testbed.weak_labels)), np.nan)
    vanilla = testbed.student.finetune(train, hard)
    confident = testbed.student.finetune(train.take(keep), hard[keep])
    for split in SCORED:
        for part in testbed.parts(split):
            rows, examples = testbed.rows(split, part), testbed.examples(split, part)
            predictions[:, rows] = vanilla.predict(examples), confident.predict(examples)
    return predictions


def _part(testbed: Testbed, split: Split, part: Part, methods: NDArray[np.float64] | None) -> PartSummary:
    labels, groups = testbed.labels(split, part), testbed.groups(split, part)
    anchors = testbed.anchors(split, part)
    gap = errors = detectable = None
    ceiling, ceiling_se = anchors.ceiling, anchors.ceiling_se
    if ceiling is not None and not np.isfinite(ceiling):  # not of the rows that it was measured on
        ceiling = ceiling_se = None
    if ceiling is not None:
        floor = testbed.floor_correct(split, part)[None]
        estimate = testbed.estimate(split, floor, part)
        gap, errors = estimate.gap, estimate.gap_standard_errors
        if methods is None:
            paired = compare_accuracy(testbed.ceiling_correct(split, part), floor, groups)
        else:
            first, second = correctness(methods[:, testbed.rows(split, part)], labels)
            paired = compare_accuracy(first, second, groups)
        detectable = minimum_detectable_effect(paired.standard_error)
    return PartSummary(
        split=split,
        part=part,
        rows=len(labels),
        questions=len(np.unique(groups)),
        positive=float(labels.mean()),
        floor=anchors.floor,
        floor_se=anchors.floor_se,
        ceiling=ceiling,
        ceiling_se=ceiling_se,
        gap=gap,
        gap_standard_errors=errors,
        resolved=gap is not None and errors is not None and gap >= RESOLVED_GAP and errors >= RESOLVED_STANDARD_ERRORS,
        detectable_accuracy=detectable,
        detectable_pgr=detectable / gap if detectable is not None and gap is not None and gap > 0 else None,
    )
