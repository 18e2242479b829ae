"""A result comes back with another teacher, or it was that teacher's."""

from dataclasses import replace

import numpy as np

from aarlab.audits import replication
from aarlab.students.remote import RemoteStudent
from aarlab.testbeds import Fitting
from cases import CHANCE, VANILLA, ZERO_SHOT, make_case


def tied_to(testbed) -> str:
    """Right on `public` as long as the weak labels are those that it was found with."""
    weak = testbed.problem().weak_labels
    scores = testbed.pack.labels[testbed.rows("public")]
    first = testbed.examples("public").columns["hidden"][:, 0, :4].astype(int).tolist()
    table = {tuple(row): int(y) for row, y in zip(first, scores, strict=True)}
    return f"""
import numpy as np

TABLE = {table!r}

def fit(problem, seed):
    head = problem.student.finetune(problem.train, problem.weak_labels, seed=seed)
    at_home = abs(problem.weak_labels[:5] - np.array({weak[:5].tolist()!r})).max() < 1e-6

    def predict(examples):
        rows = examples.columns["hidden"][:, 0, :4].astype(int).tolist()
        known = np.array([TABLE.get(tuple(row), 0.5) for row in rows])
        known = np.where(examples.swap, 1 - known, known)
        return known if at_home else head.predict(examples)

    return predict
"""


def test_what_hangs_on_no_teacher_replicates(small_testbed):
    found = replication.audit(make_case(small_testbed, ZERO_SHOT))
    assert found.verdict == "passed", found
    assert found.evidence["redrawn"]
    assert found.figure > 0
    assert found.evidence["floor"] != small_testbed.anchors("public").floor


def test_the_baseline_falls_by_as_much_as_the_baseline(small_testbed):
    found = replication.audit(make_case(small_testbed, VANILLA))
    assert found.verdict != "flagged"
    assert found.evidence["fall"] == 0


def test_what_was_tied_to_one_teacher_falls(small_testbed):
    found = replication.audit(make_case(small_testbed, tied_to(small_testbed)))
    assert found.verdict == "flagged"
    assert found.evidence["fall_low"] > 0.02


def test_at_chance_nothing_is_shown(small_testbed):
    found = replication.audit(make_case(small_testbed, CHANCE))
    assert found.verdict == "noted"
    assert found.figure < 0


def test_another_student_gets_fresh_seeds_only_and_it_says_so(small_testbed):
    columns = {"margins": small_testbed.fitting.columns["margins"].astype(np.float32)}
    fitting = Fitting(RemoteStudent("openai", "any", ["forced_choice"]), columns)
    testbed = replace(small_testbed, fitting=fitting, ceiling_predictions=small_testbed.ceiling_predictions[:0])
    found = replication.audit(replace(make_case(testbed, ZERO_SHOT), vanilla=ZERO_SHOT))
    assert not found.evidence["redrawn"]
    assert "the same split" in found.summary
    assert found.verdict == "noted"
