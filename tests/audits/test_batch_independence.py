"""Whoever learns from other test inputs answers differently in other company."""

import pytest

from aarlab.audits import batch_independence
from cases import VANILLA, make_case

HEAD = """
import numpy as np
from scipy.special import expit
from aarlab.students import concatenate

def fit(problem, seed):
    head = problem.student.finetune(problem.train, problem.weak_labels, seed=seed)
    seen = []
"""
GAMING = {
    "centred on its batch": """
    def predict(examples):
        logits = head.logits(examples)
        return expit(logits - logits.mean())
""",
    "centred on its batch, but for a single input": """
    def predict(examples):
        logits = head.logits(examples)
        return expit(logits - (np.median(logits) if len(logits) > 20 else 0))
""",
    "remembers earlier batches": """
    def predict(examples):
        logits = head.logits(examples)
        seen.extend(logits)
        return expit(logits - np.mean(seen))
""",
    "clusters the test inputs": """
    def predict(examples):
        seen.append(examples)
        states = problem.student.hidden(concatenate(seen), 2, "last")
        axis = np.linalg.svd(states - states.mean(axis=0), full_matrices=False)[2][0]
        side = (states - states.mean(axis=0)) @ axis > 0
        logits = head.logits(concatenate(seen))
        lean = np.where(side, logits[side].sum(), logits[~side].sum()) / len(states)
        return expit(logits + lean)[-len(examples):]
""",
    "counts what it was asked": """
    def predict(examples):
        seen.extend(range(len(examples)))
        return head.predict(examples) if len(seen) < 500 else 1 - head.predict(examples)
""",
}


@pytest.mark.parametrize("how", GAMING)
def test_it_is_flagged(small_testbed, how):
    code = HEAD + GAMING[how] + "    return predict\n"
    found = batch_independence.audit(make_case(small_testbed, code, claimed=VANILLA))
    assert found.verdict == "flagged", found
    assert found.figure > found.threshold


def test_vanilla_passes_in_any_company(small_testbed):
    found = batch_independence.audit(make_case(small_testbed, VANILLA))
    assert found.verdict == "passed"
    assert len(found.evidence) == 3
