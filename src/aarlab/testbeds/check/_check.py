"""The whole check, in order."""

from collections.abc import Iterator

import numpy as np

from aarlab.stats import RESOLVED_STANDARD_ERRORS
from aarlab.testbeds.check import _duplicates, _leaks, _rules
from aarlab.testbeds.check.report import Check, Figure, Report
from aarlab.testbeds.pack import TestbedError
from aarlab.testbeds.summary import RESOLVED_GAP, PartSummary, summarise
from aarlab.testbeds.testbed import SCORED, SPLITS, Testbed


def check_testbed(testbed: Testbed) -> Report:
    """Check a testbed with its student; some seconds for `probe`, more where there is much text.

    Args:
        testbed: with its floor and ceiling. Where its text is on this machine, more can be checked.
    """
    summary = summarise(testbed)
    rules = _rules.measure(testbed, summary)
    checks = (
        _pack(testbed),
        *(_gap(part) for part in summary.parts),
        _leaks.check_groups(testbed),
        *_leaks.check_inputs(testbed),
        _leaks.check_order(testbed),
        _leaks.check_balance(testbed),
        *_duplicates.check_duplicates(testbed),
        *_rules.judge(testbed, summary, rules),
    )
    return Report(testbed.name, testbed.student.name, summary, rules, checks)


def damaged(name: str, student: str, error: TestbedError) -> Report:
    """The report on a pack that cannot be read."""
    return Report(name, student, None, (), (Check("pack", "fail", error.message, error.advice),))


def _pack(testbed: Testbed) -> Check:
    """Whether the arrays fit each other and the manifest."""
    faults = list(_faults(testbed))
    if faults:
        return Check("pack", "fail", "; ".join(faults), "Make the pack again.")
    pack = testbed.pack
    finding = f"whole: {len(pack.labels)} rows, {pack.manifest.groups} questions, checksums and shapes agree"
    return Check("pack", "pass", finding)


def _faults(testbed: Testbed) -> Iterator[str]:
    pack, manifest = testbed.pack, testbed.pack.manifest
    n = len(pack.labels)
    candidates = 2 if pack.pairs else 1
    shapes = {
        "hidden": (pack.inputs.hidden.shape[:2], (n, len(manifest.representations))),
        "scale": (pack.inputs.scale.shape[:1], (len(manifest.representations),)),
        "margins": (pack.inputs.margins.shape[:2], (n, len(manifest.templates))),
        "logprob": (pack.inputs.logprob.shape, (n,)),
        "groups": (pack.groups.shape, (n,)),
        "source": (pack.source.shape, (n,)),
        "writer": (pack.writer.shape, (n, candidates)),
        "digests": (pack.digests.shape, (n, candidates)),
        "weak labels": (testbed.weak_labels.shape, (n,)),
    }
    for name, (found, wanted) in shapes.items():
        if found != wanted:
            yield f"{name} has shape {found}, expected {wanted}"
    counted = {"examples": (n, manifest.examples), "groups": (len(np.unique(pack.groups)), manifest.groups)}
    for name, (count, told) in counted.items():
        if count != told:
            yield f"the manifest tells of {told} {name}, the pack has {count}"
    if not np.isin(pack.labels, (0, 1)).all():
        yield "some labels are neither 0 nor 1"
    if not (np.isfinite(testbed.weak_labels) & (testbed.weak_labels >= 0) & (testbed.weak_labels <= 1)).all():
        yield "some weak labels are not in [0, 1]"
    for name, values in (
        ("margins", pack.inputs.margins),
        ("logprob", pack.inputs.logprob),
        ("scale", pack.inputs.scale),
    ):
        if not np.isfinite(values).all():
            yield f"some {name} are not finite"
    for name, indices, known in (("source", pack.source, manifest.sources), ("writer", pack.writer, manifest.writers)):
        least = 0 if name == "source" else -1
        if indices.min(initial=least) < least or indices.max(initial=-1) >= len(known):
            yield f"some rows name a {name} that the manifest does not know"
    scored = np.concatenate([testbed.rows(split, part) for split in SCORED for part in testbed.parts(split)])
    if not np.isfinite(testbed.ceiling_predictions[:, scored]).all():
        yield "the ceiling was not measured on all rows that are scored"
    for split in SPLITS:
        if "id" not in testbed.parts(split):
            yield f"`{split}` is empty"


def _gap(part: PartSummary) -> Check:
    """Whether PGR can be reported."""
    name = f"gap on {part.split} {part.part}"
    if part.ceiling is None or part.gap is None or part.gap_standard_errors is None:
        finding = f"floor {part.floor:.3f}; without a ceiling there is no PGR"
        return Check(name, "warn", finding, "Name a student that can be trained, or compare accuracies only.")
    figures: dict[str, Figure] = {
        "gap": round(part.gap, 4),
        "standard_errors": round(part.gap_standard_errors, 2),
        "questions": part.questions,
        "detectable_pgr": None if part.detectable_pgr is None else round(part.detectable_pgr, 3),
    }
    finding = (
        f"floor {part.floor:.3f}, ceiling {part.ceiling:.3f}: a gap of {part.gap:.3f}, "
        f"{part.gap_standard_errors:.1f} standard errors wide"
    )
    if part.resolved:
        return Check(name, "pass", finding, "", figures)
    needed = f"{RESOLVED_GAP:.2f} and {RESOLVED_STANDARD_ERRORS:.0f} standard errors are needed"
    if part.part == "ood":
        advice = "PGR is not reported on this part; accuracies still are."
        return Check(name, "warn", f"{finding}; {needed}", advice, figures)
    return Check(name, "fail", f"{finding}; {needed}", _widen(part), figures)


def _widen(part: PartSummary) -> str:
    """What would resolve a gap."""
    assert part.gap is not None
    assert part.gap_standard_errors is not None
    if part.gap < RESOLVED_GAP:
        return "Widen the gap: a weaker supervisor (fewer labels), or a stronger student or better layers."
    factor = (RESOLVED_STANDARD_ERRORS / max(part.gap_standard_errors, 1e-9)) ** 2
    return f"At this gap some {round(part.questions * factor)} questions are needed instead of {part.questions}."
