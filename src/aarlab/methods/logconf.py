"""Auxiliary confidence loss: let the student trust itself where it disagrees with its teacher (Burns et al. 2023).

Assumes that what the student is sure of is more often right than the weak label. Its own verdicts are blended into the
weak labels, with a weight that rises to 1/2; that blends the two cross-entropies. The boundary of a verdict
is such that both are equally frequent. Weak labels are hard here: soft ones of a timid supervisor, close to 1/2, would
count for nothing beside the student's verdicts.
"""

import numpy as np

from aarlab.methods._steps import passes, verdicts
from aarlab.students import Predictor, Problem

PASSES = 5
WARM_UP = 2  # passes over which the weight rises
OWN = 0.5


def fit(problem: Problem, seed: int) -> Predictor:
    student, train, weak = problem.student, problem.train, verdicts(problem.weak_labels)
    steps = passes(student, train, 1)
    classifier = student.finetune(train, weak, seed=seed, max_steps=steps)
    for done in range(1, PASSES):
        logits = classifier.logits(train)
        own = verdicts(logits, 0.0 if problem.pairs else float(np.median(logits)))
        share = OWN * min(1.0, done / WARM_UP)
        targets = (1 - share) * weak + share * own
        classifier = student.finetune(train, targets, start=classifier, seed=seed + done, max_steps=steps)
    return classifier.predict
