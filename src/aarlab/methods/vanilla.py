"""Vanilla weak-to-strong training: fine-tune the student on hard weak labels (Burns et al. 2023)."""

from aarlab.students import Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    hard = (problem.weak_labels > 0.5).astype(float)
    return problem.student.finetune(problem.train, hard, seed=seed).predict
