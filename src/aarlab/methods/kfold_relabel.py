"""Out-of-fold relabelling: the verdict of a student that never saw a label replaces it (Brodley and Friedl 1999).

Assumes that weak labels err in ways that do not carry over from one question to another. The paper drops what a
cross-validated classifier contradicts; here it is relabelled.
"""

from aarlab.methods._steps import out_of_fold, verdicts
from aarlab.students import Predictor, Problem

FOLDS = 5


def fit(problem: Problem, seed: int) -> Predictor:
    relabelled = verdicts(out_of_fold(problem, verdicts(problem.weak_labels), seed, folds=FOLDS), 0.0)
    return problem.student.finetune(problem.train, relabelled, seed=seed).predict
