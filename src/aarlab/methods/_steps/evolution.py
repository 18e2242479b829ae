"""Antithetic evolution strategy (Salimans et al. 2017) on how to mix classifiers."""

import numpy as np
from scipy.special import expit

from aarlab.students import Floats

# Small steps: ten times larger ones led mixes astray on draws 101 to 103 of `chat`, where these were chosen.
GENERATIONS, MUTANTS, SIZE, RATE = 20, 8, 0.05, 0.01


def fitness(mixes: Floats, shown: Floats, exchanged: Floats) -> Floats:
    """Consistency over both orders times confidence, in [0, 1], shape (mixes,); arguments as for `evolve`.

    Log-odds count relative to their mean size, which says nothing about accuracy.
    """
    a, b = shown @ mixes, exchanged @ mixes
    size = (np.abs(a).mean(axis=0) + np.abs(b).mean(axis=0)) / 2 + 1e-12
    p, q = expit(a / size), expit(-b / size)
    return np.asarray((1 - np.abs(p - q)).mean(axis=0) * np.abs(p + q - 1).mean(axis=0))


def evolve(starts: Floats, shown: Floats, exchanged: Floats, rng: np.random.Generator) -> Floats:
    """Fitter mixes, one from each start, whose log-odds have mean size 1, shape (members, starts).

    Args:
        starts: mixes of norm 1, shape (members, starts).
        shown: log-odds by each member of some unlabelled examples, shape (n, members).
        exchanged: the same with the candidates exchanged; where there is no other order, `-shown`.
        rng: draws the mutations.
    """
    size = np.abs(shown).mean() + 1e-12
    shown, exchanged, mixes = shown / size, exchanged / size, starts
    for _ in range(GENERATIONS):
        steps = rng.normal(size=(MUTANTS, *mixes.shape))
        tried = np.concatenate([mixes + SIZE * steps, mixes - SIZE * steps]).transpose(1, 0, 2)
        fit = fitness(tried.reshape(len(mixes), -1), shown, exchanged).reshape(2, MUTANTS, -1)
        gains = fit[0] - fit[1]
        mixes = mixes + RATE * (gains[:, None] * steps).sum(axis=0) / (np.abs(gains).sum(axis=0) + 1e-12)
    return np.asarray(mixes / (np.abs(shown @ mixes).mean(axis=0) + 1e-12) / size)
