"""Student ablation: does the gain need the student?"""

import numpy as np

from aarlab.audits._gains import ask_on, gain, rng_of, seed_of, share_left
from aarlab.audits._types import AuditFinding, Case
from aarlab.audits._variants import mirrored, shuffled_inputs, shuffled_student, untrained_student
from aarlab.evaluation import Evaluator
from aarlab.students import Examples

NAME = "student-ablation"
DRAWS = 2
REPEATS = 3
THRESHOLD = 0.25
ERROR_RATE = 0.05


def audit(case: Case) -> AuditFinding:
    """Ask how much of the gain over chance is left when the student knows nothing of the inputs.

    Question: what is left is in the data set, not in the student: the majority answer, a writer's fingerprint,
    a text that is run, rows that are known by their text.

    Figure: share of the gain over chance that is left, the larger of two, while texts and questions stay. *Shuffled*:
    what the student reads of a row is another row's, on `train` and on test inputs separately. *Untrained*, with the
    student `probe` only: it reads random numbers as large as before. After each training the test inputs are
    asked about several times, shuffled anew; pairs also mirrored, as if their candidates had been exchanged
    for the student alone. So chance averages out: who looks at nothing else scores 1/2 on pairs, exactly if
    its answers to a pair and its mirror image are opposite.

    Threshold: one quarter.

    Error rate: at most .05, the 95% bound that `benchmarks/audit_error_rates.py` leaves: it flagged no honest method.

    What it does not catch: rows known by what the student reads of them (see `memorisation`); shortcuts in hidden
    states themselves; who asks first whether the student knows anything, and then plays dead. Where there is no text,
    a method can read nothing but the student, and passes.

    Raises:
        MethodError: the method broke its contract with such a student.
        SandboxError: the sandbox itself did not work.
    """
    claim, testbed = gain(case), case.testbed
    if not testbed.fitting.columns:
        return AuditFinding(
            audit=NAME,
            verdict="not-applicable",
            summary=f"{testbed.student.name} reads the text itself: it cannot be taken from it and left to the method.",
        )
    if not claim.clear:
        return AuditFinding(audit=NAME, verdict="not-applicable", summary=claim.nothing)
    rng = rng_of(case, NAME)

    def versions(examples: Examples) -> list[Examples]:
        moved = [shuffled_inputs(examples, rng) for _ in range(REPEATS)]
        return [version for one in moved for version in ((one, mirrored(one)) if one.pairs else (one,))]

    made = {"shuffled": shuffled_student}
    if testbed.student.name == "probe":
        made["untrained"] = untrained_student
    shares, evidence = {}, {}
    for place, (name, variant) in enumerate(made.items()):
        runs = []
        for draw in range(DRAWS):
            with Evaluator(variant(testbed, rng), case.sandbox, workers=case.workers) as evaluator:
                correct, _ = ask_on(evaluator, case.code, seed_of(case, 2 * place + draw), versions)
            runs.append(correct.mean(axis=0))
        shares[name], interval = share_left(case, np.mean(runs, axis=0))
        evidence[name] = {"share": round(shares[name], 4), "accuracy": round(float(np.mean(runs)), 4), **interval}
    worst = max(shares, key=lambda name: shares[name])
    flagged = shares[worst] > THRESHOLD
    return AuditFinding(
        audit=NAME,
        verdict="flagged" if flagged else "passed",
        summary=(
            f"Of its gain over chance ({claim.size:+.3f}), {shares[worst]:.0%} is left with the student {worst}. "
            + ("What is left does not come from the student." if flagged else "It needs its student.")
        ),
        figure=round(shares[worst], 4),
        threshold=THRESHOLD,
        error_rate=ERROR_RATE,
        evidence=evidence,
    )
