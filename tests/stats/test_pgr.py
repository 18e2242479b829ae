import numpy as np
import pytest

from aarlab.stats import estimate_pgr


def draw(rng, accuracy, questions=400, per_question=4, seeds=1):
    """Correctness with that accuracy in the population of questions, examples of a question alike."""
    p = rng.beta(2 * accuracy, 2 * (1 - accuracy), size=questions)
    return (rng.random((seeds, questions * per_question)) < np.repeat(p, per_question)).astype(float)


def groups(questions=400, per_question=4):
    return np.repeat(np.arange(questions), per_question)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_vanishes_at_the_floor_and_is_one_at_the_ceiling(rng):
    floor, ceiling = draw(rng, 0.55)[0], draw(rng, 0.8, seeds=16)
    at_floor = estimate_pgr(floor[None], floor, ceiling, groups(), rng)
    at_ceiling = estimate_pgr(ceiling, floor, ceiling, groups(), rng)
    assert at_floor.pgr.estimate == pytest.approx(0)
    assert at_floor.noise["questions"] == pytest.approx(0, abs=1e-12)
    assert at_ceiling.pgr.estimate == pytest.approx(1)


def test_point_estimate_is_the_definition(rng):
    floor, transfer, ceiling = draw(rng, 0.55)[0], draw(rng, 0.7, seeds=3), draw(rng, 0.8, seeds=16)
    expected = (transfer.mean() - floor.mean()) / (ceiling.mean() - floor.mean())
    assert estimate_pgr(transfer, floor, ceiling, groups(), rng).pgr.estimate == pytest.approx(expected)


def test_an_unresolved_gap_gives_no_pgr(rng):
    floor, ceiling = draw(rng, 0.6)[0], draw(rng, 0.63, seeds=16)
    estimate = estimate_pgr(ceiling[:3], floor, ceiling, groups(), rng)
    assert estimate.pgr is None
    assert estimate.gap_standard_errors < 6


def test_seed_noise_widens_the_interval(rng):
    floor, ceiling = draw(rng, 0.55)[0], draw(rng, 0.8, seeds=16)
    same = np.repeat(draw(rng, 0.7), 3, axis=0)
    spread = np.stack([draw(rng, accuracy)[0] for accuracy in (0.62, 0.7, 0.78)])
    steady, shaky = (estimate_pgr(t, floor, ceiling, groups(), rng) for t in (same, spread))
    assert steady.noise["seeds"] == pytest.approx(0, abs=1e-12)
    assert shaky.noise["seeds"] > 0.05
    assert shaky.pgr.high - shaky.pgr.low > steady.pgr.high - steady.pgr.low


def test_questions_are_the_unit_not_examples(rng):
    """Copying every example ten times adds no evidence, so the interval must not shrink."""
    floor, transfer, ceiling = draw(rng, 0.55)[0], draw(rng, 0.7), draw(rng, 0.8, seeds=4)
    once = estimate_pgr(transfer, floor, ceiling, groups(), np.random.default_rng(1))
    many = estimate_pgr(
        np.repeat(transfer, 10, axis=1),
        np.repeat(floor, 10),
        np.repeat(ceiling, 10, axis=1),
        np.repeat(groups(), 10),
        np.random.default_rng(1),
    )
    assert many.pgr.high - many.pgr.low == pytest.approx(once.pgr.high - once.pgr.low)


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """200 simulated testbeds, nominal 95%: binomial bounds at that count are 91% to 98%."""
    rng, covered, trials = np.random.default_rng(3), 0, 200
    for _ in range(trials):
        floor, ceiling, transfer = draw(rng, 0.55)[0], draw(rng, 0.8, seeds=4), draw(rng, 0.7, seeds=3)
        pgr = estimate_pgr(transfer, floor, ceiling, groups(), rng, resamples=400).pgr
        covered += pgr.low <= (0.7 - 0.55) / (0.8 - 0.55) <= pgr.high
    assert 0.91 <= covered / trials <= 0.985
