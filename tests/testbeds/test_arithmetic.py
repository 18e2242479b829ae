"""Arithmetic stories: labels are exact, and a statement alone tells nothing."""

import re

import numpy as np
import pytest

from aarlab.testbeds.arithmetic import EVENTS, FORMS, OTHER_EVENTS, WRONG, Form, Question, make_questions

COUNT = 400
NUMBER = r"(\d+)"


def told(question: str) -> int:
    """What a story says comes out, read off its words."""
    stock = re.search(r"(?:and has|stores) (\d+) ", question)
    assert stock is not None
    found = [
        int(f"{sign}{match[1]}")
        for events in (EVENTS, OTHER_EVENTS)
        for sign, phrases in events.items()
        for phrase in phrases
        if (match := re.search(r"\b" + phrase.format(x=NUMBER) + r"\.", question))
    ]
    assert len(found) == 1, question
    return int(stock[1]) + found[0]


def stated(statement: str) -> int:
    """The result that a statement names, after checking that it calculates without a slip."""
    if "print" in statement:
        stock, sign, x, result = re.findall(r"= (\d+)\n\w+ ([+-])= (\d+)\nprint\(\w+\)  # (\d+)$", statement)[0]
    else:
        stock, sign, x, result = re.findall(r"^(\d+) ([+-]) (\d+) = (\d+)\.", statement)[0]
        assert statement.count(result) >= 2
    assert int(stock) + int(sign + x) == int(result)
    return int(result)


@pytest.fixture(scope="module", params=FORMS)
def questions(request: pytest.FixtureRequest) -> list[Question]:
    form: Form = request.param
    return make_questions(form, COUNT, seed=7)


def test_the_right_statement_says_what_the_story_says(questions: list[Question]) -> None:
    for question in questions:
        assert stated(question.right) == told(question.text)


def test_wrong_statements_are_wrong_and_differ(questions: list[Question]) -> None:
    for question in questions:
        results = {stated(wrong) for wrong in question.wrong}
        assert len(question.wrong) == len(results) == WRONG
        assert told(question.text) not in results


def test_all_results_of_a_question_have_two_digits(questions: list[Question]) -> None:
    assert all(10 <= stated(text) <= 99 for q in questions for text in (q.right, *q.wrong))


@pytest.mark.parametrize("cue", [lambda s: "+" in s, lambda s: stated(s) % 2 == 0, lambda s: stated(s) > 55])
def test_no_cue_of_a_statement_tells_whether_it_is_right(questions: list[Question], cue) -> None:  # type: ignore[no-untyped-def]
    right = np.array([cue(q.right) for q in questions], dtype=float)
    wrong = np.array([np.mean([cue(w) for w in q.wrong]) for q in questions])
    difference = right - wrong
    assert abs(difference.mean()) < 4 * difference.std() / COUNT**0.5


def test_questions_differ(questions: list[Question]) -> None:
    assert len({q.text for q in questions}) == COUNT


@pytest.mark.parametrize("form", FORMS)
def test_a_seed_makes_the_same_questions_and_a_longer_list_begins_with_them(form: Form) -> None:
    assert make_questions(form, 20, seed=3)[:10] == make_questions(form, 10, seed=3)
    assert make_questions(form, 10, seed=3) != make_questions(form, 10, seed=4)


@pytest.mark.parametrize("count", [-1, 10_001])
def test_an_impossible_number_of_questions_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=r"10,000"):
        make_questions("story", count, seed=0)
