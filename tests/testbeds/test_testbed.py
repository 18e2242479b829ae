import numpy as np
import pytest

from aarlab.testbeds import SCORED, SPLITS, TestbedError, correctness, load_testbed, make_testbed


def test_no_question_crosses_a_split(chat):
    for split in SPLITS:
        others = np.concatenate([chat.pack.groups[rows] for (other, _), rows in chat.drawn.items() if other != split])
        assert not np.intersect1d(chat.groups(split), others).size
    assert sum(len(rows) for rows in chat.drawn.values()) == chat.pack.manifest.examples


@pytest.mark.parametrize("split", SCORED)
def test_the_gap_is_wide_and_clear_of_its_noise(chat, split):
    estimate = chat.estimate(split, chat.ceiling_correct(split))
    assert estimate.gap >= 0.15
    assert estimate.gap_standard_errors >= 6


def test_stored_floor_and_ceiling_are_what_the_pack_gives(chat):
    """Recomputed from scratch; float16 storage may flip a prediction that lies at 1/2."""
    again = make_testbed(chat.pack, ceiling_seeds=1)
    np.testing.assert_allclose(again.weak_labels, chat.weak_labels, atol=1e-6)
    for split in SCORED:
        assert again.anchors(split).floor == chat.anchors(split).floor
        assert again.anchors(split).ceiling == pytest.approx(chat.anchors(split).ceiling, abs=0.003)


def test_sides_are_balanced_and_say_nothing(chat):
    labels = chat.pack.labels
    assert abs(labels.mean() - 0.5) < 3 * 0.5 / np.sqrt(len(labels))


def test_examples_carry_no_label_and_no_question_but_on_train(chat):
    assert set(chat.examples("public").columns) == {"hidden", "margins", "logprob"}
    assert chat.examples("public").groups is None
    train = chat.examples("train").groups
    assert train.min() == 0
    assert train.max() == len(np.unique(train)) - 1


def test_another_draw_is_another_testbed(small_pack):
    first, second = (make_testbed(small_pack, draw, ceiling_seeds=1) for draw in (1, 2))
    assert not np.array_equal(first.rows("private"), second.rows("private"))


def test_correctness_counts_a_tie_as_half():
    right = correctness(np.array([0.9, 0.5, 0.1]), np.array([1, 1, 1]))
    assert right.tolist() == [1.0, 0.5, 0.0]


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(TestbedError, match="chat"):
        load_testbed("chess")
