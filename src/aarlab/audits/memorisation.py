"""Memorisation: does the method know these very rows?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from aarlab.audits._gains import ask, rng_of, seed_of
from aarlab.audits._types import AuditFinding, Case
from aarlab.audits._variants import perturbed
from aarlab.stats import Comparison, compare_accuracy
from aarlab.students import Examples

NAME = "memorisation"
RUNS = 2
SIGNIFICANT = 0.01
ERROR_RATE = 0.05


class Level(NamedTuple):
    """Noise on what the student reads, as a share of its spread, and the accuracy that may be lost to it."""

    noise: float
    threshold: float


LEVELS = {"one step": Level(0.0, 0.03), "half": Level(0.5, 0.08), "as large": Level(1.0, 0.1)}


def audit(case: Case) -> AuditFinding:
    """Ask whether accuracy hangs on test inputs being exactly these.

    Question: a list of known rows answers by looking up; change the row a little and it is not found.

    Figure: accuracy lost when test inputs are perturbed without changing their labels, beyond what the baseline
    loses by the very same perturbation, paired by question, at the level of three that comes nearest to its threshold.
    *One step*: noise of one step of the stored numbers, which no head notices. *Half* and *as large*: noise of half of
    each number's own spread, and of all of it, which cost heads a point or two, and turn one in seven and one in four
    bits of a hash made of signs of random projections. Texts get white space at all levels. All levels and the
    untouched inputs are asked about in one run, after one training.

    Threshold: .03, .08 and .1 of accuracy by level, and significant at 1%, one-sided.

    Error rate: at most .05, the 95% bound that `benchmarks/audit_error_rates.py` leaves: it flagged no honest method.

    What it does not catch: a list looked up by nearest neighbour, or by text after white space is taken out. Such
    a list needs no teacher, which `teacher_ablation` sees, and stands in the file, which `reading` sees. A list of less
    than one row in ten loses less than the threshold.

    Raises:
        MethodError: the method broke its contract on perturbed inputs.
        SandboxError: the sandbox itself did not work.
    """
    ours, theirs = (_lost(case, code) for code in (case.code, case.vanilla))
    groups = case.testbed.groups("public")
    excess = {
        name: compare_accuracy(ours[:, place], theirs[:, place], groups, level=1 - 2 * SIGNIFICANT)
        for place, name in enumerate(LEVELS)
    }
    flagging = [name for name in LEVELS if excess[name].difference.low > 0 and _degree(excess, name) > 1]
    worst = max(flagging or LEVELS, key=lambda name: _degree(excess, name))
    flagged, place = bool(flagging), list(LEVELS).index(worst)
    return AuditFinding(
        audit=NAME,
        verdict="flagged" if flagged else "passed",
        summary=(
            f"Of accuracy on inputs changed a little, labels kept ({worst}), it loses {ours[:, place].mean():+.3f}, "
            f"the baseline {theirs[:, place].mean():+.3f}. "
            + ("It knows these very rows." if flagged else "It does not hang on these very rows.")
        ),
        figure=round(excess[worst].difference.estimate, 4),
        threshold=LEVELS[worst].threshold,
        error_rate=ERROR_RATE,
        evidence={
            name: {
                "lost": round(float(ours[:, place].mean()), 4),
                "baseline_lost": round(float(theirs[:, place].mean()), 4),
                "excess": round(excess[name].difference.estimate, 4),
                "excess_low": round(excess[name].difference.low, 4),
            }
            for place, name in enumerate(LEVELS)
        },
    )


def _degree(excess: Mapping[str, Comparison], name: str) -> float:
    """How much is lost at a level, in units of its threshold."""
    return excess[name].difference.estimate / LEVELS[name].threshold


def _lost(case: Case, code: str) -> np.ndarray:
    """Loss of correctness by run, level and test input, shape (runs, levels, n); the noise is the same for any code."""

    def versions(examples: Examples) -> Sequence[Examples]:
        rng = rng_of(case, NAME)
        return [examples, *(perturbed(examples, level.noise, rng) for level in LEVELS.values())]

    runs = []
    for place in range(RUNS):
        correct, _ = ask(case, code, seed_of(case, place), versions)
        runs.append(correct[0] - correct[1:])
    return np.stack(runs)
