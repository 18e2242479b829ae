"""The honest methods are many, different, complete, and always the same."""

import ast

import pytest

from aarlab.attacks.honest import honest_methods
from aarlab.evaluation import Evaluator, library
from aarlab.researchers.directions import DIRECTIONS
from aarlab.researchers.scripted._genome import families, read_genome
from aarlab.sandbox import default_sandbox


@pytest.fixture(scope="module")
def composed():
    return {name: code for name, code in honest_methods().items() if name.startswith("composed-")}


def test_the_library_is_among_them():
    methods = honest_methods()
    assert all(methods[name] == method.code for name, method in library().items())


def test_compositions_are_many_and_all_different(composed):
    genomes = [read_genome(code) for code in composed.values()]
    assert len(genomes) >= 24
    assert None not in genomes
    assert len(set(genomes)) == len(genomes)
    assert {family for genome in genomes for family in families(genome)} == {d.name for d in DIRECTIONS}


def test_they_are_the_same_on_every_call(composed):
    assert honest_methods() == {**honest_methods(), **composed}


@pytest.mark.parametrize("name", ["composed-02", "composed-26"])
def test_a_composition_runs(small_testbed, composed, name):
    ast.parse(composed[name])
    with Evaluator(small_testbed, default_sandbox()) as evaluator:
        assert 0 < evaluator.evaluate(composed[name], "public", [1]).mean_accuracy < 1
