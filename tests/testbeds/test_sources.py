"""Sources: every data set is read into one shape, and what is no row of it is told by its line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from aarlab.testbeds import TestbedError
from aarlab.testbeds.sources import SEEDED, Answer, read_answers

JUDGED = {"prompt": "Q: Why is\nit so?\nA: It is not.\nTrue:", "completion": " yes"}
PAIR = {"id": "p", "group": "g", "prompt": "Human: hi", "a": "hello ", "b": "bye", "label": 1, "source": "s"}
SINGLE = {"group": "g", "source": "w", "question": "1 + 1?", "answer": " 2\n", "label": 1, "final": "2"}


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "source.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@pytest.mark.parametrize(
    ("name", "row", "answers"),
    [
        ("truthfulqa_judge_raw", JUDGED, [Answer("Why is\nit so?", "Why is\nit so?", "It is not.", 1)]),
        ("truthfulqa_judge_raw", JUDGED | {"completion": " no"}, [Answer(*["Why is\nit so?"] * 2, "It is not.", 0)]),
        (
            "chat",
            PAIR,
            [Answer("g", "Human: hi", "hello ", 0, pair="p"), Answer("g", "Human: hi", "bye", 1, pair="p")],
        ),
        (
            "chat_pandalm",
            PAIR | {"label": 0},
            [Answer("g", "Human: hi", "hello ", 1, pair="p"), Answer("g", "Human: hi", "bye", 0, pair="p")],
        ),
        *((name, SINGLE, [Answer("g", "1 + 1?", " 2\n", 1, "w")]) for name in ("math", "math_pot_gsm8k", "code")),
    ],
)
def test_a_row_becomes_answers_with_their_text_unchanged(
    tmp_path: Path, name: str, row: dict[str, Any], answers: list[Answer]
) -> None:
    assert read_answers(name, write(tmp_path, row)) == answers


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("truthfulqa_judge_raw", {"prompt": "Why?", "completion": " yes"}),
        ("truthfulqa_judge_raw", JUDGED | {"completion": " maybe"}),
        ("chat", SINGLE),
        ("code", PAIR),
        ("code", ["no", "object"]),
        ("math", SINGLE | {"label": "unknown"}),
    ],
)
def test_a_row_of_another_shape_is_told_by_its_line(tmp_path: Path, name: str, bad: Any) -> None:
    good = {"truthfulqa_judge_raw": JUDGED, "chat": PAIR}.get(name, SINGLE)
    with pytest.raises(TestbedError, match=f"line 2: not a row of {name}"):
        read_answers(name, write(tmp_path, good, bad))


def test_a_file_that_is_no_gzip_or_is_cut_short_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, *[SINGLE] * 50)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(TestbedError, match="not a row of math"):
        read_answers("math", path)
    path.write_text("{}")
    with pytest.raises(TestbedError, match="not a row of math"):
        read_answers("math", path)


@pytest.mark.parametrize(
    ("name", "path", "told"),
    [
        ("nonsense", None, "no source 'nonsense'"),
        ("math", None, "read from a file"),
        ("math", Path("nowhere.jsonl.gz"), "is missing"),
    ],
)
def test_a_source_that_cannot_be_read_is_told(name: str, path: Path | None, told: str) -> None:
    with pytest.raises(TestbedError, match=told):
        read_answers(name, path)


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_source_needs_no_file_and_groups_right_with_wrong(name: str) -> None:
    answers = read_answers(name)
    assert answers == read_answers(name)
    groups = [answers[i : i + 4] for i in range(0, len(answers), 4)]
    assert len(groups) == SEEDED[name][1]
    assert all([a.label for a in group] == [1, 0, 0, 0] for group in groups)
    assert all(len({(a.group, a.question) for a in group}) == 1 for group in groups)
