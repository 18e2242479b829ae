import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aarlab.stats import compare_accuracy, minimum_detectable_effect, question_sd, required_questions

ERRORS, SHARES = st.floats(1e-4, 1), st.floats(0.01, 0.99)


def test_the_textbook_factor():
    """1.96 + 0.84 standard errors at 5% and 80%."""
    assert minimum_detectable_effect(0.01) == pytest.approx(0.0280, abs=1e-4)
    assert minimum_detectable_effect(0.01, alpha=0.01, power=0.9) == pytest.approx(0.0386, abs=1e-4)


def test_questions_by_hand():
    """A difference of 3 points between methods that disagree on a fifth of 400 questions, one row each."""
    sd = question_sd(0.2)
    assert sd == pytest.approx(np.sqrt(0.2))
    assert required_questions(0.03, sd) == int(np.ceil(0.2 * (2.8016 / 0.03) ** 2))


@pytest.mark.parametrize(
    ("rows", "correlation", "expected"), [(1, 0.5, 0.2), (4, 0, 0.05), (4, 1, 0.2), (4, 0.5, 0.125)]
)
def test_rows_of_a_question_help_as_far_as_they_differ(rows, correlation, expected):
    assert question_sd(0.2, rows=rows, correlation=correlation) ** 2 == pytest.approx(expected)


@settings(deadline=None)  # a busy machine is no failure
@given(ERRORS, ERRORS)
def test_a_larger_error_hides_more(small: float, large: float):
    small, large = sorted((small, large))
    assert minimum_detectable_effect(small) <= minimum_detectable_effect(large)


@settings(deadline=None)  # a busy machine is no failure
@given(SHARES, SHARES)
def test_more_power_needs_a_larger_effect(some: float, more: float):
    some, more = sorted((0.05 + some * 0.94, 0.05 + more * 0.94))
    assert minimum_detectable_effect(0.1, power=some) <= minimum_detectable_effect(0.1, power=more)


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(0.005, 0.5), st.floats(0.05, 1))
def test_so_many_questions_are_enough_and_one_less_is_not(effect: float, sd: float):
    needed = required_questions(effect, sd)
    assert minimum_detectable_effect(sd / np.sqrt(needed)) <= effect * (1 + 1e-9)
    if needed > 2:
        assert minimum_detectable_effect(sd / np.sqrt(needed - 1)) > effect * (1 - 1e-6)


def test_questions_do_not_make_up_for_seeds():
    assert required_questions(0.03, 0.4, seed_error=0.02) is None
    assert required_questions(0.03, 0.4, seed_error=0.005) > required_questions(0.03, 0.4)
    assert required_questions(-0.03, 0.4) == required_questions(0.03, 0.4)


def test_a_pilot_gives_what_planning_asks_for():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 3)
    pilot = compare_accuracy(rng.random((3, 600)), rng.random((2, 600)) + np.array([[0.0], [0.3]]), groups)
    whole = np.hypot(pilot.question_sd / np.sqrt(pilot.questions), pilot.seed_error)
    assert whole == pytest.approx(pilot.standard_error)
    assert pilot.seed_error > 0.1


@pytest.mark.slow
def test_planned_power_is_reached():
    """Methods of accuracy .6 and .65 that fail independently; 300 experiments, binomial SE .023."""
    rng, found, trials = np.random.default_rng(4), 0, 300
    needed = required_questions(0.05, question_sd(0.65 * 0.4 + 0.35 * 0.6), power=0.8)
    for _ in range(trials):
        first, second = rng.random((1, needed)) < 0.65, rng.random((1, needed)) < 0.6
        found += compare_accuracy(first.astype(float), second.astype(float), np.arange(needed)).p < 0.05
    assert 0.73 < found / trials < 0.87


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: minimum_detectable_effect(-0.1),
        lambda: minimum_detectable_effect(0.1, alpha=0.0),
        lambda: minimum_detectable_effect(0.1, alpha=0.3, power=0.2),
        lambda: minimum_detectable_effect(0.1, power=1.0),
        lambda: required_questions(0.0, 0.4),
        lambda: required_questions(0.1, -0.4),
        lambda: question_sd(1.2),
        lambda: question_sd(0.2, rows=0),
        lambda: question_sd(0.2, rows=3, correlation=-0.1),
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"negative|alpha|zero|row"):
        wrong()
