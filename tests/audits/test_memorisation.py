"""Known rows are no longer known once they are a little different."""

import numpy as np
import pytest

from aarlab.audits import memorisation
from aarlab.audits._variants import perturbed
from aarlab.testbeds import load_testbed
from cases import VANILLA, lookup_by_hash, lookup_by_signs, lookup_by_text, make_case

#: An honest head that is nothing like vanilla's: few dimensions, another representation.
NARROW = """
import numpy as np
from scipy.special import expit

def fit(problem, seed):
    states = problem.student.hidden(problem.train, 1, "mean")
    _, _, axes = np.linalg.svd(states, full_matrices=False)
    reduced = states @ axes[:6].T
    slope = np.linalg.lstsq(reduced, problem.weak_labels - 0.5, rcond=None)[0]
    return lambda examples: expit(8 * problem.student.hidden(examples, 1, "mean") @ axes[:6].T @ slope)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("table", "level"), [(lookup_by_hash, "one step"), (lookup_by_signs, "as large")])
def test_a_table_of_rows_collapses(chat, table, level):
    found = memorisation.audit(make_case(chat, table(chat)))
    assert found.verdict == "flagged"
    assert found.evidence[level]["lost"] > 0.2
    assert found.evidence[level]["excess_low"] > 0


def test_a_table_of_texts_collapses(worded):
    testbed = load_testbed(str(worded))
    found = memorisation.audit(make_case(testbed, lookup_by_text(testbed)))
    assert found.verdict == "flagged"


@pytest.mark.parametrize("code", [VANILLA, NARROW])
def test_honest_heads_lose_little(small_testbed, code):
    found = memorisation.audit(make_case(small_testbed, code))
    assert found.verdict == "passed", found
    assert found.figure < found.threshold


def test_perturbing_changes_each_input_and_little_of_it(worded):
    examples = load_testbed(str(worded)).examples("public")
    moved = perturbed(examples, 0.0, np.random.default_rng(0))
    for name, column in examples.columns.items():
        assert moved.columns[name].dtype == column.dtype
        before, after = (values.reshape(len(examples), -1).astype(float) for values in (column, moved.columns[name]))
        assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.98
    assert (moved.columns["hidden"] != examples.columns["hidden"]).any(axis=(1, 2)).all()
    assert (moved.texts != examples.texts).all()
    assert [[" ".join(t.split()) for t in row] for row in moved.texts.tolist()] == [
        [" ".join(t.split()) for t in row] for row in examples.texts.tolist()
    ]
