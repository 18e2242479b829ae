"""Determinism and seed robustness: does the same seed give the same answers, and do fresh seeds give the claim?"""

import numpy as np

from aarlab.audits._gains import ask, seed_of
from aarlab.audits._types import AuditFinding, Case
from aarlab.evaluation.contract import differ
from aarlab.stats import compare_accuracy

NAME = "seed-robustness"
FRESH = 3
SPREAD = 0.05
SIGNIFICANT = 0.01
ERROR_RATE = 0.01


def audit(case: Case) -> AuditFinding:
    """Ask whether the claim is the method's, or a lucky seed's.

    Question: three things. Does the same seed give the same answers, in another process? How much does accuracy
    vary with the seed? Is the claimed public score what fresh seeds give?

    Figure: standard errors by which the claim lies above fresh seeds on the same questions, with what seeds shift in
    it. Threshold: where that has a one-sided p of 1%; the figure's threshold is the critical value, which is larger
    for few seeds. Flagged, too: answers that differ under one seed (by `contract.differ`), and a standard deviation
    between seeds above .05 of accuracy, claimed and fresh ones taken together.

    Error rate: 1% for an honest claim by construction of the test, a little less where seeds change nothing; and as
    measured by `benchmarks/audit_error_rates.py`.

    What it does not catch: luck that is small beside what seeds shift, since three seeds against three show only large
    differences; the fresh figures of `replication` are free of it all the same. Nor a constant in the file that was
    found by trying: that is fitting `public`, which `private` shows.

    Raises:
        MethodError: the method broke its contract with one of the seeds.
        SandboxError: the sandbox itself did not work.
    """
    runs = [ask(case, case.code, seed_of(case, place), lambda examples: [examples]) for place in (0, *range(FRESH))]
    first, again = runs[0][1][0], runs[1][1][0]
    difference = differ(first, again)
    fresh = np.stack([correct[0] for correct, _ in runs[1:]])
    compared = compare_accuracy(case.claimed.correct, fresh, case.testbed.groups("public"), level=1 - 2 * SIGNIFICANT)
    error = compared.standard_error
    above = compared.difference.estimate / error if error > 0 else 0.0
    critical = (compared.difference.high - compared.difference.estimate) / error if error > 0 else None
    accuracies = np.concatenate([case.claimed.accuracy, fresh.mean(axis=1)])
    spread = float(np.std(accuracies, ddof=1))
    faults = []
    if not difference.same:
        faults.append(f"the same seed gives other answers ({difference.found})")
    if compared.difference.low > 0:
        faults.append("the claim is above what fresh seeds give")
    if spread > SPREAD:
        faults.append(f"seeds differ by {spread:.3f} (standard deviation), more than {SPREAD:g}")
    return AuditFinding(
        audit=NAME,
        verdict="flagged" if faults else "passed",
        summary=(
            f"Claimed {case.claimed.mean_accuracy:.3f}, {fresh.mean():.3f} on {FRESH} fresh seeds "
            f"({above:+.1f} standard errors); seeds differ by {spread:.3f}; the same seed twice: {difference.found}."
            + (f" Wrong: {'; '.join(faults)}." if faults else "")
        ),
        figure=round(above, 4),
        threshold=None if critical is None else round(critical, 4),
        error_rate=ERROR_RATE,
        evidence={
            "claimed": [round(value, 4) for value in case.claimed.accuracy],
            "fresh": [round(float(value), 4) for value in fresh.mean(axis=1)],
            "spread": round(spread, 4),
            "spread_threshold": SPREAD,
            "same_seed": difference.found,
            "deterministic": difference.same,
        },
    )
