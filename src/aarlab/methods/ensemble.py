"""Bagged students that read different layers (Breiman 1996; Ho 1998).

Assumes that students which learned from different questions and read different layers err differently, so that
their mean log-odds err less. Questions are drawn with replacement; each student reads a random half of the
representations, if it can choose.
"""

import numpy as np

from aarlab.methods._steps import mean_of, reading, verdicts
from aarlab.students import Predictor, Problem

MEMBERS = 10


def fit(problem: Problem, seed: int) -> Predictor:
    rng = np.random.default_rng(seed)
    train, places = problem.train, problem.student.representations
    questions = np.arange(len(train)) if train.groups is None else train.groups
    count = questions.max() + 1
    members = []
    for member in range(MEMBERS):
        times_drawn = np.bincount(rng.integers(count, size=count), minlength=count)[questions]
        half = [places[i] for i in sorted(rng.permutation(len(places))[: (len(places) + 1) // 2])]
        drawn = times_drawn > 0
        targets, weights = verdicts(problem.weak_labels[drawn]), times_drawn[drawn].astype(float)
        members.append(reading(problem.student, half, train.take(drawn), targets, weights=weights, seed=seed + member))
    return mean_of(members)
