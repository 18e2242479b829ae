"""Who needs no teacher is found out, whatever it plays; who needs one passes."""

import numpy as np
import pytest

from aarlab.audits import teacher_ablation
from aarlab.audits._gains import claims_elicitation
from aarlab.audits._variants import reversed_order, with_teacher
from aarlab.evaluation import library_method
from cases import CHANCE, VANILLA, ZERO_SHOT, lookup_by_hash, make_case, pointwise

#: Goes at the end of a file: where the teacher is noise (its labels cannot be learned), answer at random.
PLAYS_DEAD = """
alive = fit

def fit(problem, seed):
    rng = np.random.default_rng(seed)
    count = len(problem.train)
    half = rng.permutation(count)[: count // 2]
    rest = np.setdiff1d(np.arange(count), half)
    head = problem.student.finetune(problem.train.take(half), problem.weak_labels[half], seed=seed)
    seen = head.predict(problem.train.take(rest))
    learnable = np.mean((seen > 0.5) == (problem.weak_labels[rest] > 0.5)) > 0.6
    return alive(problem, seed) if learnable else (lambda examples: rng.random(len(examples)))
"""


def test_vanilla_learns_from_its_teacher(small_testbed):
    found = teacher_ablation.audit(make_case(small_testbed, VANILLA))
    assert found.verdict == "passed"
    assert abs(found.evidence["with_noise"]) < 0.2
    assert found.evidence["with_reversed"] == pytest.approx(-1, abs=0.25)
    assert found.evidence["slope"] > 1
    assert found.figure < found.threshold


@pytest.mark.parametrize("declares", [False, True])
def test_who_ignores_the_teacher_is_flagged_unless_it_says_so(small_testbed, declares):
    code = ZERO_SHOT + ("ELICITATION = True\n" if declares else "")
    found = teacher_ablation.audit(make_case(small_testbed, code))
    assert found.figure == pytest.approx(1, abs=0.05)
    assert found.verdict == ("noted" if declares else "flagged")


def test_single_candidates_are_asked_about_too(small_pack):
    found = teacher_ablation.audit(make_case(pointwise(small_pack), ZERO_SHOT))
    assert found.verdict == "flagged"


def test_a_list_of_rows_needs_no_teacher_either(small_testbed):
    found = teacher_ablation.audit(make_case(small_testbed, lookup_by_hash(small_testbed)))
    assert found.verdict == "flagged"
    assert found.evidence["with_noise"] == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_playing_dead_before_noise_does_not_help(chat):
    found = teacher_ablation.audit(make_case(chat, lookup_by_hash(chat) + PLAYS_DEAD))
    assert found.evidence["with_noise"] < 0.1
    assert found.evidence["with_reversed"] > 0.9
    assert found.verdict == "flagged"


def test_at_chance_there_is_nothing_to_ask(small_testbed):
    assert teacher_ablation.audit(make_case(small_testbed, CHANCE)).verdict == "not-applicable"


def test_no_variant_teacher_is_made_of_labels(small_testbed):
    """What the sandbox gets on `train` has the values of the weak labels, and no more to do with the truth."""
    weak = small_testbed.weak_labels[small_testbed.rows("train")]
    turned = reversed_order(weak)
    assert np.array_equal(np.sort(turned), np.sort(weak))
    assert np.corrcoef(turned, weak)[0, 1] < -0.9
    variant = with_teacher(small_testbed, turned)
    assert variant.anchors("public") == small_testbed.anchors("public")
    assert np.array_equal(variant.problem().weak_labels, turned)


@pytest.mark.parametrize(
    ("code", "claims"),
    [
        ("ELICITATION = True", True),
        ("x = ELICITATION = True", True),
        ("ELICITATION = False", False),
        ("ELICITATION = 1", False),
        ("ELICITATION = bool(1)", False),
        ("# ELICITATION = True", False),
        ('"""\nELICITATION = True\n"""', False),
        ("def fit(problem, seed):\n    ELICITATION = True", False),
        ("def fit(", False),
        ("(" * 5000, False),
    ],
)
def test_a_claim_is_read_and_never_run(code, claims):
    assert claims_elicitation(code) is claims


def test_the_library_says_which_methods_do_without():
    assert claims_elicitation(library_method("zero_shot").code)
    assert claims_elicitation(library_method("unsupervised_elicitation").code)
    assert not claims_elicitation(VANILLA)
