"""What a method does is counted, what every method does is not, and a forged record breaks nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aarlab.evaluation import Evaluator, FailureKind, MethodError, library
from aarlab.harness._record import MAX_KINDS
from aarlab.sandbox import Program, UnsafeSandbox, _seccomp, default_sandbox
from aarlab.testbeds import Testbed

BEGIN = "import os, sys\ndef fit(problem, seed):\n    "
END = "\n    return lambda e: [0.5] * len(e)\n"

DOES = {
    "executes code": ("exec('x = 1')", {"compile": 1, "exec": 1}),
    "evaluates code": ("[eval('1 + 1') for _ in range(3)]", {"compile": 3, "exec": 3}),
    "compiles code": ("compile('1', 'a', 'eval')", {"compile": 1}),
    "runs code by the standard library": ("import timeit; timeit.timeit('1', number=1)", {"exec": 1}),
    "reads a file": ("open('/job/problem.npz', 'rb').close()", {"open": 1}),
    "reads a file by a library": ("import numpy; numpy.load('/job/problem.npz').close()", {"open": 1}),
    "starts a program": ("import subprocess; subprocess.run(['/python/bin/python3'])", {"subprocess.Popen": 1}),
    "starts a shell": ("os.system('true')", {"os.system": 1}),
    "forks": ("pid = os.fork()\n    os._exit(0) if pid == 0 else os.wait()", {"os.fork": 1}),
    "loads a library": ("import ctypes; ctypes.CDLL('libm.so.6')", {"ctypes.dlopen": 1}),
    "looks at its caller": ("sys._getframe(1); sys._current_frames()", {"sys._getframe": 1, "sys._current_frames": 1}),
    "walks over objects": ("import gc; gc.get_objects(); gc.get_referrers(os)", {"gc.get_objects": 1}),
    "lists folders": ("os.listdir('/'); list(os.walk('/tmp'))", {"os.listdir": 1}),
    "imports something unusual": ("import sqlite3, numpy.fft, scipy.stats", {"import/sqlite3": 1}),
}


@pytest.fixture(scope="module")
def evaluator(small_testbed: Testbed) -> Iterator[Evaluator]:
    with Evaluator(small_testbed, default_sandbox(), workers=2) as made:
        yield made


@pytest.mark.parametrize("name", DOES)
def test_it_is_counted(evaluator: Evaluator, name: str):
    does, expected = DOES[name]
    evidence = evaluator.evaluate(BEGIN + does + END, "public", [1]).evidence
    assert {kind: evidence.get(kind, 0) >= count for kind, count in expected.items()} == dict.fromkeys(expected, True)


def test_it_is_summed_over_seeds(evaluator: Evaluator):
    evidence = evaluator.evaluate(BEGIN + "os.getpid(); exec('x = 1')" + END, "public", [1, 2, 3]).evidence
    assert evidence["exec"] == 3


@pytest.mark.parametrize("name", ["vanilla", "confident", "em_posterior"])
def test_honest_methods_leave_no_trace_of_execution(evaluator: Evaluator, name: str):
    evidence = evaluator.evaluate(library()[name].code, "public", [1]).evidence
    assert not {kind for kind in evidence if kind in ("exec", "compile", "open", "subprocess.Popen", "ctypes.dlopen")}


def test_scikit_learn_and_joblib_leave_none_either(evaluator: Evaluator):
    code = """
import numpy as np
from joblib import Parallel, delayed
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from scipy.stats import norm

def fit(problem, seed):
    x = problem.student.hidden(problem.train, *problem.student.representations[0])
    y = (problem.weak_labels > 0.5).astype(int)
    models = [LogisticRegression(), HistGradientBoostingClassifier(max_iter=3), RandomForestClassifier(3, n_jobs=1)]
    fitted = Parallel(n_jobs=1)(delayed(model.fit)(x, y) for model in models)
    fitted = Parallel(n_jobs=2, prefer="threads")(delayed(model.fit)(x, y) for model in fitted)
    where = problem.student.representations[0]
    return lambda e: np.mean([m.predict_proba(problem.student.hidden(e, *where))[:, 1] for m in fitted], axis=0)
"""
    result = evaluator.evaluate(code, "public", [1])
    assert result.mean_accuracy > 0.5
    assert not {kind for kind in result.evidence if kind in ("exec", "compile", "open", "subprocess.Popen")}


def test_it_stays_small(evaluator: Evaluator):
    many = BEGIN + "[sys.audit(f'event{n}') for n in range(5000)]; sys.audit('no good\\n' * 1000)" + END
    evidence = evaluator.evaluate(many, "public", [1]).evidence
    assert len(evidence) <= MAX_KINDS + 1
    assert evidence["other"] >= 4900
    assert all(len(kind) <= 64 for kind in evidence)


@pytest.mark.parametrize(
    ("forged", "says"),
    [
        ("[]", "record that cannot be read"),
        ('{"open": -1}', "record that cannot be read"),
        ('{"open": NaN}', "record that cannot be read"),
        ('{"<b>": 1}', "record that cannot be read"),
        ('{"open": 1e999}', "record that cannot be read"),
        ('{"open": [1]}', "record that cannot be read"),
        ("[" * 10_000, "record that cannot be read"),
        ("x" * 20_000, "frame"),
    ],
)
def test_a_forged_record_that_makes_no_sense_is_refused(evaluator: Evaluator, forged: str, says: str):
    code = BEGIN + f"import json; json.dumps = lambda *a: {forged!r}" + END
    with pytest.raises(MethodError) as caught:
        evaluator.evaluate(code, "public", [1])
    assert caught.value.kind == FailureKind.CRASHED
    assert says in caught.value.message


def test_one_that_makes_sense_is_believed_as_far_as_evidence_goes(evaluator: Evaluator):
    code = BEGIN + "exec('x = 1'); import json; json.dumps = lambda *a: '{\"forged\": 1}'" + END
    assert evaluator.evaluate(code, "public", [1]).evidence == {"forged": 1}


@pytest.mark.parametrize("sandbox", [default_sandbox(), UnsafeSandbox()], ids=lambda s: s.name)
def test_results_say_whether_calls_were_filtered(small_testbed: Testbed, sandbox: object):
    with Evaluator(small_testbed, sandbox) as evaluator:
        assert evaluator.evaluate(BEGIN + "pass" + END, "public", [1]).filtered == _seccomp.available()


def test_where_the_kernel_cannot_filter_the_result_says_so(small_testbed: Testbed, tmp_path: Path):
    missing = tmp_path / "_seccomp.py"
    missing.write_text("def install():\n    return False\n")

    class Old(Evaluator):
        def program(self, method: Path | None, *arguments: str) -> Program:
            program = super().program(method, *arguments)
            mounts = {**program.mounts, "/runtime/aarlab/sandbox/_seccomp.py": missing}
            return replace(program, mounts=mounts)

    with Old(small_testbed, default_sandbox()) as evaluator:
        result = evaluator.evaluate(BEGIN + "pass" + END, "public", [1])
    assert result.isolated
    assert not result.filtered
