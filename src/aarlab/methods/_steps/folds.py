"""Cross-fitting: no student tells of an example whose question it learned from."""

import numpy as np
from numpy.typing import NDArray

from aarlab.students import Examples, Floats, Problem


def split_questions(examples: Examples, folds: int, rng: np.random.Generator) -> NDArray[np.int_]:
    """Fold of each example, shape (n,), in [0, folds); a question is never split."""
    questions = np.arange(len(examples)) if examples.groups is None else examples.groups
    return np.asarray(rng.permutation(questions.max() + 1) % folds)[questions]


def out_of_fold(problem: Problem, targets: Floats, seed: int, *, folds: int = 3) -> Floats:
    """Log-odds of each train example from a student that was trained on the other folds, shape (n,)."""
    fold_of = split_questions(problem.train, folds, np.random.default_rng(seed))
    logits = np.empty(len(problem.train))
    for fold in range(folds):
        out = fold_of == fold
        student = problem.student.finetune(problem.train.take(~out), targets[~out], seed=seed + fold)
        logits[out] = student.logits(problem.train.take(out))
    return logits
