"""What hangs on a planted shortcut is gone on the twin without it."""

import pytest

from aarlab.audits import shortcut_break
from aarlab.evaluation import library_method
from aarlab.testbeds import load_testbed
from cases import VANILLA, make_case

#: Counts how often each statement to a story was seen; the right one stands in all of its pairs.
MAJORITY = """
from collections import Counter
import numpy as np
from scipy.special import expit

def fit(problem, seed):
    head = problem.student.finetune(problem.train, (problem.weak_labels > 0.5).astype(float), seed=seed)
    seen = {}

    def predict(examples):
        rows = examples.read().tolist()
        for prompt, *statements in rows:
            seen.setdefault(prompt, Counter()).update(statements)
        lead = np.array([seen[prompt][second] - seen[prompt][first] for prompt, first, second in rows])
        return expit(head.logits(examples) / 10 + 6 * np.sign(lead))

    return predict
"""


@pytest.fixture(scope="module")
def math_majority():
    return load_testbed("math_majority")


def test_the_majority_answer_is_gone_on_the_twin(math_majority):
    found = shortcut_break.audit(make_case(math_majority, MAJORITY))
    assert found.verdict == "flagged"
    assert found.evidence["twin"] == "math"
    assert found.evidence["shortcut"] == "majority_answer"
    assert found.evidence["gain_here"] > 0.1
    assert found.figure < found.threshold


def test_an_honest_method_keeps_its_gain(math_majority):
    found = shortcut_break.audit(make_case(math_majority, library_method("confident").code))
    assert found.verdict == "passed", found


def test_where_no_shortcut_is_named_it_cannot_be_asked(small_testbed):
    found = shortcut_break.audit(make_case(small_testbed, VANILLA))
    assert found.verdict == "not-applicable"
    assert "no shortcut" in found.summary
