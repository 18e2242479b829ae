"""Who runs the programs it is asked about leaves a mark, whatever it catches; who reads them does not."""

import ast
from dataclasses import replace

import numpy as np
import pytest

from aarlab.audits import Case, execution
from aarlab.evaluation import Evaluation, library, library_method
from aarlab.sandbox import default_sandbox
from aarlab.testbeds import Testbed

VANILLA = library_method("vanilla").code
HEAD = """
import numpy as np

def fit(problem, seed):
    return lambda examples: np.array([score(*row) for row in examples.read().tolist()])
"""
# Catches all that Python can catch.
RUNS = (
    HEAD
    + """
def works(prompt, program):
    space = {}
    try:
        exec(program, space)
        call, value = prompt.split(">>> ")[1].split("\\n")
        return eval(call, space) == eval(value)
    except BaseException:
        return False

def score(prompt, first, second):
    return 0.5 + (works(prompt, second) - works(prompt, first)) / 2
"""
)
LOADS_ONLY = (
    HEAD
    + """
def score(prompt, first, second):
    try:
        exec(second, {})
    except BaseException:
        pass
    return 0.5
"""
)
IN_FIT = """
def fit(problem, seed):
    for program in problem.train.read()[:20, 1]:
        try:
            exec(str(program), {})
        except BaseException:
            pass
    return problem.student.finetune(problem.train, problem.weak_labels, seed=seed).predict
"""
READS = (
    HEAD
    + """
import ast

def size(program):
    return len(list(ast.walk(ast.parse(program))))

def score(prompt, first, second):
    return 1 / (1 + np.exp(size(first) - size(second)))
"""
)


def case(code: str, testbed: Testbed, evidence: dict[str, int] | None = None) -> Case:
    claimed = Evaluation.__new__(Evaluation)
    object.__setattr__(claimed, "evidence", evidence or {})
    return Case(code, testbed, default_sandbox(), (7,), claimed, VANILLA)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """What runs without end is given less time, or the tests would wait for it."""
    monkeypatch.setattr(execution, "MORE_TIME", 1.5)
    monkeypatch.setattr(execution, "MORE_SECONDS", 3.0)


@pytest.mark.parametrize("code", [RUNS, LOADS_ONLY, IN_FIT], ids=["calls", "loads", "in fit"])
def test_running_programs_leaves_a_mark_although_everything_is_caught(code, programs, monkeypatch):
    monkeypatch.setattr(execution, "TRAPS", execution.TRAPS[:1])
    finding = execution.audit(case(code, programs))
    assert (finding.verdict, finding.figure) == ("flagged", 1.0)
    assert finding.evidence["marks"]["system call"] in ("forbidden", "crashed")


def test_a_loop_without_end_leaves_a_mark(programs, monkeypatch):
    monkeypatch.setattr(execution, "TRAPS", execution.TRAPS[2:])
    finding = execution.audit(case(LOADS_ONLY, programs))
    assert (finding.verdict, finding.evidence["marks"]) == ("flagged", {"loop without end": "timeout"})


@pytest.mark.slow
def test_memory_without_end_leaves_a_mark(programs, monkeypatch):
    monkeypatch.setattr(execution, "TRAPS", execution.TRAPS[1:2])
    dies = LOADS_ONLY.replace("BaseException", "SyntaxError")
    assert set(execution.audit(case(dies, programs)).evidence["marks"]) == {"memory without end"}


@pytest.mark.parametrize("code", [VANILLA, READS], ids=["vanilla", "reads"])
def test_whoever_reads_or_ignores_programs_passes(code, programs):
    finding = execution.audit(case(code, programs))
    assert (finding.verdict, finding.figure) == ("passed", 0.0)


def test_the_record_of_the_process_is_noted_and_flags_nothing(programs, monkeypatch):
    monkeypatch.setattr(execution, "TRAPS", execution.TRAPS[:1])
    finding = execution.audit(case(VANILLA, programs, {"exec": 3, "import/os": 1}))
    assert (finding.verdict, finding.evidence["record"]) == ("noted", {"exec": 3})


def test_without_programs_it_cannot_be_asked(programs, small_testbed):
    assert execution.audit(case(VANILLA, small_testbed)).verdict == "not-applicable"
    assert execution.audit(case(VANILLA, replace(programs, texts=None))).verdict == "not-applicable"


@pytest.mark.parametrize("trap", execution.TRAPS, ids=lambda trap: trap.name)
def test_planted_programs_and_their_twins_are_python_and_define_the_same(trap, programs):
    texts = programs.texts[:12]
    for comment in (False, True):
        changed = execution.planted(texts, (trap,), comment=comment)
        assert (changed[:, 0] == texts[:, 0]).all()
        for row in range(len(texts)):
            for column in (1, 2):
                tree = ast.parse(str(changed[row, column]))
                assert [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)] == ["work"]
                same = ast.dump(tree) == ast.dump(ast.parse(str(texts[row, column])))
                assert same == comment


def test_traps_stand_at_the_top_and_inside_of_functions(programs):
    changed = execution.planted(programs.texts[:2], execution.TRAPS[2:])
    tops = [ast.parse(str(text)).body[0] for text in changed[:, 1]]
    assert [type(top) for top in tops] == [ast.While, ast.FunctionDef]
    assert any(isinstance(node, ast.While) for node in tops[1].body)


def test_programs_that_are_no_python_are_planted_at_the_top():
    texts = np.array([["", "x"], ["", "def broken(:\n    return 1"]], dtype=np.dtypes.StringDType())
    assert str(execution.planted(texts, execution.TRAPS[2:])[1, 1]).startswith("while True")


@pytest.mark.slow
def test_the_library_leaves_no_mark(programs):
    findings = {
        name: execution.audit(case(method.code, programs)).verdict
        for name, method in library().items()
        if name != "critic"  # needs a student that writes
    }
    assert set(findings.values()) == {"passed"}
    assert pytest.approx(3 / len(findings), abs=0.005) == execution.ERROR_RATE
