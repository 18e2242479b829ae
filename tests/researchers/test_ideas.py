"""Every idea, composed into a method, runs on pairs and on single candidates and gives probabilities."""

from dataclasses import replace

import numpy as np
import pytest

from aarlab.researchers.scripted._compose import compose
from aarlab.researchers.scripted._genome import Genome, draw_gene
from aarlab.researchers.scripted._space import IDEAS
from aarlab.students import Examples, Problem
from aarlab.testbeds import Testbed


def method(name: str, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    idea = IDEAS[name]
    head = draw_gene(IDEAS["linear_head"], rng)
    gene = draw_gene(idea, rng)
    if idea.slot == "head":
        genome = Genome(gene)
    else:
        genome = Genome(head, (gene,), ()) if idea.slot == "labels" else Genome(head, (), (gene,))
    return compose(genome, name, "test")


def fit(code: str, problem: Problem, seed: int):
    space: dict = {}
    exec(compile(code, "method.py", "exec"), space)
    return space["fit"](problem, seed)


@pytest.fixture(scope="module")
def single(small_testbed: Testbed) -> Problem:
    """The same inputs as single candidates."""
    problem = small_testbed.problem()
    return replace(problem, train=replace(problem.train, pairs=False))


@pytest.mark.parametrize("name", IDEAS)
def test_ideas_run_on_pairs(name: str, small_testbed: Testbed):
    test = small_testbed.examples("public")
    predict = fit(method(name), small_testbed.problem(), 1)
    there, back = predict(test), predict(test.swapped())
    assert there.shape == (len(test),)
    assert ((there >= 0) & (there <= 1)).all()
    assert np.allclose(there, 1 - back, atol=1e-3)  # a pair's verdict does not hang on its order
    assert there.std() > 0


@pytest.mark.parametrize("name", IDEAS)
def test_ideas_run_on_single_candidates(name: str, single: Problem):
    test: Examples = single.train.take(np.arange(50))
    there = fit(method(name, seed=1), single, 1)(test)
    assert there.shape == (50,)
    assert ((there >= 0) & (there <= 1)).all()


@pytest.mark.parametrize("name", ["bagging", "drop_disputed"])
def test_a_seed_fixes_a_method(name: str, small_testbed: Testbed):
    test = small_testbed.examples("public")
    first, again, other = (fit(method(name), small_testbed.problem(), seed)(test) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
