"""Vanilla weak-to-strong training on soft labels: the weak supervisor's probabilities (Burns et al. 2023).

Assumes that the weak supervisor is surer where it is right more often.
"""

from aarlab.students import Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    return problem.student.finetune(problem.train, problem.weak_labels, seed=seed).predict
