import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from aarlab.evaluation import Evaluator, MethodError
from aarlab.methods import confident, vanilla
from aarlab.sandbox import Limits, Program, Session, UnsafeSandbox, default_sandbox
from aarlab.testbeds import Testbed, correctness


@pytest.fixture(scope="module")
def evaluator(small_testbed: Testbed):
    with Evaluator(small_testbed, default_sandbox(), workers=2) as made:
        yield made


def test_vanilla_scores_as_it_does_outside(evaluator: Evaluator, small_testbed: Testbed):
    result = evaluator.evaluate(evaluator.vanilla_code(), "public", [1, 2, 3])
    predict = vanilla.fit(small_testbed.problem(), 1)
    outside = correctness(np.asarray(predict(small_testbed.examples("public"))), small_testbed.labels("public"))
    assert result.accuracy[0] == pytest.approx(outside.mean(), abs=0.01)
    assert result.correct.shape == (3, len(outside))
    assert result.isolated
    assert result.cpu_seconds > 0
    assert result.estimate.pgr is not None
    assert result.estimate.pgr.low < result.estimate.pgr.estimate < result.estimate.pgr.high
    assert result.diagnostics.swap_consistency == 1.0


def test_the_same_seeds_give_the_same_scores(evaluator: Evaluator):
    code = """
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
def fit(problem, seed):
    rng = np.random.default_rng(seed)
    return lambda examples: rng.random(len(examples))
"""
    first, second, third = (evaluator.evaluate(code, "public", [seed]) for seed in (5, 5, 6))
    assert np.array_equal(first.correct, second.correct)
    assert not np.array_equal(first.correct, third.correct)


def test_splits_differ(evaluator: Evaluator):
    public, private = (evaluator.evaluate(evaluator.vanilla_code(), split, [1]) for split in ("public", "private"))
    assert (public.split, private.split) == ("public", "private")
    assert public.floor != private.floor
    assert np.array_equal(evaluator.groups("public"), evaluator.testbed.groups("public"))


def test_without_a_sandbox_results_are_marked(small_testbed: Testbed):
    with Evaluator(small_testbed, UnsafeSandbox()) as unsafe:
        result = unsafe.evaluate(unsafe.vanilla_code(), "public", [1])
    assert not result.isolated
    assert result.sandbox == "none"


def test_a_method_cannot_answer_for_the_harness(evaluator: Evaluator):
    """It may find the pipe and write to it; what counts is still one checked number an example."""
    code = """
import os, struct
def fit(problem, seed):
    for descriptor in range(3, 30):
        try:
            os.write(descriptor, struct.pack('=cQ', b'P', 8 * 256) + struct.pack('=256d', *[7.0] * 256))
        except OSError:
            pass
    return lambda examples: [1.0] * len(examples)
"""
    with pytest.raises(MethodError) as caught:
        evaluator.evaluate(code, "public", [1])
    assert caught.value.kind in ("crashed", "out-of-range")


def test_closing_ends_what_still_runs_and_leaves_nothing(
    small_testbed: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    begun = threading.Semaphore(0)

    class Noticing:
        name, trusted_isolation = "noticing", True

        def open(self, program: Program, limits: Limits) -> Session:
            session = default_sandbox().open(program, limits)
            restart = session.restart

            def noticed(new: Limits) -> None:
                restart(new)
                begun.release()  # once for the job sent, once for the job begun

            session.restart = noticed
            return session

    evaluator = Evaluator(small_testbed, Noticing(), workers=2)
    endless = "def fit(problem, seed):\n    while True: pass\n"
    failures: list[str] = []

    def evaluate() -> None:
        try:
            evaluator.evaluate(endless, "public", [1, 2])
        except MethodError as error:
            failures.append(error.kind)

    thread = threading.Thread(target=evaluate)
    thread.start()
    for _ in range(4):
        assert begun.acquire(timeout=60)
    started = time.monotonic()
    evaluator.close()
    assert time.monotonic() - started < 4
    thread.join(5)
    assert not thread.is_alive()
    assert failures == ["crashed"]
    assert list(tmp_path.iterdir()) == []


def test_library_methods_run_like_any_submission(evaluator: Evaluator):
    result = evaluator.evaluate(Path(confident.__file__).read_text(), "public", [1])
    assert 0.5 < result.mean_accuracy < 1
