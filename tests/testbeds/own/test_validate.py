import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aarlab.testbeds.own import BadRows, ConfigError, examine

PAIR = "{prompt: q, first: a, second: b, label: l}"
GOOD = [{"q": f"question {i}", "a": f"yes {i}", "b": f"no {i}", "l": i % 2} for i in range(4)]


def examined(tmp_path, rows, columns=PAIR, more="", **others):
    for name, content in {"my": rows, **others}.items():
        text = "".join(json.dumps(row) + "\n" for row in content)
        (tmp_path / f"{name}.jsonl").write_text(text)
    (tmp_path / "my.yaml").write_text(f"name: mine\ndata: my.jsonl\ncolumns: {columns}\n{more}")
    return examine(tmp_path / "my.yaml")[1]


def only_rejected(checked):
    assert len(checked.rejected) == 1, checked.rejected
    return checked.rejected[0]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({"q": "x", "a": "y", "l": 0}, "missing column", "'b'"),
        ({"q": "x", "a": "y", "b": " \n", "l": 0}, "empty text", "column 'b'"),
        ({"q": None, "a": "y", "b": "z", "l": 0}, "empty text", "column 'q'"),
        ({"q": "x", "a": {"text": "y"}, "b": "z", "l": 0}, "not text", "column 'a' holds a dict"),
        ({"q": "x", "a": True, "b": "z", "l": 0}, "not text", "column 'a' holds a bool"),
        ({"q": "x", "a": "y\ud800", "b": "z", "l": 0}, "broken text", "column 'a': half a character (surrogate) at 1"),
        (
            {"q": "x", "a": "y" * 51, "b": "z", "l": 0},
            "too long",
            "column 'a': 51 characters, the limit (longest) is 50",
        ),
        ({"q": "x", "a": "y", "b": "y ", "l": 0}, "identical candidates", "both answers are the same text"),
        (
            {"q": "x", "a": "y", "b": "z", "l": "c"},
            "unknown label",
            "column 'l' holds 'c'; labels has 0, 1, false, true",
        ),
        ({"q": "x", "a": "y", "b": "z", "l": None}, "unknown label", "column 'l' holds None"),
        (GOOD[1], "duplicate", "of my.jsonl, line 2"),
        ({**GOOD[1], "a": "no 1", "b": "yes 1", "l": 0}, "duplicate", "of my.jsonl, line 2"),
    ],
)
def test_a_row_that_cannot_be_used_is_listed_with_line_and_reason(tmp_path, row, reason, detail):
    checked = examined(tmp_path, [*GOOD, row], more="longest: 50\n")
    rejected = only_rejected(checked)
    assert (rejected.source, rejected.line, rejected.reason) == ("my.jsonl", 5, reason)
    assert detail in rejected.detail
    assert [example.line for example in checked.examples] == [1, 2, 3, 4]
    assert checked.rows == 5


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.text(max_size=2))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.fixed_dictionaries({"q": VALUES, "a": VALUES, "b": VALUES, "l": VALUES}), max_size=8))
def test_every_row_is_an_example_or_listed(rows):
    with tempfile.TemporaryDirectory() as folder:
        checked = examined(Path(folder), rows)
    used, listed = [e.line for e in checked.examples], [r.line for r in checked.rejected]
    assert sorted(used + listed) == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("again", [{**GOOD[1], "l": 0}, {**GOOD[1], "a": "no 1", "b": "yes 1"}])
def test_of_one_example_with_both_labels_none_is_used(tmp_path, again):
    checked = examined(tmp_path, [*GOOD, again])
    assert [(r.line, r.reason) for r in checked.rejected] == [(2, "mixed labels"), (5, "mixed labels")]
    assert "line 5" in checked.rejected[0].detail
    assert "line 2" in checked.rejected[1].detail
    assert [example.line for example in checked.examples] == [1, 3, 4]


def test_single_candidates_repeat_or_contradict_too(tmp_path):
    rows = [{"q": "x", "a": "y", "l": True}, {"q": "x", "a": "y", "l": "true"}, {"q": "x", "a": "z", "l": False}]
    columns = "{prompt: q, candidate: a, label: l}"
    assert only_rejected(examined(tmp_path, rows, columns)).reason == "duplicate"
    rows[1]["l"] = 0
    assert [r.reason for r in examined(tmp_path, rows, columns).rejected] == ["mixed labels"] * 2


def test_bytes_that_are_no_text_keep_their_line_and_offset(tmp_path):
    examined(tmp_path, GOOD)
    with (tmp_path / "my.jsonl").open("ab") as file:
        start = file.tell()
        file.write(b'{"q": "caf\xe9"}\n')
    rejected = only_rejected(examine(tmp_path / "my.yaml")[1])
    assert (rejected.line, rejected.reason) == (5, "not UTF-8")
    assert rejected.detail == f"byte {start + 10} of the file is 0xe9"


@pytest.mark.parametrize(
    ("labels", "values", "expected"),
    [
        ("{a: 0, B: 1}", ["a", " b "], [0, 1]),
        ("{1: 0, 2: 1}", [1, 2.0], [0, 1]),
        ("{true: 0, false: 1}", [True, "FALSE"], [0, 1]),
        ("{threshold: 0}", [-2, 1], [0, 1]),
        ("{threshold: 3, above: 0}", ["3.5", 2], [0, 1]),
    ],
)
def test_label_values_are_mapped(tmp_path, labels, values, expected):
    rows = [{**row, "l": value} for row, value in zip(GOOD, values, strict=False)]
    checked = examined(tmp_path, rows, more=f"labels: {labels}\n")
    assert [example.label for example in checked.examples] == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [(0.4, "tie"), (0, "tie"), ("much", "not a number"), ("nan", "not a number"), (True, "not a number")],
)
def test_a_preference_that_prefers_none_is_listed(tmp_path, value, reason):
    row = {"q": "x", "a": "y", "b": "z", "l": value}
    checked = examined(tmp_path, [{**GOOD[0], "l": 1}, row], more="labels: {threshold: 0, ties: 0.5}\n")
    assert only_rejected(checked).reason == reason


def test_the_larger_of_two_scores_is_the_better(tmp_path):
    scores = [(1, 2), (5, 4), (3, 3)]
    rows = [{**row, "sa": a, "sb": b} for row, (a, b) in zip(GOOD, scores, strict=False)]
    checked = examined(tmp_path, rows, "{prompt: q, first: a, second: b, score_first: sa, score_second: sb}")
    assert [example.label for example in checked.examples] == [1, 0]
    assert only_rejected(checked).reason == "tie"


def test_sides_of_chosen_and_rejected_are_drawn_row_by_row(tmp_path):
    rows = [{"q": f"q{i}", "c": f"good {i}", "r": f"bad {i}"} for i in range(400)]
    columns = "{prompt: q, chosen: c, rejected: r}"
    examples = examined(tmp_path, rows, columns).examples
    assert all(example.candidates[example.label].startswith("good") for example in examples)
    assert abs(np.mean([example.label for example in examples]) - 0.5) < 0.1
    fewer = examined(tmp_path, rows[200:], columns).examples
    assert [e.label for e in fewer] == [e.label for e in examples[200:]], "other rows have no say"
    other = examined(tmp_path, rows, columns, more="draw: 1\n").examples
    assert [e.label for e in other] != [e.label for e in examples]


def test_lists_of_chosen_and_rejected_use_each_answer_once(tmp_path):
    rows = [{"q": "q", "c": ["good 1", "good 2"], "r": ["bad 1", "bad 2", "bad 3"]}, {"q": "p", "c": [], "r": ["bad"]}]
    checked = examined(tmp_path, rows, "{prompt: q, chosen: c, rejected: r}")
    assert {frozenset(example.candidates) for example in checked.examples} == {
        frozenset({"good 1", "bad 1"}),
        frozenset({"good 2", "bad 2"}),
    }
    assert only_rejected(checked).reason == "not a list"


def test_scored_answers_are_paired_best_with_worst(tmp_path):
    rows = [
        {"q": "q", "a": ["c", "e", "a", "d", "b"], "s": [3, 5, 1, 4, 2]},
        {"q": "p", "a": ["x", "y"], "s": [1, 1]},
        {"q": "o", "a": ["x", "y"], "s": [1]},
    ]
    checked = examined(tmp_path, rows, "{prompt: q, answers: a, scores: s}")
    pairs = [(e.candidates[e.label], e.candidates[1 - e.label]) for e in checked.examples]
    assert pairs == [("e", "a"), ("d", "b")]
    assert [(r.line, r.reason) for r in checked.rejected] == [(2, "tie"), (3, "not a list")]


def test_chat_messages_become_text(tmp_path):
    lone = [{"role": "user", "content": "Hello?"}]
    several = [*lone, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Well?"}]
    rows = [{**GOOD[0], "q": lone}, {**GOOD[1], "q": several}, {**GOOD[2], "q": 7}]
    prompts = [example.prompt for example in examined(tmp_path, rows).examples]
    assert prompts == ["Hello?", "user: Hello?\n\nassistant: Hi.\n\nuser: Well?", "7"]


def test_an_answer_is_the_last_of_its_messages(tmp_path):
    asked, said = {"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}
    rows = [{"q": "Hello?", "c": [asked, said], "r": [asked, {"role": "assistant", "content": "No."}]}]
    (example,) = examined(tmp_path, rows, "{prompt: q, chosen: c, rejected: r}").examples
    assert sorted(example.candidates) == ["Hi.", "No."]


def test_groups_default_to_the_prompt_and_stay_out_of_ood(tmp_path):
    other = [{**GOOD[0], "q": "another"}, {**GOOD[1], "a": "maybe"}]
    checked = examined(tmp_path, GOOD, more="ood: {data: other.jsonl}\n", other=other)
    rejected = only_rejected(checked)
    assert (rejected.source, rejected.line, rejected.reason) == ("other.jsonl", 2, "group in id and ood")
    assert rejected.detail == "group 'question 1' is in my.jsonl, line 2 too"
    grouped = [{**row, "g": 0} for row in other]
    mapped = PAIR.replace("}", ", group: g}")
    mine = [{**row, "g": i} for i, row in enumerate(GOOD)]
    again = examined(tmp_path, mine, mapped, more="ood: {data: other.jsonl}\n", other=grouped)
    assert [r.reason for r in again.rejected] == ["group in id and ood"] * 2


def test_a_group_stays_in_the_split_that_it_was_given_first(tmp_path):
    rows = [
        {**row, "g": i // 2, "s": s}
        for i, (row, s) in enumerate(zip(GOOD, ["train", "Public", "train", "x"], strict=True))
    ]
    checked = examined(tmp_path, rows, PAIR.replace("}", ", group: g, split: s}"))
    first, second = checked.rejected
    assert (first.line, first.reason) == (2, "group in two splits")
    assert first.detail == "group '0' is in public here and in train in my.jsonl, line 1"
    assert (second.line, second.reason) == (4, "unknown split")
    assert [example.split for example in checked.examples] == ["train", "train"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            PAIR.replace("q", "question"),
            r"columns\.prompt: my\.jsonl has no column 'question'\. Its columns are: q, a, b, l\.",
        ),
        (PAIR.replace("}", ", group: id}"), r"columns\.group: my\.jsonl has no column 'id'"),
    ],
)
def test_a_column_that_no_row_has_lists_those_there_are(tmp_path, columns, message):
    with pytest.raises(ConfigError, match=message):
        examined(tmp_path, GOOD, columns)


def test_a_wrong_column_of_another_source_names_that_source(tmp_path):
    more = "ood: {data: other.jsonl, columns: {prompt: q, chosen: good, rejected: bad}}\n"
    with pytest.raises(ConfigError, match=r"columns\.chosen: other\.jsonl has no column 'good'"):
        examined(tmp_path, GOOD, more=more, other=[{"q": "x", "c": "y", "bad": "z"}])


def test_what_is_allowed_but_odd_is_noted(tmp_path):
    rows = [{"q": "same", "a": f"yes {i}", "b": f"no {i}", "l": 0, "g": i} for i in range(9)]
    notes = examined(tmp_path, rows, PAIR.replace("}", ", group: g}")).notes
    assert "the first answer is the better one in 100% of the pairs, so that sides tell the label" in notes
    assert "1 prompts are in more than one group, so one question may stand in two splits" in notes
    assert examined(tmp_path, GOOD).notes == ()


def test_the_error_counts_by_reason_and_shows_the_first(tmp_path):
    rows = [*GOOD, *({**GOOD[0], "q": f"x{i}", "a": ""} for i in range(7)), {**GOOD[0], "q": "y", "l": 9}]
    checked = examined(tmp_path, rows)
    error = BadRows(checked.rejected, checked.rows)
    assert error.counts == {"empty text": 7, "unknown label": 1}
    assert Counter(row.reason for row in error.rejected) == error.counts
    assert "8 of 12 rows cannot be used:\n       7  empty text\n       1  unknown label\n" in str(error)
    assert "  my.jsonl, line 5: empty text: column 'a'\n" in str(error)
    assert "and 3 more" in str(error)
    assert "--allow-bad-rows" in error.advice
