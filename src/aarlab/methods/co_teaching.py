"""Co-teaching: two students, each learning from what the other finds easy (Han et al. 2018).

Assumes that students learn right labels before wrong ones, and that the two err differently. They begin with different
halves of the questions. The share that is dropped rises to the error rate that the weak supervisor itself expects: the
mean of min(w, 1 - w).
"""

import numpy as np
from scipy.special import log_expit

from aarlab.methods._steps import mean_of, passes, split_questions, top, verdicts
from aarlab.students import Classifier, Predictor, Problem

PASSES = 5
WARM_UP = 3  # passes until the full share is dropped


def fit(problem: Problem, seed: int) -> Predictor:
    student, train, weak = problem.student, problem.train, problem.weak_labels
    labels, expected_errors = verdicts(weak), float(np.minimum(weak, 1 - weak).mean())
    first_half = split_questions(train, 2, np.random.default_rng(seed)) == 0
    kept = [first_half, ~first_half]
    two: list[Classifier | None] = [None, None]
    for done in range(1, PASSES + 1):
        taught = []
        for mine, start in zip(kept, two, strict=True):
            shown = train.take(mine)
            steps = passes(student, shown, 1)
            taught.append(student.finetune(shown, labels[mine], start=start, seed=seed + done, max_steps=steps))
        two = [*taught]
        ease = [log_expit((2 * labels - 1) * one.logits(train)) for one in taught]
        share = 1 - expected_errors * min(1.0, done / WARM_UP)
        kept = [top(ease[1], share), top(ease[0], share)]
    return mean_of(taught)
