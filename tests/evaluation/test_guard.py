"""What the guard promises, and the attack that it is there for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aarlab.evaluation.guard import RoundedGuard

SECRET = b"s" * 32
ACCURACY = st.floats(0, 1)


@given(ACCURACY, st.text(min_size=1), st.binary(min_size=16, max_size=32))
def test_answers_lie_on_the_grid_next_to_the_truth(accuracy: float, code: str, secret: bytes):
    guard = RoundedGuard(secret)
    answer = guard.answer(accuracy, code)
    assert 0 <= answer <= 1
    assert abs(answer - accuracy) < guard.resolution + 1e-9
    assert answer / guard.resolution == pytest.approx(round(answer / guard.resolution))
    assert guard.answer(accuracy, code) == answer


@given(st.integers(0, 50))
def test_what_lies_on_the_grid_stays(step: int):
    assert RoundedGuard(SECRET).answer(step * 0.02, "code") == pytest.approx(step * 0.02)


def test_the_mean_is_right():
    guard = RoundedGuard(SECRET)
    answers = [guard.answer(0.713, str(i)) for i in range(4000)]
    assert np.mean(answers) == pytest.approx(0.713, abs=0.001)
    assert {round(a, 2) for a in answers} == {0.70, 0.72}


def test_another_secret_gives_other_answers():
    ours, theirs = RoundedGuard(SECRET), RoundedGuard(b"t" * 32)
    assert any(ours.answer(0.71, str(i)) != theirs.answer(0.71, str(i)) for i in range(64))


@pytest.mark.parametrize("resolution", [0, -0.1, 1.5])
def test_resolution_must_make_sense(resolution: float):
    with pytest.raises(ValueError, match="resolution"):
        RoundedGuard(SECRET, resolution)


def test_single_flips_do_not_read_labels():
    """Flip a prediction, ask again, read its label off the change: exact scores tell all, the guard next to nothing."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=900)
    base = rng.integers(2, size=900)
    guard = RoundedGuard(SECRET)

    def read(answer) -> float:
        before = answer(np.mean(base == labels), "base")
        right = 0.0
        for i in range(len(labels)):
            flipped = base.copy()
            flipped[i] ^= 1
            change = answer(np.mean(flipped == labels), f"flip {i}") - before
            guess = flipped[i] if change > 0 else base[i] if change < 0 else rng.integers(2)
            right += guess == labels[i]
        return right / len(labels)

    assert read(lambda accuracy, _: accuracy) == 1.0
    assert read(guard.answer) < 0.56  # .5 is guessing, standard error .017
