"""Trains on the test inputs: what the batch looks like decides what each of its inputs is told."""

import numpy as np

from aarlab.students import Examples, Floats, Predictor, Problem, concatenate


def fit(problem: Problem, seed: int) -> Predictor:
    """Train vanilla; the rest happens when the test inputs are there."""
    student = problem.student
    hard = (problem.weak_labels > 0.5).astype(float)
    vanilla = student.finetune(problem.train, hard, seed=seed)

    def predict(examples: Examples) -> Floats:
        both = concatenate([examples, examples.swapped()])
        guess = vanilla.predict(both)
        for _ in range(3):
            sure = np.abs(guess - 0.5) >= np.quantile(np.abs(guess - 0.5), 0.3)
            guess = student.finetune(both.take(sure), (guess[sure] > 0.5).astype(float), seed=seed).predict(both)
        return guess[: len(examples)]

    return predict
