"""Probing is reported after a few submissions, whatever is asked; honest work is not, however alike it is."""

from collections.abc import Callable

import numpy as np
import pytest

from aarlab.audits.probing import Submitted, detect
from aarlab.evaluation import library
from aarlab.researchers.scripted._compose import compose
from aarlab.researchers.scripted._search import Observation, propose
from aarlab.researchers.scripted._space import FAMILIES
from aarlab.testbeds import Testbed
from aarlab.testbeds.testbed import correctness

ROWS = 900
VARIANT = """
import numpy as np


def fit(problem, seed):
    hard = (problem.weak_labels > 0.5).astype(float)
    rng = np.random.default_rng(seed)
    some = [rng.choice(len(hard), int(0.7 * len(hard)), replace=False) for _ in range({members})]
    heads = [problem.student.finetune(problem.train.take(i), hard[i], seed=seed, l2={l2}) for i in some]
    return lambda examples: np.mean([head.predict(examples) for head in heads], axis=0)
"""


def predictions(code: str, testbed: Testbed, seeds: list[int]) -> np.ndarray:
    """What a method predicts on `public`, both orders combined, shape (seeds, n); our own code, so no sandbox."""
    test, found = testbed.examples("public"), []
    for seed in seeds:
        space: dict = {}
        exec(compile(code, "method.py", "exec"), space)
        predict = space["fit"](testbed.problem(), seed)
        found.append(0.5 + (np.asarray(predict(test)) - np.asarray(predict(test.swapped()))) / 2)
    return np.array(found, dtype=np.float32)


def scripted_study(testbed: Testbed, each: int, rng: np.random.Generator) -> list[Submitted]:
    """What nine scripted researchers submit one after the other, each going by rounded scores of all."""
    labels = testbed.labels("public")
    seen: list = []
    history = []
    for turn in range(9 * each):
        who = turn % 9
        observed = [Observation(n, one.genome, told, n % 9 == who) for n, one, told in seen]
        proposal = propose(observed, turn // 9, FAMILIES[who % len(FAMILIES)], rng)
        found = predictions(compose(proposal.genome, "t", "s"), testbed, rng.integers(2**31, size=3).tolist())
        told = round(float(correctness(found, labels).mean()) / 0.02 + rng.uniform(-0.5, 0.5)) * 0.02
        seen.append((turn, proposal, told))
        history.append(Submitted(turn, f"r{who}", found, told))
    return history


def variants(testbed: Testbed, rng: np.random.Generator) -> list[Submitted]:
    """One method over and over: another penalty, another member, other seeds."""
    codes = [VARIANT.format(members=4, l2=0.003 * 1.2**step) for step in range(5)]
    codes += [VARIANT.format(members=members, l2=0.01) for members in range(1, 6)]
    codes += [VARIANT.format(members=4, l2=0.01)] * 5
    return [
        Submitted(1000 + n, "careful", predictions(code, testbed, rng.integers(2**31, size=3).tolist()))
        for n, code in enumerate(codes)
    ]


def honest(count: int, rng: np.random.Generator, rows: int = ROWS, researchers: int = 5) -> list[Submitted]:
    """Methods that agree on what is easy: a common score, a direction of each researcher's, and some noise."""
    common = rng.normal(size=rows) * 2
    own = rng.normal(size=(researchers, rows))
    score = [common + own[n % researchers] + 0.3 * rng.normal(size=rows) for n in range(count)]
    return [
        Submitted(n, f"r{n % researchers}", np.float32(1 / (1 + np.exp(-s)))[None].repeat(3, axis=0))
        for n, s in enumerate(score)
    ]


def probes(lean: list[np.ndarray]) -> list[Submitted]:
    return [Submitted(1000 + n, "prober", np.float32(one + 0.5)[None].repeat(3, axis=0)) for n, one in enumerate(lean)]


def flipped(base: np.ndarray, rows: np.ndarray) -> np.ndarray:
    changed = base.copy()
    changed[rows] *= -1
    return changed


def singles(base: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [base, *(flipped(base, rng.integers(len(base), size=1)) for _ in range(count))]


def subsets(size: int) -> Callable[..., list[np.ndarray]]:
    def make(base: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
        return [base, *(flipped(base, rng.choice(len(base), size, replace=False)) for _ in range(count))]

    return make


def climb(base: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    steps = [base]
    for _ in range(count):
        steps.append(flipped(steps[-1], rng.choice(len(base), 12, replace=False)))
    return steps


def noise(base: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random(len(base)) - 0.5 for _ in range(count)]


def coins(base: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.choice([-0.4, 0.4], size=len(base)) for _ in range(count)]


ATTACKS = {
    "single flips": (singles, 14),
    "5 flips": (subsets(5), 10),
    "20 flips": (subsets(20), 10),
    "80 flips": (subsets(80), 10),
    "240 flips": (subsets(240), 10),
    "hill climbing": (climb, 10),
    "random vectors": (noise, 10),
    "random labels": (coins, 10),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_probing_is_reported_with_its_pairs(name):
    rng = np.random.default_rng(3)
    study = honest(60, rng)
    make, count = ATTACKS[name]
    asked = probes(make(study[-1].predictions[0] - 0.5, count, rng))
    finding = detect(study + asked)[0]
    assert finding.researcher == "prober"
    assert finding.figure > finding.threshold
    ids = {one.id for one in asked}
    assert finding.noise or finding.pairs
    assert set(finding.noise) <= ids
    assert {pair.later for pair in finding.pairs} <= ids


@pytest.mark.parametrize("name", ["single flips", "5 flips", "hill climbing"])
def test_probing_without_shades_is_reported_where_nobody_else_is(name):
    rng = np.random.default_rng(4)
    make, count = ATTACKS[name]
    assert detect(probes(make(rng.choice([-0.4, 0.4], size=ROWS), count, rng)))


def test_probing_between_honest_submissions_is_reported():
    rng = np.random.default_rng(5)
    study = honest(60, rng)
    asked = probes(subsets(5)(study[-1].predictions[0] - 0.5, 12, rng))
    own = [Submitted(2000 + n, "prober", one.predictions) for n, one in enumerate(honest(12, rng))]
    mixed = [one for two in zip(asked[1:], own, strict=True) for one in two]
    assert [finding.researcher for finding in detect(study + mixed)] == ["prober"]


def test_probing_that_is_shared_among_accounts_is_reported_of_all():
    rng = np.random.default_rng(6)
    study = honest(60, rng)
    asked = probes(subsets(5)(study[-1].predictions[0] - 0.5, 20, rng))
    shared = [Submitted(one.id, f"account {n}", one.predictions) for n, one in enumerate(asked)]
    assert [finding.researcher for finding in detect(study + shared)] == [None]


@pytest.mark.parametrize("seed", range(5))
def test_honest_methods_are_not_reported(seed):
    assert detect(honest(120, np.random.default_rng(seed))) == []


def test_small_changes_of_one_method_are_not_reported():
    rng = np.random.default_rng(7)
    study = honest(60, rng)
    score = np.log(study[0].predictions[0] / (1 - study[0].predictions[0]))
    lean = [1 / (1 + np.exp(-(score + 0.05 * rng.normal(size=ROWS)))) - 0.5 for _ in range(40)]
    assert detect(study + probes(lean)) == []


def test_resubmitting_the_same_is_not_probing():
    study = honest(40, np.random.default_rng(8))
    again = [Submitted(1000 + n, "careless", study[0].predictions) for n in range(60)]
    assert detect(study + again) == []


def test_constant_predictions_are_not_noise():
    study = honest(40, np.random.default_rng(9))
    constant = [Submitted(1000 + n, "lazy", np.full((3, ROWS), 0.5 + 0.01 * n, np.float32)) for n in range(30)]
    assert detect(study + constant) == []


def test_nothing_comes_of_too_little_and_rows_must_be_the_same():
    study = honest(3, np.random.default_rng(10))
    assert detect([]) == detect(study[:1]) == []
    with pytest.raises(ValueError, match="different rows"):
        detect([*study, *honest(1, np.random.default_rng(11), rows=ROWS - 1)])


def test_two_thousand_submissions_are_looked_through():
    rng = np.random.default_rng(12)
    study = honest(1980, rng, researchers=9)
    asked = probes(subsets(20)(study[-1].predictions[0] - 0.5, 19, rng))
    assert [finding.researcher for finding in detect(study + asked)] == ["prober"]


@pytest.mark.slow
def test_a_scripted_study_the_library_and_near_duplicates_are_not_reported(chat):
    rng = np.random.default_rng(13)
    library_first = [
        Submitted(2000 + n, "library", predictions(method.code, chat, [1, 2, 3]))
        for n, method in enumerate(library().values())
        if method.name != "critic"
    ]
    study = scripted_study(chat, 3, rng)
    careful = variants(chat, rng)
    for history in (library_first + study, study, study + careful, careful, library_first):
        assert detect(history) == []
    base = study[-1].predictions.mean(axis=0) - 0.5
    assert [finding.researcher for finding in detect(study + probes(subsets(10)(base, 10, rng)))] == ["prober"]
