"""Which method to try next: evolution by mutation and crossover, with a model of the scores to choose among children.

Scores come through the leakage guard, rounded at random to steps that are larger than most differences
between methods. So no single score is taken at its word: a Gaussian process over the ideas, fitted to all
that the team has published, says which parents and which children look good, and how sure that is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aarlab.researchers.scripted._genome import Gene, Genome, draw_gene, families, features
from aarlab.researchers.scripted._space import IDEAS, Idea, Slot

FRESH = 2  # methods of its own direction alone that each researcher starts with
CHILDREN = 150
LOYAL = 0.8  # share of its methods that a researcher breeds from its own, along its direction (docs/log.md)
ENOUGH = 8  # scores below which a model says nothing
PATIENCE = 10_000  # draws for one child
# Of the Gaussian process. Fixed: with a hundred scores, fitting it predicted no better (docs/log.md).
LENGTH, NOISE = 2.5, 0.25


@dataclass(frozen=True)
class Observation:
    """A method that the team has tried.

    Attributes:
        submission: its id.
        genome: its ideas.
        accuracy: guarded; None if it failed.
        own: whether this researcher submitted it.
    """

    submission: int
    genome: Genome
    accuracy: float | None
    own: bool


@dataclass(frozen=True)
class Proposal:
    """A method to try, and the submission that it descends from."""

    genome: Genome
    parent: Observation | None


def propose(seen: Sequence[Observation], tried: int, family: str, rng: np.random.Generator) -> Proposal:
    """The next method of one researcher.

    Args:
        seen: what the team has published.
        tried: how many methods this researcher has submitted.
        family: family of ideas that its direction points to.
        rng: decides everything random.
    """
    scored = [o for o in seen if o.accuracy is not None]
    known = {o.genome for o in seen}
    if tried < FRESH or len(scored) < ENOUGH:
        return Proposal(_fresh(family, known, rng), None)
    model = _Model(scored)
    worth = model.mean([o.genome for o in scored])
    chances = np.exp(-np.argsort(np.argsort(-worth)) / max(2.0, len(scored) / 10))
    own = chances * [o.own for o in scored]
    loyal = rng.random() < LOYAL
    mothers = own if loyal and own.any() else chances
    children: list[tuple[Genome, Observation]] = []
    while len(children) < CHILDREN:
        mother = scored[int(rng.choice(len(scored), p=mothers / mothers.sum()))]
        father = scored[int(rng.choice(len(scored), p=chances / chances.sum()))]
        child = _child(mother.genome, father.genome, family if loyal else None, rng)
        if child.valid() and child not in known:
            children.append((child, mother))
    sample = model.sample([child for child, _ in children], rng)
    genome, parent = children[int(sample.argmax())]
    return Proposal(genome, parent)


class _Model:
    """Accuracy as a Gaussian process over ideas and their parameters."""

    def __init__(self, scored: Sequence[Observation]) -> None:
        # Imported here: it takes a second, and only who searches needs it.
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, WhiteKernel

        accuracy = np.array([o.accuracy for o in scored])
        self._process = GaussianProcessRegressor(
            RBF(LENGTH) + WhiteKernel(NOISE), optimizer=None, normalize_y=bool(accuracy.std() > 0)
        )
        self._process.fit(np.stack([features(o.genome) for o in scored]), accuracy)

    def mean(self, genomes: Sequence[Genome]) -> np.ndarray:
        """Expected accuracy, shape (n,)."""
        return np.asarray(self._process.predict(np.stack([features(g) for g in genomes])))

    def sample(self, genomes: Sequence[Genome], rng: np.random.Generator) -> np.ndarray:
        """Accuracies drawn from what is believed (Thompson sampling), shape (n,)."""
        mean, covariance = self._process.predict(np.stack([features(g) for g in genomes]), return_cov=True)
        return rng.multivariate_normal(mean, covariance, method="eigh")


def _fresh(family: str, known: set[Genome], rng: np.random.Generator) -> Genome:
    """An idea of the family, on any head."""
    heads = _ideas("head")
    for _ in range(PATIENCE):
        own = [idea for idea in IDEAS.values() if idea.family == family]
        idea = own[int(rng.integers(len(own)))]
        head = idea if idea.slot == "head" else heads[int(rng.integers(len(heads)))]
        genome = Genome(draw_gene(head, rng))
        if idea.slot != "head":
            genome = _with(genome, draw_gene(idea, rng))
        if genome.valid() and genome not in known:
            return genome
    raise AssertionError(f"no new method of the family {family} in {PATIENCE} draws")


def _child(mother: Genome, father: Genome, family: str | None, rng: np.random.Generator) -> Genome:
    """One or two changes to a mother: what a father has, an idea more or less, a parameter moved."""
    child = mother
    for _ in range(1 + int(rng.random() < 0.5)):
        act = rng.choice(["tune", "cross", "add", "drop", "head"], p=[0.35, 0.2, 0.25, 0.1, 0.1])
        if act == "tune":
            child = _tune(child, rng)
        elif act == "cross":
            child = _with(child, father.genes[int(rng.integers(len(father.genes)))])
        elif act == "add":
            others = [idea for idea in IDEAS.values() if idea.slot != "head"]
            child = _with(child, draw_gene(others[int(rng.integers(len(others)))], rng))
        elif act == "drop":
            child = _without(child, rng)
        else:
            heads = _ideas("head")
            child = _with(child, draw_gene(heads[int(rng.integers(len(heads)))], rng))
    if family is not None and family not in families(child):
        own = [idea for idea in IDEAS.values() if idea.family == family]
        child = _with(child, draw_gene(own[int(rng.integers(len(own)))], rng))
    return child


def _ideas(slot: Slot) -> list[Idea]:
    return [idea for idea in IDEAS.values() if idea.slot == slot]


def _with(genome: Genome, new: Gene) -> Genome:
    """The genome with one more gene, in place of one of the same idea."""
    if new.idea.slot == "head":
        return Genome(new, genome.labels, genome.training)
    if new.idea.slot == "labels":
        return Genome(genome.head, (*(g for g in genome.labels if g.name != new.name), new), genome.training)
    return Genome(genome.head, genome.labels, (*(g for g in genome.training if g.name != new.name), new))


def _without(genome: Genome, rng: np.random.Generator) -> Genome:
    """The genome with one idea less, if it has any beside its head."""
    rest = (*genome.labels, *genome.training)
    if not rest:
        return genome
    gone = rest[int(rng.integers(len(rest)))]
    return Genome(
        genome.head, tuple(g for g in genome.labels if g != gone), tuple(g for g in genome.training if g != gone)
    )


def _tune(genome: Genome, rng: np.random.Generator) -> Genome:
    """The genome with the parameters of one idea moved a little."""
    genes = genome.genes
    old = genes[int(rng.integers(len(genes)))]
    moved = {name: old.idea.parameters[name].near(value, rng) for name, value in old.values}
    new = Gene(old.name, tuple(moved.items()))

    def swap(one: Gene) -> Gene:
        return new if one == old else one

    return Genome(swap(genome.head), tuple(map(swap, genome.labels)), tuple(map(swap, genome.training)))
