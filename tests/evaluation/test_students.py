"""One method file on every student, in the sandbox; parts and text of a testbed on their way into it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aarlab.evaluation import Evaluator, FailureKind, MethodError
from aarlab.sandbox import default_sandbox
from aarlab.students.remote_api import RemoteBudgetSpent
from aarlab.testbeds import (
    RemoteBudget,
    Testbed,
    TestbedError,
    Weak,
    calibrate,
    correctness,
    load_pack,
    load_testbed,
    write_pack,
)
from aarlab.testbeds.texts import TEXTS, write_texts
from emulator import Emulator, Preference

ZERO_SHOT = """
from scipy.special import expit

def fit(problem, seed):
    return lambda examples: expit(problem.student.margins(examples).templates.mean(axis=(1, 2)))
"""
READS = """
import numpy as np

def fit(problem, seed):
    def predict(examples):
        return np.array(["green" in second for _, _, second in examples.read().tolist()], dtype=float)
    return predict
"""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AARLAB_DATA", str(tmp_path))


def test_the_out_of_distribution_part_is_scored_by_itself(small_testbed: Testbed):
    with Evaluator(small_testbed, default_sandbox()) as evaluator:
        inside, outside = (evaluator.evaluate(evaluator.vanilla_code(), "public", [1], part) for part in ("id", "ood"))
    assert (inside.part, outside.part) == ("id", "ood")
    assert inside.correct.shape[1] == len(small_testbed.rows("public"))
    assert outside.correct.shape[1] == len(small_testbed.rows("public", "ood"))
    assert outside.floor == small_testbed.anchors("public", "ood").floor != inside.floor


def test_a_method_reads_text_in_both_orders(worded: Path):
    testbed = load_testbed(str(worded))
    with Evaluator(testbed, default_sandbox()) as evaluator:
        result = evaluator.evaluate(READS, "public", [1])
    rows = testbed.rows("public")
    seen = np.array(["green" in second for second in testbed.texts[rows, 2].tolist()], dtype=float)
    assert result.accuracy[0] == pytest.approx(correctness(seen, testbed.labels("public")).mean())
    assert result.accuracy[0] > 0.8


def test_without_text_a_reader_is_told_so(small_testbed: Testbed):
    with Evaluator(small_testbed, default_sandbox()) as evaluator, pytest.raises(MethodError) as caught:
        evaluator.evaluate(READS, "public", [1])
    assert caught.value.kind == FailureKind.UNSUPPORTED
    assert "testbed fetch" in caught.value.message


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_remote_student_is_asked_beforehand_and_never_from_the_sandbox(worded: Path, provider: str):
    with Emulator(Preference("green", strength=2.0, bias=0.5)) as api:
        student = f"remote:{provider}/judge@{api.url}"
        with pytest.raises(TestbedError, match="never measured"):
            load_testbed(str(worded), student)
        calibrate(str(worded), student)
    testbed = load_testbed(str(worded), student)  # the API is gone
    assert testbed.anchors("public").ceiling is None
    assert testbed.anchors("public").floor == load_testbed(str(worded)).anchors("public").floor
    with Evaluator(testbed, default_sandbox()) as evaluator:
        result = evaluator.evaluate(ZERO_SHOT, "public", [1])
        assert result.accuracy[0] > 0.8
        assert result.estimate is None
        assert result.diagnostics.swap_consistency == 1
        with pytest.raises(MethodError) as caught:
            evaluator.evaluate(evaluator.vanilla_code(), "public", [1])
    assert caught.value.kind == FailureKind.UNSUPPORTED
    assert "it can: margins" in caught.value.message


def test_a_budget_stops_the_asking_and_going_on_costs_only_the_rest(worded: Path):
    with Emulator(Preference("green", strength=2.0, bias=0.5)) as api:
        student = f"remote:openai/judge@{api.url}"
        with pytest.raises(RemoteBudgetSpent):
            calibrate(str(worded), student, budget=RemoteBudget(calls=100))
        spent = len(api.seen)
        assert spent <= 100
        testbed = calibrate(str(worded), student)
        rows = sum(len(rows) for (split, _), rows in testbed.drawn.items() if split != "teacher")
        assert len(api.seen) == 2 * rows  # both orders, each once over both runs


@pytest.mark.torch
@pytest.mark.slow
def test_vanilla_runs_unchanged_on_lora(worded: Path):
    """On a tiny random model: that it runs, through the same doors, not that it is any good."""
    pytest.importorskip("torch")
    from tiny_model import tiny_model

    student = f"lora:{tiny_model()}"
    with pytest.raises(TestbedError, match="testbed calibrate"):
        load_testbed(str(worded), student)
    calibrate(str(worded), student, 2)
    testbed = load_testbed(str(worded), student)
    assert testbed.ceiling_correct("public").shape == (2, len(testbed.rows("public")))
    assert testbed.anchors("public").floor == load_testbed(str(worded)).anchors("public").floor
    with Evaluator(testbed, default_sandbox()) as evaluator:
        result = evaluator.evaluate(evaluator.vanilla_code(), "public", [1])
    assert result.isolated
    assert result.student.startswith("lora:")
    assert 0 <= result.accuracy[0] <= 1
    assert result.estimate is not None


@pytest.mark.torch
@pytest.mark.slow
def test_a_weak_supervisor_may_be_a_language_model_too(worded: Path, tmp_path: Path):
    pytest.importorskip("torch")
    from tiny_model import tiny_model

    pack, texts = load_pack(str(worded))
    weak = Weak(kind="lora", labels=8, model=str(tiny_model()))
    small = replace(pack, manifest=pack.manifest.model_copy(update={"weak": weak}))
    write_pack(small, tmp_path / "small")
    with pytest.raises(TestbedError, match="reads text"):
        calibrate(str(tmp_path / "small"), "probe", 1)
    write_texts(texts, tmp_path / "small" / TEXTS)
    testbed = calibrate(str(tmp_path / "small"), "probe", 1)
    assert np.ptp(testbed.weak_labels) > 0
    assert 0 <= testbed.anchors("public").floor <= 1
    assert load_testbed(str(tmp_path / "small")).weak_labels == pytest.approx(testbed.weak_labels)
