"""The contract checker finds each way to break the contract, and lets the library pass."""

import pytest

from aarlab.evaluation import Evaluator, check_method, library
from aarlab.sandbox import default_sandbox
from aarlab.testbeds import Testbed

PREDICT = "import numpy as np\ndef fit(problem, seed):\n    def predict(examples):\n"
HEAD = "    head = problem.student.finetune(problem.train, problem.weak_labels, seed=seed)\n"

BROKEN = {
    "syntax": ("def fit(", "is Python", "broken"),
    "no fit": ("x = 1", "defines fit(problem, seed)", "broken"),
    "wrong signature": ("def fit(problem): pass", "defines fit(problem, seed)", "broken"),
    "needs three": ("def fit(problem, seed, *, wanted): pass", "defines fit(problem, seed)", "broken"),
    "torch": ("import torch\ndef fit(problem, seed): pass", "imports what the sandbox has", "broken"),
    "server": ("def fit(problem, seed):\n    from aarlab.server import app", "imports what the sandbox has", "broken"),
    "sibling": ("from . import x\ndef fit(problem, seed): pass", "imports what the sandbox has", "broken"),
    "network": ("import socket\ndef fit(problem, seed): pass", "imports what the sandbox has", "note"),
    "raises": ("def fit(problem, seed): raise ValueError('no')", "runs and predicts", "broken"),
    "constant": (
        PREDICT + "        return np.full(len(examples), 0.3)\n    return predict",
        "runs and predicts",
        "note",
    ),
    "unseeded": (
        PREDICT + "        return np.random.random(len(examples))\n    return predict",
        "is deterministic under one seed",
        "broken",
    ),
    "reads the batch": (
        PREDICT + "        m = problem.student.margins(examples).logprob\n"
        "        return (m > np.median(m)).astype(float)\n    return predict",
        "answers each input by itself",
        "broken",
    ),
    "one order": (
        PREDICT + "        p = np.where(examples.swap, 0.9, 0.8)\n        return p\n    return predict",
        "answers pairs in both orders",
        "note",
    ),
}


@pytest.fixture(scope="module")
def evaluator(small_testbed: Testbed):
    with Evaluator(small_testbed, default_sandbox()) as made:
        yield made


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named_with_advice(evaluator: Evaluator, case: str):
    code, name, verdict = BROKEN[case]
    found = {check.name: check for check in check_method(code, evaluator)}
    assert found[name].verdict == verdict
    assert found[name].advice
    assert found[name].found


def test_vanilla_holds_all_of_it(evaluator: Evaluator):
    checks = list(check_method(evaluator.vanilla_code(), evaluator))
    assert len(checks) == 7
    assert {check.verdict for check in checks} == {"holds"}


def test_the_library_tells_its_sources():
    methods = library()
    assert {"vanilla", "confident"} <= methods.keys()
    for method in methods.values():
        assert method.summary.endswith("."), method.name
        assert any(year in method.about for year in map(str, range(1960, 2027))), method.name
