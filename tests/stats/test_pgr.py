import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aarlab.stats import RESOLVED_STANDARD_ERRORS, compare_accuracy, compare_pgr, estimate_pgr


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


def test_the_gap_counts_the_ceilings_seeds_among_its_noise(rng):
    floor = draw(rng, 0.55)[0]
    steady = draw(rng, 0.8, seeds=4)
    restless = np.stack([draw(rng, accuracy)[0] for accuracy in (0.6, 0.75, 0.85, 0.99)])
    clear, unclear = (estimate_pgr(steady[:1], floor, c, groups(), rng) for c in (steady, restless))
    assert clear.gap_standard_errors > RESOLVED_STANDARD_ERRORS > unclear.gap_standard_errors
    assert unclear.pgr is None
    assert unclear.noise == {}


def test_a_gap_by_questions_equals_that_of_the_paired_comparison(rng):
    floor, ceiling = draw(rng, 0.55)[0], draw(rng, 0.8, seeds=5)
    compared = compare_accuracy(ceiling, floor, groups())
    found = estimate_pgr(ceiling, floor, ceiling, groups(), rng)
    assert found.gap == pytest.approx(compared.difference.estimate)
    assert found.gap_standard_errors == pytest.approx(compared.difference.estimate / compared.standard_error)


@pytest.mark.parametrize(
    ("seeds", "ceiling_seeds", "unmeasured"),
    [(3, 4, ()), (1, 4, ("seeds",)), (3, 1, ("ceiling_seeds",)), (1, 1, ("seeds", "ceiling_seeds"))],
)
def test_a_single_seed_is_said_to_hide_its_noise(rng, seeds, ceiling_seeds, unmeasured):
    floor, transfer, ceiling = draw(rng, 0.55)[0], draw(rng, 0.7, seeds=seeds), draw(rng, 0.8, seeds=ceiling_seeds)
    found = estimate_pgr(transfer, floor, ceiling, groups(), rng)
    assert found.unmeasured == unmeasured
    assert all(found.noise[name] == 0 for name in unmeasured)


def test_what_seeds_do_on_single_questions_is_not_counted_twice(rng):
    """Seeds that toss coins of their own on every example, without any shift, add nothing to what questions show."""
    floor, ceiling = draw(rng, 0.55)[0], draw(rng, 0.85, seeds=16)
    seeds = [estimate_pgr(draw(rng, 0.7, seeds=8), floor, ceiling, groups(), rng).noise["seeds"] for _ in range(20)]
    tossed = np.sqrt(0.7 * 0.3 / (8 * 1600)) / 0.3  # what the seeds' spread alone suggests
    assert np.mean(np.square(seeds)) < tossed**2


def test_resamples_that_do_not_bound_it_give_none(rng):
    """Two ceilings 18 points apart: one degree of freedom says next to nothing of where a third would be."""
    floor = draw(rng, 0.5, questions=4000)[0]
    ceiling = np.stack([draw(rng, accuracy, questions=4000)[0] for accuracy in (0.82, 0.9)])
    found = estimate_pgr(ceiling[:1], floor, ceiling, groups(questions=4000), rng)
    assert found.gap_standard_errors > RESOLVED_STANDARD_ERRORS
    assert found.pgr is None


def test_memory_is_bounded_without_a_trace(rng, monkeypatch):
    arrays = draw(rng, 0.7, seeds=3), draw(rng, 0.55)[0], draw(rng, 0.8, seeds=4), groups()
    whole = estimate_pgr(*arrays, np.random.default_rng(0), resamples=300).pgr
    monkeypatch.setattr("aarlab.stats._ratio.CELLS_AT_ONCE", 70 * 400)
    assert estimate_pgr(*arrays, np.random.default_rng(0), resamples=300).pgr == whole


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_order_of_questions_tells_nothing(seed: int):
    rng = np.random.default_rng(seed)
    floor, transfer, ceiling = draw(rng, 0.5, 60)[0], draw(rng, 0.7, 60, seeds=3), draw(rng, 0.95, 60, seeds=3)
    order = rng.permutation(240)
    plain = estimate_pgr(transfer, floor, ceiling, groups(60), rng, resamples=50)
    mixed = estimate_pgr(transfer[:, order], floor[order], ceiling[:, order], 7 * groups(60)[order], rng, resamples=50)
    assert mixed.gap_standard_errors == pytest.approx(plain.gap_standard_errors)
    assert mixed.noise == pytest.approx(plain.noise)
    assert (plain.pgr is None) == (mixed.pgr is None)
    assert plain.pgr is None or mixed.pgr.estimate == pytest.approx(plain.pgr.estimate)


def test_difference_of_two_methods_is_the_difference_of_their_pgr(rng):
    floor, ceiling = draw(rng, 0.55)[0], draw(rng, 0.8, seeds=16)
    first, second = draw(rng, 0.75, seeds=3), draw(rng, 0.65, seeds=4)
    found = compare_pgr(first, second, floor, ceiling, groups(), rng)
    one, other = (estimate_pgr(t, floor, ceiling, groups(), rng) for t in (first, second))
    assert found.difference.estimate == pytest.approx(one.pgr.estimate - other.pgr.estimate)
    assert (found.gap, found.gap_standard_errors) == (one.gap, one.gap_standard_errors)
    assert found.accuracy == compare_accuracy(first, second, groups())
    assert found.difference.low > 0
    assert found.accuracy.p < 0.05


def test_pairing_shortens_the_interval(rng):
    floor, ceiling, first = draw(rng, 0.55)[0], draw(rng, 0.8, seeds=16), draw(rng, 0.7)
    second = np.where(rng.random(first.shape) < 0.9, first, draw(rng, 0.7))
    found = compare_pgr(first, second, floor, ceiling, groups(), rng).difference
    alone = estimate_pgr(first, floor, ceiling, groups(), rng).pgr
    assert found.high - found.low < 0.6 * (alone.high - alone.low)


def test_exchanging_two_methods_turns_the_sign(rng):
    floor, ceiling, first, second = draw(rng, 0.55)[0], draw(rng, 0.8)[:1], draw(rng, 0.75), draw(rng, 0.7)
    found, turned = (
        compare_pgr(one, other, floor, ceiling, groups(), np.random.default_rng(0)).difference
        for one, other in ((first, second), (second, first))
    )
    assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    same = compare_pgr(first, first, floor, ceiling, groups(), rng)
    assert (same.difference.low, same.difference.high, same.accuracy.p) == (0, 0, 1)


def test_methods_are_not_compared_over_an_unresolved_gap(rng):
    floor, ceiling = draw(rng, 0.6)[0], draw(rng, 0.63, seeds=16)
    found = compare_pgr(ceiling[:3], ceiling[3:6], floor, ceiling, groups(), rng)
    assert found.difference is None
    assert 0 <= found.accuracy.p <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "seed_noise", "ceiling", "pgr"),
    [(3, 0.0, 0.8, 0.6), (3, 0.03, 0.8, 0.0), (5, 0.03, 0.8, 1.0), (3, 0.02, 0.73, 0.6)],
    ids=["steady seeds", "restless seeds", "five seeds", "a gap just resolved"],
)
def test_intervals_cover_the_truth_about_as_often_as_they_say(seeds, seed_noise, ceiling, pgr):
    """300 simulated testbeds, nominal 95%: binomial bounds at that count are 91.5% to 98.5%."""
    rng, covered, drawn = np.random.default_rng(3), 0, 0
    for _ in range(300):
        accuracies = 0.55 + pgr * (ceiling - 0.55) + seed_noise * rng.standard_normal(seeds)
        transfer = np.concatenate([draw(rng, accuracy, 300, 2) for accuracy in accuracies])
        floor, above = draw(rng, 0.55, 300, 2)[0], draw(rng, ceiling, 300, 2, seeds=6)
        found = estimate_pgr(transfer, floor, above, groups(300, 2), rng, resamples=300).pgr
        if found is not None:
            drawn += 1
            covered += found.low <= pgr <= found.high
    assert drawn > 100
    assert 0.915 <= covered / drawn <= 0.99
