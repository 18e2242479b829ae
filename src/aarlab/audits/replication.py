"""Replication: once more, on fresh seeds, with another teacher and other questions to learn from. Level 2."""

from aarlab.audits._gains import rng_of, seed_of
from aarlab.audits._types import AuditFinding, Case, Verdict
from aarlab.evaluation import Evaluation
from aarlab.stats import RESOLVED_STANDARD_ERRORS, Comparison, compare_accuracy
from aarlab.testbeds import Testbed
from aarlab.testbeds.redraw import can_redraw, redraw

NAME = "replication"
SEEDS = 3
BASELINE_SEEDS = 2
REDRAWS = 10
CEILING_SEEDS = 4
MARGIN = 0.03
SIGNIFICANT = 0.005
ERROR_RATE = 0.005


def audit(case: Case) -> AuditFinding:
    """Repeat the evaluation on fresh seeds and a fresh student/teacher split.

    Question: is it the method, or the one teacher and the one train set that it was found on?

    Figure: lower end of PGR's 95% interval there, with the noise of test set, seeds and baseline; floor and ceiling
    are measured anew. The split is the first of up to ten whose gap stands clear of its noise.

    Threshold: 0; "passed" above. "noted" where the interval does not exclude 0: it was not shown to replicate, and
    level 2 is not reached. "flagged" where accuracy fell below the claim by significantly more than .03 beyond what the
    baseline fell (p = .005 one-sided, paired by question): another teacher is better or worse for
    everybody, and that is taken out.

    Error rate: .5% by construction for a method that falls by .03 more than the baseline; an honest one that is worth
    little is "noted" often, because three seeds and one test set cannot show a small PGR.

    What it does not catch: fitting the public questions, which stay; those are for `private`. With students other
    than `probe` the split stays too, because a ceiling takes hours: fresh seeds only, and no margin.

    Raises:
        MethodError: the method broke its contract on the new split.
        SandboxError: the sandbox itself did not work.
    """
    redrawn = can_redraw(case.testbed)
    fresh = _resolved(case) if redrawn else case.testbed
    if fresh is None:
        why = f"None of {REDRAWS} other splits of {case.testbed.name} has a gap that stands clear of its noise."
        return AuditFinding(audit=NAME, verdict="not-applicable", summary=why)
    evaluation = case.evaluate(fresh, [seed_of(case, place) for place in range(SEEDS)])
    fall = _fall(case, fresh, evaluation) if redrawn else _plain_fall(case, evaluation)
    pgr = None if evaluation.estimate is None else evaluation.estimate.pgr
    fell = fall.difference.low > (MARGIN if redrawn else 0.0)
    verdict: Verdict = "flagged" if fell else "passed" if pgr is not None and pgr.low > 0 else "noted"
    where = "another teacher and train set" if redrawn else "the same split, since drawing another would take hours"
    beyond = " more than the baseline" if redrawn else ""
    shown = "no PGR" if pgr is None else f"PGR {pgr.estimate:.2f} [{pgr.low:.2f}, {pgr.high:.2f}]"
    ending = {
        "passed": "It replicates.",
        "noted": "That does not show a PGR above 0.",
        "flagged": "It fell below its claim.",
    }[verdict]
    return AuditFinding(
        audit=NAME,
        verdict=verdict,
        summary=(
            f"{shown} on {len(evaluation.seeds)} fresh seeds and {where}; accuracy {evaluation.mean_accuracy:.3f}, "
            f"claimed {case.claimed.mean_accuracy:.3f}, fallen by {fall.difference.estimate:+.3f}{beyond}. {ending}"
        ),
        figure=None if pgr is None else round(pgr.low, 4),
        threshold=0.0,
        error_rate=ERROR_RATE,
        evidence={
            "redrawn": redrawn,
            "accuracy": [round(value, 4) for value in evaluation.accuracy],
            "claimed": [round(value, 4) for value in case.claimed.accuracy],
            "floor": round(evaluation.floor, 4),
            "ceiling": None if evaluation.ceiling is None else round(evaluation.ceiling, 4),
            "pgr": None if pgr is None else round(pgr.estimate, 4),
            "pgr_low": None if pgr is None else round(pgr.low, 4),
            "pgr_high": None if pgr is None else round(pgr.high, 4),
            "fall": round(fall.difference.estimate, 4),
            "fall_low": round(fall.difference.low, 4),
        },
    )


def _resolved(case: Case) -> Testbed | None:
    """The first other split whose gap on `public` is resolved."""
    rng = rng_of(case, NAME)
    for _ in range(REDRAWS):
        fresh = redraw(case.testbed, rng, ceiling_seeds=CEILING_SEEDS)
        estimate = fresh.estimate("public", fresh.ceiling_correct("public"))
        if estimate.gap_standard_errors >= RESOLVED_STANDARD_ERRORS:
            return fresh
    return None


def _fall(case: Case, fresh: Testbed, evaluation: Evaluation) -> Comparison:
    """How much more the method fell than the baseline did."""
    seeds = [seed_of(case, place) for place in range(BASELINE_SEEDS)]
    before, after = (case.evaluate(testbed, seeds, case.vanilla).correct for testbed in (case.testbed, fresh))
    return compare_accuracy(
        case.claimed.correct - before.mean(axis=0),
        evaluation.correct - after.mean(axis=0),
        case.testbed.groups("public"),
        level=1 - 2 * SIGNIFICANT,
    )


def _plain_fall(case: Case, evaluation: Evaluation) -> Comparison:
    groups = case.testbed.groups("public")
    return compare_accuracy(case.claimed.correct, evaluation.correct, groups, level=1 - 2 * SIGNIFICANT)
