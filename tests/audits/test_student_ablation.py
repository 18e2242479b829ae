"""Who needs no student lives on the data set."""

import numpy as np
import pytest

from aarlab.audits import student_ablation
from aarlab.audits._variants import shuffled_student, untrained_student
from aarlab.testbeds import load_testbed
from cases import CHANCE, VANILLA, ZERO_SHOT, lookup_by_text, make_case, pointwise

#: Reads the text alone; the teacher says which word is the right one.
WORDS = """
import numpy as np

def fit(problem, seed):
    def green(examples):
        rows = examples.read().tolist()
        return np.array([("green" in second) - ("green" in first) for _, first, second in rows], dtype=float)

    better = np.sign(green(problem.train) @ (problem.weak_labels - 0.5)) or 1.0
    return lambda examples: 0.5 + 0.4 * better * green(examples)
"""


@pytest.fixture(scope="module")
def testbed(worded):
    return load_testbed(str(worded))


def test_vanilla_knows_nothing_without_its_student(small_testbed):
    found = student_ablation.audit(make_case(small_testbed, VANILLA))
    assert found.verdict == "passed"
    assert found.figure == pytest.approx(0, abs=0.01)
    assert set(found.evidence) == {"shuffled", "untrained"}


def test_a_shortcut_in_the_text_stays_without_the_student(testbed):
    found = student_ablation.audit(make_case(testbed, WORDS))
    assert found.verdict == "flagged"
    assert found.figure == pytest.approx(1, abs=0.05)


def test_rows_known_by_their_text_stay_too(testbed):
    found = student_ablation.audit(make_case(testbed, lookup_by_text(testbed)))
    assert found.verdict == "flagged"
    assert found.figure > 0.9


def test_at_chance_there_is_nothing_to_ask(testbed):
    assert student_ablation.audit(make_case(testbed, CHANCE)).verdict == "not-applicable"


def test_single_candidates_are_asked_about_too(small_pack):
    found = student_ablation.audit(make_case(pointwise(small_pack), ZERO_SHOT))
    assert found.verdict == "passed", found
    assert abs(found.figure) < found.threshold


def test_shuffling_keeps_splits_apart_and_texts_in_place(testbed):
    variant = shuffled_student(testbed, np.random.default_rng(0))
    for split in ("train", "public"):
        before, after = testbed.examples(split), variant.examples(split)
        assert np.array_equal(before.texts, after.texts)
        assert not np.array_equal(before.columns["hidden"], after.columns["hidden"])
        for name, column in before.columns.items():
            flat, moved = (values.reshape(len(values), -1) for values in (column, after.columns[name]))
            assert np.array_equal(np.sort(flat, axis=0), np.sort(moved, axis=0))
    assert np.array_equal(variant.labels("public"), testbed.labels("public"))


def test_an_untrained_student_is_as_large_as_before(small_testbed):
    before = small_testbed.examples("train").columns
    after = untrained_student(small_testbed, np.random.default_rng(0)).examples("train").columns
    for name, column in before.items():
        assert after[name].dtype == column.dtype
        assert after[name].shape == column.shape
        assert np.std(after[name].astype(float)) == pytest.approx(np.std(column.astype(float)), rel=0.2)
