"""The step is known before there is any method."""

from dataclasses import replace

import numpy as np
import pytest

from aarlab.evaluation.guards import step_for
from aarlab.stats import compare_accuracy
from aarlab.testbeds import Testbed


def test_the_step_is_about_two_standard_errors_between_methods(chat: Testbed):
    """Against a real pair: the ceiling, and the student that was trained on weak labels."""
    train, public = chat.examples("train"), chat.examples("public")
    weak = chat.weak_labels[chat.rows("train")]
    predictions = [chat.student.finetune(train, weak > 0.5, seed=0), chat.student.finetune(train, weak, seed=1, l2=1.0)]
    right = [((p.predict(public) > 0.5) == chat.labels("public")).astype(float)[None] for p in predictions]
    error = compare_accuracy(*right, chat.groups("public")).standard_error
    assert 0.5 < step_for(chat) / (2 * error) < 2


@pytest.mark.parametrize("trained", [True, False])
def test_the_step_is_a_round_figure_with_or_without_a_ceiling(small_testbed: Testbed, trained: bool):
    testbed = small_testbed
    if not trained:
        testbed = replace(testbed, ceiling_predictions=np.empty((0, len(testbed.weak_labels))))
    step = step_for(testbed)
    assert step / 0.005 == pytest.approx(round(step / 0.005))
    assert 0.01 < step < 0.2


def test_more_questions_allow_a_finer_step(small_testbed: Testbed):
    rows = small_testbed.rows("public")
    few = replace(small_testbed, drawn={**small_testbed.drawn, ("public", "id"): rows[: len(rows) // 4]})
    assert step_for(few) > step_for(small_testbed)
