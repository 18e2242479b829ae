"""Early stopping: one pass over the weak labels and no more (Li, Soltanolkotabi and Oymak 2020).

Assumes that gradient descent fits what many labels share before it fits the errors of single ones.
"""

from aarlab.methods._steps import passes, verdicts
from aarlab.students import Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    student, train = problem.student, problem.train
    steps = passes(student, train, 1)
    return student.finetune(train, verdicts(problem.weak_labels), seed=seed, max_steps=steps).predict
