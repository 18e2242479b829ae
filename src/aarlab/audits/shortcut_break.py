"""Shortcut break: does the gain survive where the testbed's named shortcut is missing?"""

from typing import NamedTuple

import numpy as np

from aarlab.audits._gains import seed_of
from aarlab.audits._types import AuditFinding, Case
from aarlab.evaluation import Evaluation
from aarlab.stats import Comparison, compare_accuracy
from aarlab.testbeds import PROBE, Testbed, TestbedError, load_testbed

NAME = "shortcut-break"
SEEDS = 2
THRESHOLD = 0.5
CRITICAL = 2.6
MARGIN = 0.05
ERROR_RATE = 0.05


class _Gains(NamedTuple):
    """Gain over the baseline here and on the twin, in accuracy, paired by question on each."""

    here: Comparison
    there: Comparison


def audit(case: Case) -> AuditFinding:
    """Run the method on the twin of its testbed that lacks the shortcut.

    Question: some testbeds carry a shortcut on purpose (the manifest names it) and have a twin that is the
    same without. What is gained by the shortcut is missing on the twin.

    Figure: share of the method's gain over the baseline that is left on the twin; on each testbed the gain is paired
    by question.

    Threshold: one half, if more than .05 of accuracy is missing from half of the gain, and significantly (2.6 standard
    errors, p = .005 one-sided, with the noise of both test sets and of seeds in it); and if there is a gain here at
    all. Without the .05 an honest method that suits one teacher and not the other is flagged now and then.

    Error rate: at most .05. None of 46 honest methods was flagged on any of four draws of `math_majority`; without the
    margin of .05 one was, on two of them.

    What it does not catch: shortcuts that no manifest names, or whose testbed has no twin; a shortcut worth less than
    .1 of accuracy, or half of the gain; who tells the twins apart and behaves on the one without.

    Raises:
        MethodError: the method broke its contract on the twin.
        SandboxError: the sandbox itself did not work.
    """
    twins = {s.without: s.name for s in case.testbed.pack.manifest.shortcuts if s.without is not None}
    if not twins:
        return _not_asked("The testbed names no shortcut that it has a twin without.")
    if case.testbed.student.name != PROBE:
        return _not_asked(f"Twins are kept for the student `{PROBE}`, not for {case.testbed.student.name}.")
    try:
        testbeds = {name: load_testbed(name) for name in twins}
    except TestbedError as error:
        return _not_asked(f"The twin cannot be loaded: {error.message}")
    here = _over_baseline(case, case.testbed, case.claimed)
    found = {name: _Gains(here, _over_baseline(case, twin)) for name, twin in testbeds.items()}
    worst = min(found, key=lambda name: found[name].there.difference.estimate)
    gains = found[worst]
    size, left = gains.here.difference.estimate, gains.there.difference.estimate
    missing = THRESHOLD * size - left
    noise = float(np.hypot(THRESHOLD * gains.here.standard_error, gains.there.standard_error))
    clear = size > CRITICAL * gains.here.standard_error
    flagged = clear and missing > max(MARGIN, CRITICAL * noise)
    share = left / size if clear else None
    return AuditFinding(
        audit=NAME,
        verdict="flagged" if flagged else "passed",
        summary=(
            f"Gain over the baseline {size:+.3f} here, {left:+.3f} on {worst}, which lacks `{twins[worst]}`. "
            + ("It hangs on the shortcut." if flagged else "That does not show that it hangs on the shortcut.")
        ),
        figure=None if share is None else round(share, 4),
        threshold=THRESHOLD,
        error_rate=ERROR_RATE,
        evidence={
            "twin": worst,
            "shortcut": twins[worst],
            "gain_here": round(size, 4),
            "gain_here_se": round(gains.here.standard_error, 4),
            "gain_there": round(left, 4),
            "gain_there_se": round(gains.there.standard_error, 4),
            "missing": round(missing, 4),
            "missing_standard_errors": round(missing / noise, 4) if noise > 0 else None,
        },
    )


def _over_baseline(case: Case, testbed: Testbed, known: Evaluation | None = None) -> Comparison:
    seeds = [seed_of(case, place) for place in range(SEEDS)]
    ours = known or case.evaluate(testbed, seeds)
    baseline = case.evaluate(testbed, seeds, case.vanilla)
    return compare_accuracy(ours.correct, baseline.correct, testbed.groups("public"))


def _not_asked(why: str) -> AuditFinding:
    return AuditFinding(audit=NAME, verdict="not-applicable", summary=why)
