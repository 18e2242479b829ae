"""Every method of the library keeps the contract of a submission."""

import ast
import re
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import aarlab.methods
from aarlab.students import Unsupported

FOLDER = Path(aarlab.methods.__file__).parent
METHODS = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
RUNNABLE = [name for name in METHODS if name != "critic"]  # no student writes yet; see test_critic.py
TRAINING = [name for name in RUNNABLE if name != "zero_shot"]
NAMED_IN_THE_STUDY = {
    *("vanilla", "vanilla_soft", "logconf", "confident", "zero_shot", "unsupervised_elicitation", "critic"),
    *("ccs_es", "em_posterior", "overlap_density", "mdl_curriculum", "epiplexity"),
}


def fit(name, problem, seed=0):
    return import_module(f"aarlab.methods.{name}").fit(problem, seed)


def a_world(make_world, clusters, noisy, rng, pairs, count=180, **options):
    truth, hidden = clusters(rng, count, apart=2.0, width=8, places=2, pairs=pairs)
    margins = (2 * truth - 1)[:, None, None] + rng.normal(size=(count, 2, 2)) + (0 if pairs else 3)
    groups = np.arange(count) // 3
    weak = noisy(rng, truth, 0.3, rng.uniform(0.05, 0.4, size=count))
    return make_world(hidden, truth, weak, margins=margins, pairs=pairs, test=count // 3, groups=groups, **options)


@pytest.fixture(params=[True, False], ids=["pairs", "single"])
def world(request, make_world, clusters, noisy, rng):
    return a_world(make_world, clusters, noisy, rng, request.param)


def test_the_study_is_complete():
    assert set(METHODS) >= NAMED_IN_THE_STUDY


@pytest.mark.parametrize("name", METHODS)
def test_says_whose_it_is_and_what_it_assumes(name):
    code = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    about = ast.get_docstring(ast.parse(code))
    assert re.search(r"\b(19|20)\d\d\b", about.partition("\n")[0]), "the first line names its source with a year"
    if name not in ("vanilla", "confident"):
        assert "Assumes that" in about
    assert len(code.splitlines()) <= 80


@pytest.mark.parametrize("name", METHODS)
def test_imports_only_what_the_sandbox_has(name):
    for path in [FOLDER / f"{name}.py", *FOLDER.glob("_steps/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                root = module.partition(".")[0]
                known = root in sys.stdlib_module_names or root in ("numpy", "scipy", "sklearn")
                assert known or module.startswith(("aarlab.students", "aarlab.methods"))


@pytest.mark.parametrize("name", RUNNABLE)
def test_predicts_probabilities_of_each_example_by_itself(world, name):
    predict = fit(name, world.problem)
    whole = np.asarray(predict(world.test))
    assert whole.shape == (60,)
    assert whole.min() >= 0
    assert whole.max() <= 1
    order = np.random.default_rng(1).permutation(60)
    alone = np.empty(60)
    for chunk in np.array_split(order, 12):
        alone[chunk] = predict(world.test.take(chunk))
    np.testing.assert_allclose(alone, whole, atol=1e-5)


@pytest.mark.parametrize("name", RUNNABLE)
def test_one_seed_gives_one_answer(world, name):
    first, again = (np.asarray(fit(name, world.problem, seed=3)(world.test)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", RUNNABLE)
def test_pairs_get_opposite_answers_in_both_orders(name, make_world, clusters, noisy, rng):
    world = a_world(make_world, clusters, noisy, rng, pairs=True)
    predict = fit(name, world.problem)
    np.testing.assert_allclose(predict(world.test.swapped()), 1 - np.asarray(predict(world.test)), atol=1e-5)


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "single"])
def test_beats_its_teacher_where_student_and_margins_know_more(name, pairs, make_world, clusters, noisy, rng):
    world = a_world(make_world, clusters, noisy, rng, pairs, count=460)
    assert world.accuracy(name) > 0.72


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("poor", ["margins of 0", "equally sure weak labels", "one weak verdict for all"])
def test_survives_poor_inputs(world, name, poor):
    problem = world.problem
    if poor == "margins of 0":
        columns = {**problem.train.columns, "margins": np.zeros((120, 2, 2)), "logprob": np.zeros(120)}
        problem = replace(problem, train=replace(problem.train, columns=columns))
    else:
        sure = np.where(world.weak > 0.5, 0.6, 0.4) if poor == "equally sure weak labels" else np.full(120, 0.7)
        problem = replace(problem, weak_labels=sure)
    p = np.asarray(fit(name, problem)(world.test))
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()


@pytest.mark.parametrize("name", TRAINING)
@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "single"])
def test_runs_on_a_student_that_lacks_what_only_the_probe_has(
    name, pairs, make_world, clusters, noisy, rng, other_student
):
    world = a_world(make_world, clusters, noisy, rng, pairs, count=460, student=other_student)
    assert world.accuracy(name) > 0.72
    steps = [call.options["max_steps"] for call in world.student.calls if call.options.get("max_steps")]
    assert all(s >= 2 for s in steps), "a pass over more than 32 examples is several steps to it"


@pytest.mark.parametrize("name", TRAINING)
def test_leaves_its_inputs_alone(name, make_world, clusters, noisy, rng):
    world = a_world(make_world, clusters, noisy, rng, pairs=True)
    before = world.weak.copy(), {k: v.copy() for k, v in world.problem.train.columns.items()}
    fit(name, world.problem)
    np.testing.assert_array_equal(world.weak, before[0])
    for column, values in before[1].items():
        np.testing.assert_array_equal(world.problem.train.columns[column], values)


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"zero_shot", "unsupervised_elicitation"}))
def test_a_student_that_cannot_be_trained_is_named(world, name):
    class Asked(type(world.student)):
        capabilities = ("margins",)

        def finetune(self, *_, **__):
            raise Unsupported("be fine-tuned", self.capabilities)

        def hidden(self, *_):
            raise Unsupported("show hidden states", self.capabilities)

    with pytest.raises(Unsupported, match="it can: margins"):
        fit(name, replace(world.problem, student=Asked(world.student.assets)))
