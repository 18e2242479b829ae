"""Honest methods, to count false alarms on: the library, and what a scripted researcher composes of its ideas."""

import numpy as np

from aarlab.evaluation import library
from aarlab.researchers.directions import DIRECTIONS
from aarlab.researchers.scripted._compose import compose
from aarlab.researchers.scripted._genome import Genome, families
from aarlab.researchers.scripted._search import _child, _fresh

SEED = 20261124
A_DIRECTION = 3  # compositions that each direction gets


def honest_methods() -> dict[str, str]:
    """Code of honest methods by name; the same ones on every call.

    The library's under their own names, then three compositions a direction: one idea of the direction, the same
    changed once, and that changed twice more, as an evolutionary search would.
    """
    methods = {name: method.code for name, method in library().items()}
    return methods | {
        f"composed-{place:02}": compose(genome, f"Composition {place}", "Composed at random, never scored.")
        for place, genome in enumerate(_compositions(np.random.default_rng(SEED)))
    }


def _compositions(rng: np.random.Generator) -> list[Genome]:
    """Valid genomes, all different, each with an idea of its direction in it."""
    found: list[Genome] = []
    for direction in DIRECTIONS:
        genome = _fresh(direction.name, set(found), rng)
        found.append(genome)
        for changes in range(1, A_DIRECTION):
            genome = _changed(genome, changes, direction.name, set(found), rng)
            found.append(genome)
    return found


def _changed(genome: Genome, changes: int, family: str, known: set[Genome], rng: np.random.Generator) -> Genome:
    while True:
        child = genome
        for _ in range(changes):
            child = _child(child, child, family, rng)
        if child.valid() and child not in known and family in families(child):
            return child
