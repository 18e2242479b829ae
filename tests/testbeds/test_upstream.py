"""Readers of the publishers' formats, on rows made up in those formats."""

import gzip
import json
import re

import pytest

from aarlab.testbeds import TestbedError, upstream
from aarlab.testbeds.upstream import LOCAL_ONLY, UPSTREAM, unpacked


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def solutions(*texts):
    return {run: {"is_correct": False, "solution": text} for run, text in zip(upstream.GSM8K_RUNS, texts, strict=True)}


ZERO_SHOT = """
import math

# Question: How many?
# Answer this question by implementing a solver() function.
def solver():
    # Let's write a Python program step by step, and then return the answer
    # Firstly, we need define the following variable:
    # 1. Hens
    hens = 2

    return hens * 3
ans = solver()"""

CASES = {
    "truthfulqa_judge_raw": (
        [
            lines({"prompt": "Q: Is it so?\nA: It is.\nTrue:", "completion": " yes"})
            + lines({"prompt": "Q: Why? \nA:  One\nA: two \nTrue:", "completion": " no"}).replace(b"\n", b"\r\n")
        ],
        [("Is it so?", "It is."), ("Why?", "One\nA: two")],
    ),
    "chat": (
        [
            gzip.compress(
                lines(
                    {
                        "chosen": "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Help  \n\nAssistant: No. \n\nNever.\n",
                        "rejected": "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Help  \n\nAssistant:",
                    }
                )
            )
        ],
        [
            ("Human: Hi\n\nAssistant: Yes?\n\nHuman: Help", "No. \n\nNever."),
            ("Human: Hi\n\nAssistant: Yes?\n\nHuman: Help", ""),
        ],
    ),
    "chat_pandalm": (
        [
            b'[{"instruction": "Say it.", "input": NaN, "response1": "It.\\n", "response2": NaN, "annotator1": 1},'
            b'{"instruction": "Translate.", "input": "Oui", "response1": "Yes", "response2": "No\\u2028"}]'
        ],
        [
            ("Human: Say it.", "It.\n"),
            ("Human: Translate.\n\nOui", "Yes"),
            ("Human: Translate.\n\nOui", "No\u2028"),
        ],
    ),
    "math": (
        [
            lines(
                {
                    "question": "How many?  Tell. ",
                    **solutions("2*3 = <<2*3=6>>6\nA: 6", "<<1/3=0.3>>0.3 \nA: 0", "5 = <<5", " A: 7\n"),
                }
            )
        ],
        [("How many?  Tell.", text) for text in ("2*3 = 6\nA: 6", "0.3 \nA: 0", "5 = <<5", "A: 7")],
    ),
    "math_pot_gsm8k": (
        [
            lines({"question": "How many?", "answer": 6.0, "executed": None, "generated": ZERO_SHOT}),
            lines(
                {"prompt": "\nQuestion: an example"},
                {"question": "How many?", "executed": 6.0, "generated": ["hens = 2\nans = hens * 3\n"]},
            ),
        ],
        [
            ("How many?", "def solver():\n    # 1. Hens\n    hens = 2\n\n    return hens * 3"),
            ("How many?", "hens = 2\nans = hens * 3"),
        ],
    ),
    "code": (
        [
            lines(
                {
                    "prompt": 'def helper(a):\n    return a\n\n\ndef triple(n: int):\n    """ Triples. """\n',
                    "samples": ["    return 3 * n\n\n", "\n    return n"],
                }
            ),
            gzip.compress(
                lines(
                    {"entry_point": "other", "prompt": "def other(): ..."},
                    {
                        "entry_point": "triple",
                        "prompt": '\n\ndef triple(n: int):\n    """ Triples.\n    >>> 1\n    3\n    """\n',
                    },
                )
            ),
        ],
        [
            (
                'def triple(n: int):\n    """ Triples.\n    >>> 1\n    3\n    """',
                "def triple(n: int):\n    return 3 * n",
            ),
            ('def triple(n: int):\n    """ Triples.\n    >>> 1\n    3\n    """', "def triple(n: int):\n\n    return n"),
        ],
    ),
}
CASES["math_balanced"] = CASES["math"]


def put(folder, contents):
    paths = [folder / f"{number}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def test_every_data_set_has_a_case():
    assert set(CASES) == set(UPSTREAM)


@pytest.mark.parametrize("name", UPSTREAM)
def test_prompts_and_answers_are_those_of_the_packs(tmp_path, name):
    contents, texts = CASES[name]
    assert list(UPSTREAM[name].read(put(tmp_path, contents))) == texts


@pytest.mark.parametrize("name", UPSTREAM)
@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"404: Not Found",
        lambda _: b'"text"\n',
        lambda _: b'{"other": "fields"}\n',
        lambda _: b"[" * 100_000,
        lambda content: b"\x1f\x8b" + content,
        lambda content: gzip.compress(gzip.decompress(content) if content[:1] == b"\x1f" else content)[:-9],
        lambda content: b"\xff\xfe" + content,
    ],
    ids=["message", "string", "fields", "nested", "not gzip", "cut gzip", "not utf-8"],
)
def test_what_is_not_the_data_set_is_refused(tmp_path, name, damage):
    contents, _ = CASES[name]
    with pytest.raises(TestbedError, match=r"cannot be read as the data set.*--from"):
        list(UPSTREAM[name].read(put(tmp_path, [damage(content) for content in contents])))


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("truthfulqa_judge_raw", {"prompt": "Q: Is it so?\nAnswer: It is.\nTrue:"}),
        ("chat", {"chosen": "\n\nHuman: Hi", "rejected": "\n\nHuman: Hi"}),
        ("math", {"question": "How many?"}),
        ("math_pot_gsm8k", {"question": "How many?", "generated": "ans = 3"}),
        ("code", {"prompt": "class Triple:", "samples": ["..."]}),
        ("code", {"prompt": "def unknown(): ...", "samples": ["..."]}),
    ],
)
def test_a_row_of_another_form_is_refused(tmp_path, name, row):
    contents = [lines(row), *CASES[name][0][1:]]
    with pytest.raises(TestbedError, match="cannot be read as the data set"):
        list(UPSTREAM[name].read(put(tmp_path, contents)))


def test_a_small_file_does_not_unpack_to_a_large_one(tmp_path, monkeypatch):
    monkeypatch.setattr(upstream, "LARGEST_BYTES", 1 << 20)
    (tmp_path / "bomb").write_bytes(gzip.compress(b" " * (2 << 20)))
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        unpacked(tmp_path / "bomb")


@pytest.mark.parametrize("name", UPSTREAM)
def test_urls_name_a_commit_in_full(name):
    for file in UPSTREAM[name].files:
        assert re.fullmatch(r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/[\w./-]+", file.url)
        assert file.name == file.url.split("/")[-1]
        assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in file.sha256)


def test_a_data_set_is_either_published_or_local():
    assert not set(UPSTREAM) & set(LOCAL_ONLY)
