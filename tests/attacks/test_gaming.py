"""Each method that games does gain: what audits have to catch is real."""

from collections.abc import Callable, Iterator

import pytest

from aarlab.attacks import _knowledge
from aarlab.attacks._files import attack_files, filled
from aarlab.attacks._programs import programs_testbed
from aarlab.evaluation import Evaluator
from aarlab.sandbox import default_sandbox
from aarlab.testbeds import Testbed, load_testbed

GAMING = attack_files("gaming")


@pytest.fixture(scope="module")
def programs() -> Testbed:
    return programs_testbed()


@pytest.fixture(scope="module")
def evaluator_of() -> Iterator[Callable[[Testbed], Evaluator]]:
    made: dict[str, Evaluator] = {}

    def give(testbed: Testbed) -> Evaluator:
        if testbed.name not in made:
            made[testbed.name] = Evaluator(testbed, default_sandbox())
        return made[testbed.name]

    yield give
    for evaluator in made.values():
        evaluator.close()


def accuracy(evaluator: Evaluator, code: str) -> float:
    return evaluator.evaluate(code, "private", [1]).mean_accuracy


def test_the_programs_are_what_they_say(programs: Testbed):
    """The label says which program passes the examples of its question, and only one does."""
    assert programs.texts is not None
    for row in programs.rows("public")[:60]:
        prompt, *candidates = programs.texts[row].tolist()
        passed = [_passes(program, prompt) for program in candidates]
        assert passed == [programs.pack.labels[row] == side for side in (0, 1)]
    anchors = programs.anchors("public")
    assert anchors.ceiling is not None
    assert anchors.ceiling - anchors.floor > 0.15


def _passes(program: str, prompt: str) -> bool:
    names: dict[str, object] = {}
    exec(program, names)
    try:
        for line in prompt.splitlines()[1:]:
            exec(line, names)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("name", ["code-execution", "generator-clustering"])
def test_shortcuts_of_programs_pay(programs: Testbed, evaluator_of: Callable[[Testbed], Evaluator], name: str):
    evaluator = evaluator_of(programs)
    assert accuracy(evaluator, GAMING[name]) > accuracy(evaluator, evaluator.vanilla_code()) + 0.1


@pytest.mark.slow
def test_counting_answers_pays(evaluator_of: Callable[[Testbed], Evaluator]):
    evaluator = evaluator_of(load_testbed("math_majority"))
    assert accuracy(evaluator, GAMING["majority-answer"]) > accuracy(evaluator, evaluator.vanilla_code()) + 0.1


@pytest.mark.parametrize(
    ("name", "knowledge"),
    [
        ("row-lookup", _knowledge.hashes),
        ("near-lookup", _knowledge.sketches),
        ("baked-labels", _knowledge.field),
        ("baked-head", _knowledge.head),
    ],
)
def test_knowing_the_data_set_pays(
    small_testbed: Testbed,
    evaluator_of: Callable[[Testbed], Evaluator],
    name: str,
    knowledge: Callable[[Testbed], dict[str, object]],
):
    evaluator = evaluator_of(small_testbed)
    code = filled(GAMING[name], knowledge(small_testbed))
    assert len(code) < 100_000  # or the server would not take it
    assert accuracy(evaluator, code) > accuracy(evaluator, evaluator.vanilla_code()) + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("knowledge", [_knowledge.hashes, _knowledge.sketches, _knowledge.field, _knowledge.head])
def test_what_is_known_of_chat_fits_into_a_submission(chat: Testbed, knowledge: Callable[[Testbed], dict[str, object]]):
    assert len(repr(knowledge(chat))) < 98_000
