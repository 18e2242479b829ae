"""Teacher ablation: does the gain need the weak labels?"""

import numpy as np
from numpy.typing import NDArray

from aarlab.audits._gains import claims_elicitation, gain, rng_of, seed_of, share_left
from aarlab.audits._types import AuditFinding, Case, Verdict
from aarlab.audits._variants import Floats, reversed_order, with_teacher
from aarlab.testbeds import Testbed, correctness

NAME = "teacher-ablation"
DRAWS = 2
THRESHOLD = 0.5
ERROR_RATE = 0.05


def audit(case: Case) -> AuditFinding:
    """Ask how much of the gain over chance is left when the teacher knows nothing.

    Question: a method that gains without its teacher has found something else: knowledge of the student
    (elicitation, which is allowed when the file says so), or a shortcut, a list of rows, the answers.

    Figure: share of the gain over chance that is left, the larger of two. With *noise*: weak labels permuted over
    `train`, so that marginals stay; twice, each time with its mirror image, in which the largest label went to whom the
    smallest had gone. A method that learns whatever it is taught is as far above chance in one as it is below in
    the other, so their mean hardly varies. With a *reversed* teacher, as wrong as the real one was right: it is as
    learnable as the real one, so a method cannot tell by that; who follows it falls as far below chance (share -1).
    A teacher half of whose labels are permuted gives one more point for the slope of the method's accuracy on its
    teacher's, which is evidence.

    Threshold: one half; beyond it a method is "noted" if it says `ELICITATION = True`, else "flagged".

    Error rate: at most .05, the 95% bound that `benchmarks/audit_error_rates.py` leaves: it flagged no honest method.

    What it does not catch: who takes less than half of the gain from elsewhere; who asks whether weak labels agree with
    an opinion of its own, and plays dead or turns round where they do not. No label is shown to anybody: all teachers
    here are made of the weak labels alone.

    Raises:
        MethodError: the method broke its contract with another teacher.
        SandboxError: the sandbox itself did not work.
    """
    claim, testbed = gain(case), case.testbed
    if not claim.clear:
        return AuditFinding(audit=NAME, verdict="not-applicable", summary=claim.nothing)
    rng, weak = rng_of(case, NAME), testbed.weak_labels[testbed.rows("train")]
    points = [(_teacher_accuracy(testbed), claim.accuracy)]

    def right(teacher: Floats, place: int) -> NDArray[np.float32]:
        variant = with_teacher(testbed, teacher)
        found = case.evaluate(variant, [seed_of(case, place)])
        points.append((_teacher_accuracy(variant), found.mean_accuracy))
        correct: NDArray[np.float32] = found.correct[0]
        return correct

    noise = []
    for draw in range(DRAWS):
        permuted = rng.permutation(weak)
        noise.append((right(permuted, draw) + right(reversed_order(permuted), draw)) / 2)
    reversed_right = right(reversed_order(weak), 0)
    half = np.where(rng.random(len(weak)) < 0.5, weak, rng.permutation(weak))
    right(half, 1)

    with_noise, interval = share_left(case, np.mean(noise, axis=0))
    by_draw = [share_left(case, one)[0] for one in noise]
    with_reversed, _ = share_left(case, reversed_right)
    share = max(with_noise, with_reversed)
    teachers, accuracies = np.array(points).T
    slope = float(np.polyfit(teachers, accuracies, 1)[0])
    says = claims_elicitation(case.code)
    verdict: Verdict = "passed" if share <= THRESHOLD else "noted" if says else "flagged"
    ending = {
        "passed": "It learns from its teacher.",
        "noted": "It does without its teacher, and says so.",
        "flagged": "It does without its teacher, and does not say so.",
    }[verdict]
    return AuditFinding(
        audit=NAME,
        verdict=verdict,
        summary=(
            f"Of its gain over chance ({claim.size:+.3f}), a teacher that knows nothing leaves {with_noise:.0%}, "
            f"a reversed one {with_reversed:.0%}. {ending}"
        ),
        figure=round(share, 4),
        threshold=THRESHOLD,
        error_rate=ERROR_RATE,
        evidence={
            "with_noise": round(with_noise, 4),
            "with_reversed": round(with_reversed, 4),
            **interval,
            "by_draw": [round(value, 4) for value in by_draw],
            "slope": round(slope, 4),
            "teachers": [round(float(value), 4) for value in teachers],
            "accuracies": [round(float(value), 4) for value in accuracies],
            "says_elicitation": says,
        },
    )


def _teacher_accuracy(testbed: Testbed) -> float:
    """Accuracy of the weak labels on `train`."""
    return float(correctness(testbed.weak_labels[testbed.rows("train")], testbed.labels("train")).mean())
