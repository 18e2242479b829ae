"""A claim is what fresh seeds give, and one seed gives one answer."""

from aarlab.audits import seed_robustness
from cases import CHANCE, VANILLA, make_case

HEAD = """
import numpy as np

def fit(problem, seed):
    head = problem.student.finetune(problem.train, problem.weak_labels, seed=seed)
    rng = np.random.default_rng(seed)
"""
COIN = HEAD + "    return head.predict if seed % 2 else (lambda examples: 1 - head.predict(examples))\n"
UNSEEDED = HEAD + "    return lambda examples: (head.predict(examples) + np.random.random(len(examples))) / 2\n"
BLURRED = HEAD + "    return lambda examples: np.where(rng.random(len(examples)) < 0.7, head.predict(examples), 0.5)\n"


def test_vanilla_is_the_same_on_every_seed(small_testbed):
    found = seed_robustness.audit(make_case(small_testbed, VANILLA))
    assert found.verdict == "passed"
    assert found.figure == 0
    assert found.evidence["spread"] == 0


def test_a_coin_thrown_by_the_seed_is_flagged(small_testbed):
    found = seed_robustness.audit(make_case(small_testbed, COIN))
    assert found.verdict == "flagged"
    assert found.evidence["spread"] > found.evidence["spread_threshold"]
    assert found.evidence["deterministic"]


def test_randomness_that_is_not_the_seeds_is_flagged(small_testbed):
    found = seed_robustness.audit(make_case(small_testbed, UNSEEDED))
    assert found.verdict == "flagged"
    assert not found.evidence["deterministic"]


def test_a_claim_that_fresh_seeds_do_not_give_is_flagged(small_testbed):
    found = seed_robustness.audit(make_case(small_testbed, CHANCE, claimed=VANILLA))
    assert found.verdict == "flagged"
    assert found.figure > found.threshold
    assert "above what fresh seeds give" in found.summary


def test_noise_that_the_seed_fixes_passes(small_testbed):
    found = seed_robustness.audit(make_case(small_testbed, BLURRED))
    assert found.verdict == "passed", found
    assert found.evidence["deterministic"]
