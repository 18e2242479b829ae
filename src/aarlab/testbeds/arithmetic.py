"""Arithmetic stories with one right and three wrong statements each, made from a seed.

Labels are exact and no source file is needed: the same seed gives the same text on any machine.

A story names a stock, what is added to it or taken from it, and a number of no importance. The
right statement uses the right sign and the right number; the wrong ones take the other sign, the
other number, or both, and calculate without a slip. So a statement alone tells nothing: both signs
are right equally often, both numbers stand in the question, and all results have two digits. A
plain slip ("81 - 3 = 68") would not do: a small language model's hidden states do not show it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np

Form = Literal["story", "other_story", "program"]
FORMS: tuple[Form, ...] = get_args(Form)
WRONG = 3  # wrong statements to a question: other sign, other number, both

NAMES = ("Tom", "Anna", "Ravi", "Mia", "Omar", "Lucy", "Jack", "Nina", "Paul", "Sara", "Ken", "Ella")
THINGS = ("apples", "coins", "stamps", "cards", "books", "pens", "shells", "marbles", "eggs", "beads")
OTHER_THINGS = ("tickets", "bricks", "seeds", "plates", "stickers", "lemons", "candles", "bolts")
EVENTS = {
    "+": (
        "buys {x}",
        "finds {x}",
        "wins {x} in a game",
        "gets {x} from a friend",
        "picks up {x}",
        "makes {x}",
        "borrows {x} from a neighbour",
        "receives {x} as a gift",
        "collects {x}",
        "earns {x}",
        "brings home {x}",
        "inherits {x}",
    ),
    "-": (
        "sells {x}",
        "loses {x}",
        "gives {x} to a friend",
        "drops {x} in a river",
        "breaks {x}",
        "lends {x} to a neighbour",
        "throws away {x}",
        "wastes {x}",
        "leaves {x} on a bus",
        "donates {x}",
        "uses up {x}",
        "gets rid of {x}",
    ),
}
# Numbers that have nothing to do with the question.
ASIDES = (
    "is {other} years old",
    "has {other} cousins",
    "lives in house {other}",
    "sits in row {other}",
    "waits for bus {other}",
    "speaks to {other} people",
)
OTHER_ASIDES = (
    "with {other} windows",
    "in street {other}",
    "with {other} lamps",
    "open for {other} hours",
)
OTHER_EVENTS = {
    "+": (
        "{x} more arrive",
        "a van delivers {x}",
        "{x} are put on top",
        "the owner stocks another {x}",
        "{x} extra ones turn up",
        "a second box with {x} is opened",
        "{x} come back from repair",
        "a factory supplies {x}",
    ),
    "-": (
        "{x} are stolen",
        "customers take {x}",
        "{x} fall down and crack",
        "{x} go missing",
        "the owner discards {x}",
        "a fire destroys {x}",
        "{x} are shipped off",
        "mice spoil {x}",
    ),
}


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        text: the question.
        right: a right statement.
        wrong: wrong statements, all different.
    """

    text: str
    right: str
    wrong: tuple[str, ...]


def make_questions(form: Form, count: int, seed: int) -> list[Question]:
    """Make `count` different questions; the first ones of a longer list are those of a shorter.

    Args:
        form: `story`; `other_story`, other words for what happens; or `program`, stories in the
            words of `story` with statements in Python.
        count: number of questions, at most 10,000.
        seed: fixes everything.
    """
    if not 0 <= count <= 10_000:
        raise ValueError("at most 10,000 questions")
    questions = _questions(form, np.random.default_rng([seed, FORMS.index(form)]))
    return [next(questions) for _ in range(count)]


def _questions(form: Form, rng: np.random.Generator) -> Iterator[Question]:
    seen = set()
    while True:
        a, b, other = int(rng.integers(40, 71)), int(rng.integers(2, 16)), int(rng.integers(2, 16))
        right = ("+-"[rng.integers(2)], b)
        if b == other or (a, right, other) in seen:
            continue
        seen.add((a, right, other))
        question, statement = _other_story(rng) if form == "other_story" else _story(rng, program=form == "program")
        events = (OTHER_EVENTS if form == "other_story" else EVENTS)[right[0]]
        event = events[rng.integers(len(events))].format(x=b)
        written = {
            (sign, x): statement.format(a=a, sign=sign, x=x, r=a + int(f"{sign}{x}"))
            for sign, x in product("+-", (b, other))
        }
        wrong = [key for key in written if key != right]
        yield Question(
            question.format(a=a, other=other, event=event),
            written[right],
            tuple(written[wrong[i]] for i in rng.permutation(len(wrong))),
        )


def _story(rng: np.random.Generator, *, program: bool) -> tuple[str, str]:
    """Question and statement with their numbers, event and sign left open."""
    name, things = NAMES[rng.integers(len(NAMES))], THINGS[rng.integers(len(THINGS))]
    aside = ASIDES[rng.integers(len(ASIDES))]
    question = f"{name} {aside} and has {{a}} {things}. {name} {{event}}. How many {things} does {name} have now?"
    if program:
        return question, f"{things} = {{a}}\n{things} {{sign}}= {{x}}\nprint({things})  # {{r}}"
    return question, f"{{a}} {{sign}} {{x}} = {{r}}. {name} has {{r}} {things}."


def _other_story(rng: np.random.Generator) -> tuple[str, str]:
    things = OTHER_THINGS[rng.integers(len(OTHER_THINGS))]
    aside = OTHER_ASIDES[rng.integers(len(OTHER_ASIDES))]
    question = f"A shop {aside} stores {{a}} {things}. In the night {{event}}. What is the number of {things} then?"
    return question, f"{{a}} {{sign}} {{x}} = {{r}}. There are {{r}} {things}."
