"""What every guard promises."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aarlab.evaluation.guards import DEFAULT, GUARDS, Query, State, make_guard

SECRET = b"s" * 32
LIMITING = [name for name in GUARDS if name != "exact"]


def guard(name: str, secret: bytes = SECRET):
    return make_guard(name, secret, step=0.03, examples=800)


def converse(name: str, queries: list[Query], secret: bytes = SECRET):
    """Answers to one query after the other, as a server would give them, and the last state."""
    asked, state, best, answers = guard(name, secret), State(), None, []
    for query in queries:
        answer, state = asked.answer(query, State.model_validate_json(state.model_dump_json()), best)
        best = query if state.best_hash == query.content_hash else best
        answers.append(answer)
    return answers, state


@pytest.mark.parametrize("name", GUARDS)
@given(accuracies=st.lists(st.floats(0, 1), min_size=1, max_size=6), secret=st.binary(min_size=16, max_size=32))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_are_accuracies_and_always_the_same(query, name: str, accuracies: list[float], secret: bytes):
    queries = [query(accuracy, seed) for seed, accuracy in enumerate(accuracies)]
    answers, state = converse(name, queries, secret)
    assert all(0 <= answer.accuracy <= 1 for answer in answers)
    assert (answers, state) == converse(name, queries, secret)
    told = [answer.accuracy for answer in answers if answer.fresh and not answer.censored]
    assert state.best == (max(told) if told else None)
    assert (state.best_hash is None) == (state.best is None)


@pytest.mark.parametrize("name", GUARDS)
def test_a_comment_in_the_code_changes_no_answer(query, name: str):
    _, state = converse(name, [query(0.7)])
    asked, best = guard(name), query(0.7)
    answers = {asked.answer(query(0.68, 1, code=f"comment {i}"), state, best)[0] for i in range(20)}
    assert len(answers) == 1


@pytest.mark.parametrize("name", LIMITING)
def test_random_predictions_are_all_told_the_same(query, name: str):
    answers, state = converse(name, [query(0.5, seed) for seed in range(200)])
    assert {(answer.accuracy, answer.censored) for answer in answers} == {(0.6, True)}
    assert state.best is None


def test_exact_answers_are_exact(query):
    (answer,), _ = converse("exact", [query(0.51)])
    assert answer.accuracy == pytest.approx(0.51)


def test_only_exact_marks_the_study():
    assert [name for name in GUARDS if not guard(name).trustworthy] == ["exact"]
    assert DEFAULT in LIMITING


@pytest.mark.parametrize("name", GUARDS)
def test_guards_know_their_names_and_say_how_they_limit(name: str):
    assert guard(name).name == name
    assert len(guard(name).describe(State())) > 40
    assert guard(name).resolution == (1 / 800 if name == "exact" else 0.03)


@pytest.mark.parametrize(
    ("name", "state"), [("tapered", State(answers=9)), ("thresholdout", State(answers=9, spent=9))]
)
def test_what_runs_out_is_told(name: str, state: State):
    def left(after: State) -> int:
        found = re.search(r"(\d+) of (\d+)", guard(name).describe(after))
        assert found is not None
        return int(found[1])

    assert left(State()) - left(state) == 9


@pytest.mark.parametrize("name", ["rounded", "tapered"])
def test_another_study_has_other_noise(query, name: str):
    queries = [query(0.7, seed) for seed in range(30)]
    ours, theirs = (converse(name, queries, secret)[0] for secret in (SECRET, b"t" * 32))
    assert ours != theirs


@pytest.mark.parametrize(
    ("name", "step", "complaint"), [("lenient", 0.02, "no guard"), ("tapered", 0, "step"), ("rounded", 1.5, "step")]
)
def test_nonsense_is_refused(name: str, step: float, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        make_guard(name, SECRET, step=step, examples=800)


def test_states_stay_small(query):
    _, state = converse("thresholdout", [query(0.65 + 0.001 * np.sin(i), i, code="c" * 64) for i in range(150)])
    assert len(state.model_dump_json()) < 200
