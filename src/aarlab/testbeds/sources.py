"""Source files -> answers: every data set read into one shape.

A source is a gzip JSONL file of one of three shapes (a judged answer, a pair of answers, a single
answer), or no file at all: arithmetic is made from a seed.

Readers change no text: question and answer are what a text digest is taken of.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aarlab.testbeds.arithmetic import Form, make_questions
from aarlab.testbeds.pack import TestbedError

ARITHMETIC_SEED = 20261124


@dataclass(frozen=True)
class Answer:
    """One answer to one question.

    Attributes:
        group: the question, by name; never let it cross a split.
        question: text of the question or prompt.
        text: text of the answer.
        label: 1 if it is right (of a pair: the better), else 0.
        writer: who or what wrote it, "" if the source does not say.
        pair: name of the pair it belongs to, in data sets of pairs.
    """

    group: str
    question: str
    text: str
    label: int
    writer: str = ""
    pair: str | None = None


def read_answers(name: str, path: Path | None = None) -> list[Answer]:
    """All answers of a source, in the order of its file.

    Args:
        name: a key of `SOURCES`.
        path: its file; None for a source that is made from a seed.

    Raises:
        TestbedError: the source is unknown, or its file is missing, damaged or of another shape.
    """
    if name in SEEDED:
        return list(_arithmetic(name))
    if name not in SOURCES:
        raise TestbedError(f"There is no source {name!r}.", f"There are: {', '.join((*SOURCES, *SEEDED))}.")
    if path is None:
        raise TestbedError(f"The source {name!r} is read from a file.", "Say where that file is.")
    read, answers, number = SOURCES[name], list[Answer](), 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):  # noqa: B007 (the number is told below)
                answers.extend(read(json.loads(line)))
    except FileNotFoundError:
        raise TestbedError(f"{path} is missing.", "`aarlab testbed show NAME` says where it comes from.") from None
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise TestbedError(
            f"{path}, line {number}: not a row of {name}: {error!r}",
            "Copy or fetch the file again; `aarlab testbed show NAME` says where it comes from.",
        ) from None
    return answers


def _judged(row: dict[str, Any]) -> Iterator[Answer]:
    r"""`{"prompt": "Q: ...\nA: ...\nTrue:", "completion": " yes" | " no"}`."""
    match = re.fullmatch(r"Q: (.*?)\nA: (.*)\nTrue:", row["prompt"], re.DOTALL)
    if match is None:
        raise ValueError(f"unexpected prompt {row['prompt'][:60]!r}")
    question, text = match[1].strip(), match[2].strip()
    yield Answer(question, question, text, {" yes": 1, " no": 0}[row["completion"]])


def _pair(row: dict[str, Any]) -> Iterator[Answer]:
    """`{"id", "group", "prompt", "a", "b", "label": 0 if a is better, else 1}`."""
    for side, text in enumerate((row["a"], row["b"])):
        yield Answer(row["group"], row["prompt"], text, int(row["label"] == side), pair=row["id"])


def _single(row: dict[str, Any]) -> Iterator[Answer]:
    """`{"group", "source", "question", "answer", "label": 1 if right}`."""
    yield Answer(row["group"], row["question"], row["answer"], int(row["label"]), row["source"])


def _arithmetic(name: str) -> Iterator[Answer]:
    form, count = SEEDED[name]
    for number, question in enumerate(make_questions(form, count, ARITHMETIC_SEED)):
        group = f"{name}-{number}"
        yield Answer(group, question.text, question.right, 1, name)
        for text in question.wrong:
            yield Answer(group, question.text, text, 0, name)


#: How a line of each source is read.
SOURCES: dict[str, Callable[[dict[str, Any]], Iterator[Answer]]] = {
    "truthfulqa_judge_raw": _judged,
    "chat": _pair,
    "chat_pandalm": _pair,
    "math": _single,
    "math_pot_gsm8k": _single,
    "code_mbpp": _single,
    "code": _single,
}
#: Sources made from a seed, without a file: form of arithmetic and number of questions.
SEEDED: dict[str, tuple[Form, int]] = {
    "arithmetic_story": ("story", 2016),
    "arithmetic_program": ("program", 240),
    "arithmetic_other_story": ("other_story", 240),
}
