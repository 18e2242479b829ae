"""Genomes: drawn, written, read back; and what a hostile line may contain."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aarlab.researchers import DIRECTIONS
from aarlab.researchers.scripted._compose import compose
from aarlab.researchers.scripted._genome import MARK, MAX_FITS, Genome, draw_gene, features, read_genome
from aarlab.researchers.scripted._search import LOYAL, Observation, propose
from aarlab.researchers.scripted._space import FAMILIES, IDEAS, Range

SEEDS = st.integers(0, 2**32)


def team(seed: int, count: int = 30) -> list[Observation]:
    """What a team would have seen: scores that grow with one idea."""
    rng = np.random.default_rng(seed)
    seen: list[Observation] = []
    for i in range(count):
        genome = propose(seen, i // 9, DIRECTIONS[i % 9].name, rng).genome
        bonus = 0.05 * any(gene.name == "bagging" for gene in genome.genes)
        seen.append(Observation(i, genome, round(0.65 + bonus + rng.normal(scale=0.01), 2), own=i % 9 == 0))
    return seen


@given(SEEDS)
def test_parameters_lie_in_their_ranges(seed: int):
    rng = np.random.default_rng(seed)
    for idea in IDEAS.values():
        gene = draw_gene(idea, rng)
        assert idea.admits(gene.parameters)
        moved = {name: idea.parameters[name].near(value, rng) for name, value in gene.values}
        assert idea.admits(moved), (idea.name, moved)


@pytest.mark.parametrize("seed", range(4))
def test_proposals_are_valid_new_and_readable(seed: int):
    seen = team(seed)
    genomes = [o.genome for o in seen]
    assert len(set(genomes)) == len(genomes)
    for genome in genomes:
        assert genome.valid()
        assert genome.fits <= MAX_FITS
        assert read_genome(compose(genome, "title", "story")) == genome
        assert features(genome).shape == features(genomes[0]).shape
        assert ((features(genome) >= 0) & (features(genome) <= 1)).all()


def test_each_direction_has_ideas_and_starts_with_them():
    assert {direction.name for direction in DIRECTIONS} == set(FAMILIES)
    assert len(DIRECTIONS) == 9
    for direction in DIRECTIONS:
        genome = propose([], 0, direction.name, np.random.default_rng(0)).genome
        assert direction.name in {gene.idea.family for gene in genome.genes}


def test_search_goes_where_scores_are():
    """Methods with the idea that helps are proposed more often than at random."""
    seen = team(0, 60)
    proposals = [propose(seen, 6, "noise", np.random.default_rng(i)).genome for i in range(20)]
    share = np.mean([any(gene.name == "bagging" for gene in genome.genes) for genome in proposals])
    assert share > 0.5
    assert 0 < LOYAL < 1


HEAD = ["linear_head", {"depth": "all", "pooling": "both", "l2": 0.01}]
HOSTILE = {
    "no line": "import os",
    "not JSON": MARK + "__import__('os').system('true')",
    "no list": MARK + "{}",
    "a number": MARK + "[1]",
    "unknown idea": MARK + json.dumps([HEAD, ["exec", {"code": "1"}]]),
    "no head": MARK + json.dumps([["sharpen", {"temperature": 1.0}]]),
    "two heads": MARK + json.dumps([HEAD, HEAD]),
    "parameter missing": MARK + json.dumps([["linear_head", {"depth": "all"}]]),
    "parameter too many": MARK + json.dumps([["linear_head", HEAD[1] | {"x": 1}]]),
    "out of range": MARK + json.dumps([["linear_head", HEAD[1] | {"l2": 1e9}]]),
    "NaN": MARK + '[["linear_head", {"depth": "all", "pooling": "both", "l2": NaN}]]',
    "text for a number": MARK + json.dumps([["linear_head", HEAD[1] | {"l2": "0.01); import os #"}]]),
    "a name with code": MARK + json.dumps([["linear_head", HEAD[1] | {"depth": "all'); import os #"}]]),
    "truth for a number": MARK + json.dumps([HEAD, ["bagging", {"members": True, "share": 0.5}]]),
    "too costly": MARK
    + json.dumps([HEAD, ["bagging", {"members": 10, "share": 0.5}], ["self_train", {"rounds": 4, "trust": 0.5}]]),
    "deep": MARK + "[" * 900 + "]" * 900,
    "long": MARK + json.dumps([HEAD]) + " " * 3000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lines_are_no_genomes(name: str):
    assert read_genome(HOSTILE[name]) is None


@given(st.text(max_size=300))
def test_any_text_is_read_safely(text: str):
    read_genome(MARK + text)


def test_a_title_cannot_end_its_docstring():
    genome = Genome(draw_gene(IDEAS["linear_head"], np.random.default_rng(0)))
    code = compose(genome, '"""\nimport os\n"""', "\\")
    assert "\nimport os\n" not in code
    compile(code, "method.py", "exec")


@given(st.floats(0, 1), SEEDS)
def test_places_and_values_agree(place: float, seed: int):
    for parameter in (Range(0.1, 0.9), Range(1e-4, 1.0, log=True), Range(2, 60, log=True, integer=True)):
        value = parameter.at(place)
        assert parameter.admits(value)
        assert parameter.admits(parameter.near(value, np.random.default_rng(seed)))
