"""A method as its ideas: the genome that the search varies, writes into methods, and reads out of others' code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aarlab.researchers.scripted._space import IDEAS, Idea, Range, Value

MAX_LABELS, MAX_TRAINING = 3, 2
MAX_FITS = 16.0  # heads trained for one seed; a big one takes a quarter of a second
MARK = "# ideas: "
MAX_LINE = 2_000


@dataclass(frozen=True)
class Gene:
    """One idea with its parameters; hashable."""

    name: str
    values: tuple[tuple[str, Value], ...] = ()

    @property
    def idea(self) -> Idea:
        """The idea."""
        return IDEAS[self.name]

    @property
    def parameters(self) -> dict[str, Value]:
        """Its parameters by name."""
        return dict(self.values)


def gene(name: str, values: Mapping[str, Value]) -> Gene:
    """A gene, its parameters in the order of the idea's own."""
    return Gene(name, tuple((key, values[key]) for key in IDEAS[name].parameters))


@dataclass(frozen=True)
class Genome:
    """The ideas of one method: a head, then what changes labels, then what goes around training, in order."""

    head: Gene
    labels: tuple[Gene, ...] = ()
    training: tuple[Gene, ...] = ()

    @property
    def genes(self) -> tuple[Gene, ...]:
        """All of them."""
        return (self.head, *self.labels, *self.training)

    @property
    def fits(self) -> float:
        """How many heads are trained for one seed, about."""
        inner = 1.0
        for one in self.training:
            inner = inner * one.idea.fits(one.parameters) + (3.0 if one.name == "one_head_a_layer" else 0.0)
        return inner + sum(one.idea.fits(one.parameters) for one in self.labels)

    def valid(self) -> bool:
        """Whether it may be submitted: no idea twice, not too many, not too costly."""
        names = [one.name for one in self.genes]
        return (
            len(set(names)) == len(names)
            and len(self.labels) <= MAX_LABELS
            and len(self.training) <= MAX_TRAINING
            and self.fits <= MAX_FITS
        )

    def line(self) -> str:
        """The comment that tells other researchers which ideas a method is made of."""
        return MARK + json.dumps([[one.name, one.parameters] for one in self.genes])


def read_genome(code: str) -> Genome | None:
    """The genome that a method's code names, or None. The code is another's: it is read, never run."""
    lines = [line for line in code.splitlines() if line.startswith(MARK) and len(line) <= MAX_LINE]
    if not lines:
        return None
    try:
        found = json.loads(lines[0][len(MARK) :])
    except (ValueError, RecursionError):
        return None
    genes = [_read_gene(item) for item in found[: len(IDEAS)]] if isinstance(found, list) else []
    by_slot: dict[str, list[Gene]] = {"head": [], "labels": [], "training": []}
    for one in genes:
        if one is None:
            return None
        by_slot[one.idea.slot].append(one)
    if len(by_slot["head"]) != 1:
        return None
    genome = Genome(by_slot["head"][0], tuple(by_slot["labels"]), tuple(by_slot["training"]))
    return genome if genome.valid() else None


def _read_gene(item: Any) -> Gene | None:
    if not (isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], dict)):
        return None
    idea = IDEAS.get(item[0])
    return gene(idea.name, item[1]) if idea is not None and idea.admits(item[1]) else None


def draw_gene(idea: Idea, rng: np.random.Generator) -> Gene:
    """The idea with parameters from anywhere in their ranges."""
    return gene(idea.name, idea.draw(rng))


def features(genome: Genome) -> np.ndarray:
    """A genome as numbers in [0, 1], shape (d,): which ideas it has, and where their parameters lie (1/2 if absent)."""
    present = {one.name: one.parameters for one in genome.genes}
    columns: list[float] = []
    for idea in IDEAS.values():
        values = present.get(idea.name)
        columns.append(float(values is not None))
        for name, parameter in idea.parameters.items():
            if isinstance(parameter, Range):
                columns.append(0.5 if values is None else parameter.place(values[name]))
            else:
                columns += [float(values is not None and values[name] == option) for option in parameter.options]
    return np.array(columns)


def families(genome: Genome) -> set[str]:
    """The families of its ideas."""
    return {one.idea.family for one in genome.genes}
