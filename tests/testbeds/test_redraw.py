"""Splits drawn anew stay splits, and a secret decides them."""

from dataclasses import replace

import numpy as np
import pytest

from aarlab.students.remote import RemoteStudent
from aarlab.testbeds import SPLITS, Fitting, TestbedError, make_testbed
from aarlab.testbeds.redraw import gap_standard_errors, redraw, secret_draw

SECRET = b"sixteen bytes or more"


@pytest.fixture(scope="module")
def redrawn(small_testbed):
    return redraw(small_testbed, np.random.default_rng(1), ceiling_seeds=2)


def test_test_questions_stay_and_the_others_are_drawn_anew(small_testbed, redrawn):
    for split in ("public", "private"):
        for part in ("id", "ood"):
            assert np.array_equal(redrawn.rows(split, part), small_testbed.rows(split, part))
    for split in ("teacher", "train"):
        before, after = (np.unique(testbed.groups(split)) for testbed in (small_testbed, redrawn))
        assert len(before) == len(after)
        assert not np.array_equal(before, after)
    learnt = [np.concatenate([t.rows("teacher"), t.rows("train")]) for t in (small_testbed, redrawn)]
    assert np.array_equal(*map(np.sort, learnt))
    assert np.array_equal(redrawn.rows("train"), np.sort(redrawn.rows("train")))


def test_no_question_crosses_a_split(redrawn):
    for split in SPLITS:
        others = np.concatenate(
            [redrawn.pack.groups[rows] for (other, _), rows in redrawn.drawn.items() if other != split]
        )
        assert not np.intersect1d(redrawn.groups(split), others).size


def test_teacher_and_ceiling_are_trained_anew(small_testbed, redrawn):
    assert not np.allclose(redrawn.weak_labels, small_testbed.weak_labels)
    assert redrawn.ceiling_predictions.shape == (2, len(small_testbed.weak_labels))
    assert np.isfinite(redrawn.ceiling_predictions[:, redrawn.rows("public")]).all()
    assert redrawn.anchors("public").ceiling > redrawn.anchors("public").floor


def test_the_generator_decides(small_testbed, redrawn):
    again, other = (redraw(small_testbed, np.random.default_rng(seed), ceiling_seeds=1) for seed in (1, 2))
    assert np.array_equal(again.rows("train"), redrawn.rows("train"))
    assert np.array_equal(again.weak_labels, redrawn.weak_labels)
    assert not np.array_equal(other.rows("train"), redrawn.rows("train"))


def test_another_student_is_refused_with_advice(small_testbed):
    fitting = Fitting(RemoteStudent("openai", "any", ["forced_choice"]), {})
    with pytest.raises(TestbedError) as caught:
        redraw(replace(small_testbed, fitting=fitting), np.random.default_rng(0))
    assert "fresh seeds" in caught.value.advice


def test_the_secret_decides_the_splits(small_pack):
    first, again, other = (
        secret_draw(small_pack, secret, ceiling_seeds=2) for secret in (SECRET, SECRET, b"another secret, as long")
    )
    assert np.array_equal(first.rows("private"), again.rows("private"))
    assert np.array_equal(first.weak_labels, again.weak_labels)
    assert not np.array_equal(first.rows("private"), other.rows("private"))
    assert not np.array_equal(first.rows("private"), make_testbed(small_pack, ceiling_seeds=1).rows("private"))
    assert len(first.ceiling_predictions) == 2


def test_the_first_resolved_draw_is_taken(small_pack):
    """With a bar between the first draw and the widest of five, the first is passed over."""
    clear = []
    for tries in range(1, 6):
        try:
            testbed = secret_draw(small_pack, SECRET, standard_errors=6 + tries, ceiling_seeds=1)
        except TestbedError:
            break
        clear.append(min(gap_standard_errors(testbed).values()))
        assert clear[-1] >= 6 + tries
    assert clear
    assert clear == sorted(clear)


def test_it_gives_up_with_advice(small_pack):
    with pytest.raises(TestbedError, match="None of 2 draws") as caught:
        secret_draw(small_pack, SECRET, standard_errors=1000, tries=2, ceiling_seeds=1)
    assert "more questions" in caught.value.advice
