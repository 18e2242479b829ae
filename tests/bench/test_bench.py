"""The bench runs methods side by side, remembers what it scored, and draws it."""

import json
from pathlib import Path

import numpy as np
import pytest

from aarlab.bench import document, markdown, run_bench, write_figure
from aarlab.errors import AarlabError
from aarlab.evaluation import library_method
from aarlab.sandbox import SandboxUnavailable, default_sandbox
from aarlab.testbeds import Testbed

TRUTHFUL = """
from scipy.special import expit

def fit(problem, seed):
    head = problem.student.finetune(problem.train, problem.weak_labels, seed=seed)
    return lambda examples: expit(3 * problem.student.margins(examples).templates.mean(axis=(1, 2)))
"""
BROKEN = "def fit(problem, seed): raise ValueError('no <b>way</b>')"
SEEDS = [1, 2]


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AARLAB_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def bench(small_testbed: Testbed):
    methods = {"truthful": TRUTHFUL, "broken": BROKEN, "confident": library_method("confident").code}
    return run_bench(methods, [small_testbed], default_sandbox(), SEEDS, workers=2)


def test_rows_are_ranked_and_compared_with_vanilla(bench):
    assert [row.method for row in bench.rows][-1] == "broken"
    scored = [row for row in bench.rows if row.score is not None]
    assert len(scored) == 3
    accuracies = [np.mean(row.score.accuracy) for row in scored]
    assert accuracies == sorted(accuracies, reverse=True)
    by_name = {row.method: row for row in bench.rows}
    assert by_name["vanilla"].gain is None
    gain = by_name["truthful"].gain.difference
    difference = np.mean(by_name["truthful"].score.accuracy) - np.mean(by_name["vanilla"].score.accuracy)
    assert gain.estimate == pytest.approx(difference, abs=1e-6)
    assert gain.low < gain.estimate < gain.high
    assert by_name["truthful"].p >= by_name["truthful"].gain.p  # Holm never makes it smaller
    assert "no <b>way</b>" in by_name["broken"].failure


def test_what_was_scored_is_not_run_again(bench, small_testbed: Testbed):
    class Never:
        name, trusted_isolation = "never", True

        def open(self, *_):
            raise SandboxUnavailable(("it ran again",))

    methods = {"truthful": TRUTHFUL, "confident": library_method("confident").code}
    again = run_bench(methods, [small_testbed], Never(), SEEDS)
    assert again.from_cache == 3
    first, second = ({row.method: row for row in b.rows if row.method in methods} for b in (bench, again))
    for name in methods:
        assert first[name].score.estimate == second[name].score.estimate
        np.testing.assert_array_equal(first[name].score.correct, second[name].score.correct)
    with pytest.raises(SandboxUnavailable, match="ran again"):
        run_bench({"truthful": TRUTHFUL + "\n"}, [small_testbed], Never(), SEEDS)
    with pytest.raises(SandboxUnavailable, match="ran again"):
        run_bench(methods, [small_testbed], Never(), [3, 4])


def test_a_damaged_score_is_computed_again(small_testbed: Testbed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AARLAB_DATA", str(tmp_path))
    run_bench({}, [small_testbed], default_sandbox(), [1])
    [stored] = (tmp_path / "bench").glob("*.npz")
    stored.write_bytes(stored.read_bytes()[:100])
    again = run_bench({}, [small_testbed], default_sandbox(), [1])
    assert again.from_cache == 0
    assert run_bench({}, [small_testbed], default_sandbox(), [1]).from_cache == 1


def test_tables_hold_every_method(bench):
    text = markdown(bench)
    assert text.count("\n| ") == 5  # the head and four methods
    assert json.loads(json.dumps(document(bench)))["testbeds"]["synthetic"]["methods"][0]["pgr"] > 0


@pytest.mark.parametrize("ending", ["png", "svg", "html"])
def test_figures_are_what_they_say(bench, tmp_path: Path, ending: str):
    path = tmp_path / "made" / f"forest.{ending}"
    write_figure(bench, path)
    content = path.read_bytes()
    start = {"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!doctype html>"}[ending]
    assert content.startswith(start)
    if ending != "png":
        text = content.decode()
        assert all(row.method in text for row in bench.rows)
        assert "<b>way" not in text
        assert "http://cdn" not in text
        assert "<script" not in text


def test_other_endings_are_refused(bench, tmp_path: Path):
    with pytest.raises(AarlabError, match=r"\.png"):
        write_figure(bench, tmp_path / "forest.pdf")
