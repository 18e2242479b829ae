"""Unsupervised elicitation: train the student on its own opinion, made consistent (Wen et al. 2025; 2026).

Assumes that the student's errors are inconsistent and what it knows is not. Consistent means: A > B and B > A
cannot both hold, and equal final answers to one question of mathematics are right or wrong together (where the text
can be read). The teacher is not used. A student that cannot be trained is asked as it is.
"""

import re

import numpy as np
from numpy.typing import NDArray

from aarlab.methods import zero_shot
from aarlab.methods._steps import centred, opinion, verdicts
from aarlab.students import Predictor, Problem

ELICITATION = True  # the teacher is not used
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def same_answer(problem: Problem) -> NDArray[np.intp]:
    """Cluster of each train example, shape (n,): single candidates of one question whose last number is the same."""
    train = problem.train
    if problem.domain != "math" or problem.pairs or train.texts is None or train.groups is None:
        return np.arange(len(train))
    numbers = [NUMBER.findall(str(candidate)) for candidate in train.read()[:, 1]]
    final = [float(found[-1].replace(",", "")) if found else f"none in {row}" for row, found in enumerate(numbers)]
    places: dict[tuple[int, float | str], int] = {}
    keys = zip(train.groups.tolist(), final, strict=True)
    return np.array([places.setdefault(key, len(places)) for key in keys])


def fit(problem: Problem, seed: int) -> Predictor:
    if "finetune" not in problem.student.capabilities:
        return zero_shot.fit(problem, seed)
    margins = centred(opinion(problem.student, problem.train), problem.pairs)  # already made consistent over orders
    cluster = same_answer(problem)
    agreed = (np.bincount(cluster, margins) / np.bincount(cluster))[cluster]
    return problem.student.finetune(problem.train, verdicts(agreed, 0.0), seed=seed).predict
