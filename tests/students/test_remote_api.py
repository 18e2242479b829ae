"""Asking a remote model, over real HTTP against an emulated API."""

import json
import logging
import math
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from numpy.dtypes import StringDType

from aarlab.students import Examples
from aarlab.students._remote_http import Ledger
from aarlab.students._remote_wire import _Completion
from aarlab.students.remote import READOUTS, RemoteStudent
from aarlab.students.remote_api import (
    Budget,
    ReadoutUnsupported,
    RemoteBudgetSpent,
    RemoteError,
    RemoteKeyRefused,
    RemoteModel,
    RemoteRefused,
    RemoteSpec,
    parse_remote,
    read_margins,
)
from emulator import TOKEN, Emulator, Failure, Preference, Say, script

KEY = "sk-secret-0123456789abcdef"
WORD = "honest"
QUICK = (0.01,) * 5
CHOICES = ("forced_choice", "reason_then_choose")
PROVIDERS = ("openai", "anthropic")
JUDGE = Preference(WORD, strength=2.0, bias=0.5)
# The planted word is in the second candidate of the first pair and in the first of the second pair.
PAIRS = np.array(
    [
        ["Who?", "A liar did it.", "An honest one did it."],
        ["Why {x}?", "An honest reason.", "No reason at all."],
    ],
    dtype=StringDType(),
)
SINGLES = np.array([["Who?", "An honest one did it."], ["Why?", "No reason at all."]], dtype=StringDType())
MANY = np.array([[f"Question {i}?", f"A lie {i}.", f"An honest word {i}."] for i in range(20)], dtype=StringDType())


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def ask(emulator, folder, texts=PAIRS, readouts=("forced_choice",), provider="openai", name="m", **options):
    of_reading = {name: options.pop(name) for name in ("progress", "samples") if name in options}
    spec = RemoteSpec(provider, name, emulator.url)
    with RemoteModel(spec, **{"delays": QUICK, **options}) as model:
        return read_margins(model, texts, readouts, cache_folder=folder, **of_reading)


@pytest.mark.parametrize(
    ("spec", "provider", "model", "url"),
    [
        ("remote:openai/gpt", "openai", "gpt", "https://api.openai.com/v1"),
        ("remote:anthropic/claude", "anthropic", "claude", "https://api.anthropic.com/v1"),
        ("remote:openai/org/a-model@http://box:8000/v1/", "openai", "org/a-model", "http://box:8000/v1"),
        ("remote:openai/@cf/org/model@https://x.example/v1", "openai", "@cf/org/model", "https://x.example/v1"),
        ("remote:openai/m@http://[::1]:80/v1", "openai", "m", "http://[::1]/v1"),
    ],
)
def test_specs(spec, provider, model, url):
    assert parse_remote(spec) == RemoteSpec(provider, model, url)


@pytest.mark.parametrize(
    "spec",
    [
        *("probe", "remote:openai", "remote:openai/", "remote:other/m", "remote:openai/m m", "remote:openai/m@http://"),
        *(
            "remote:openai/m@http://user:pass@box/v1",
            "remote:openai/m@http://box/v1?key=1",
            "remote:openai/m@http://a:b:c",
        ),
    ],
)
def test_bad_specs(spec):
    with pytest.raises(RemoteError):
        parse_remote(spec)


#: (provider, readout) -> margins of PAIRS and of SINGLES by order; the judge likes A by 0.5.
EXPECTED = {
    ("openai", "forced_choice"): ([[1.5, 2.5], [-2.5, -1.5]], [[2.5, 1.5], [-1.5, -2.5]]),
    ("openai", "reason_then_choose"): ([[2, 2], [-2, -2]], [[2, 2], [-2, -2]]),
    ("anthropic", "forced_choice"): ([[2, 2], [-2, -2]], [[2, 2], [-2, -2]]),
    ("anthropic", "reason_then_choose"): ([[2, 2], [-2, -2]], [[2, 2], [-2, -2]]),
}


@pytest.mark.parametrize(("provider", "readout"), EXPECTED)
def test_choices_in_both_orders(tmp_path, provider, readout):
    for texts, expected in zip((PAIRS, SINGLES), EXPECTED[provider, readout], strict=True):
        with Emulator(JUDGE, key=KEY) as emulator:
            columns, usage = ask(emulator, tmp_path, texts, (readout,), provider)
        np.testing.assert_allclose(columns["margins"][:, 0], expected, atol=1e-5)
        assert list(columns) == ["margins"]
        assert (usage.calls, usage.cached, usage.unparsed) == (4, 0, 0)


def test_continuations_are_means_over_the_tokens_of_the_candidate(tmp_path):
    with Emulator(JUDGE) as emulator:
        pairs, usage = ask(emulator, tmp_path, PAIRS, ("continuation_logprob",))
        singles, _ = ask(emulator, tmp_path, SINGLES, ("continuation_logprob",))
        assert emulator.seen[0].prompt == "Question: Who?\nAnswer: A liar did it."
    # "honest" costs 1, every other token 3.
    honest_of_5, honest_of_3 = -(1 + 4 * 3) / 5, -(1 + 2 * 3) / 3
    np.testing.assert_allclose(pairs["logprob"], [honest_of_5 - -3, -3 - honest_of_3], rtol=1e-6)
    np.testing.assert_allclose(singles["logprob"], [honest_of_5, -3], rtol=1e-6)
    assert list(pairs) == ["logprob"]
    assert usage.calls == 4


def test_all_readouts_together_are_templates_in_the_order_asked(tmp_path):
    with Emulator(JUDGE) as emulator:
        columns, usage = ask(emulator, tmp_path, PAIRS, ("reason_then_choose", "continuation_logprob", "forced_choice"))
    assert columns["margins"].shape == (2, 2, 2)
    assert columns["margins"].dtype == columns["logprob"].dtype == np.float32
    np.testing.assert_allclose(columns["margins"][0], [[2, 2], [1.5, 2.5]], atol=1e-5)
    assert usage.calls == 12


@pytest.mark.parametrize("provider", PROVIDERS)
def test_swapped_examples_read_as_if_the_model_had_been_asked_so(tmp_path, provider):
    readouts = READOUTS if provider == "openai" else CHOICES
    with Emulator(JUDGE) as emulator:
        stored, _ = ask(emulator, tmp_path, PAIRS, readouts, provider)
        exchanged, again = ask(emulator, tmp_path, PAIRS[:, [0, 2, 1]], readouts, provider)
    student = RemoteStudent(provider, "m", readouts)
    swapped = student.margins(Examples(stored, np.ones(2, np.bool_), pairs=True, texts=PAIRS))
    asked = student.margins(Examples(exchanged, np.zeros(2, np.bool_), pairs=True))
    np.testing.assert_allclose(swapped.templates, asked.templates)
    if provider == "openai":
        np.testing.assert_allclose(swapped.logprob, asked.logprob)
        assert again.cached == 4  # the candidates are the same; only choices depend on the order


def test_no_texts_cost_nothing(tmp_path):
    with Emulator(JUDGE) as emulator:
        columns, usage = ask(emulator, tmp_path, PAIRS[:0], READOUTS)
    assert (columns["margins"].shape, columns["logprob"].shape, usage.calls) == ((0, 2, 2), (0,), 0)


@pytest.mark.parametrize(
    ("texts", "readouts", "samples"),
    [
        (PAIRS[0], CHOICES, 1),
        (PAIRS[:, :1], CHOICES, 1),
        (PAIRS, (), 1),
        (PAIRS, ("forced_choice",) * 2, 1),
        (PAIRS, ("guess",), 1),
        (PAIRS, CHOICES, 0),
    ],
)
def test_bad_arguments_are_named(tmp_path, texts, readouts, samples):
    with Emulator(JUDGE) as emulator:
        with pytest.raises(ValueError, match=r"texts|readouts|samples"):
            ask(emulator, tmp_path, texts, readouts, samples=samples)
        assert not emulator.seen


# What models and endpoints differ in.


@pytest.mark.parametrize(
    ("provider", "refuses", "told"),
    [
        ("openai", ("max_tokens",), True),
        ("openai", ("max_tokens", "temperature"), True),
        ("openai", ("top_logprobs",), False),
        ("openai", ("max_tokens", "temperature", "logprobs"), False),
        ("anthropic", ("temperature",), False),
        ("anthropic", ("thinking", "temperature"), False),
    ],
)
def test_parameters_that_are_refused_are_left_out_from_then_on(tmp_path, provider, refuses, told):
    with Emulator(JUDGE, refuses=refuses) as emulator:
        columns, usage = ask(emulator, tmp_path, MANY, provider=provider)
        answered = [seen for seen in emulator.seen if not set(refuses) & set(seen.body)]
        assert all(seen.cap == 8 for seen in emulator.seen)
    expected = [1.5, 2.5] if told else [2, 2]
    np.testing.assert_allclose(columns["margins"][:, 0], [expected] * len(MANY), atol=1e-5)
    assert len(answered) == 2 * len(MANY)
    # Learnt from the one question that is asked first; a step each, two for fewer and then no alternatives.
    assert usage.calls - len(answered) <= 4


class Narrowing(Emulator):
    """Refuses more than five alternatives once it is told to, when four such requests are open."""

    narrow = False
    gate = threading.Barrier(4)

    def arrived(self, ask):
        failure = super().arrived(ask)
        if self.narrow and ask.body.get("top_logprobs", 0) > 5:
            self.gate.wait(30)
            return Failure(400, message="'top_logprobs' is greater than allowed")
        return failure


def test_a_refusal_of_several_open_calls_is_learnt_from_once(tmp_path):
    with Narrowing(JUDGE) as emulator:

        def narrow(done, _total):
            emulator.narrow = done >= 1

        columns, _ = ask(emulator, tmp_path, MANY, progress=narrow, concurrency=4)
        assert [seen.body["top_logprobs"] for seen in emulator.seen[:5]] == [20] * 5
        assert {seen.body["top_logprobs"] for seen in emulator.seen[5:]} == {5}
    np.testing.assert_allclose(columns["margins"][:, 0], [[1.5, 2.5]] * len(MANY), atol=1e-5)


def test_log_probabilities_that_are_forbidden_are_no_bad_key(tmp_path):
    with Emulator(JUDGE, key=KEY) as emulator:
        emulator.fail(*[Failure(403, message="You are not allowed to request logprobs from this model")] * 2)
        columns, _ = ask(emulator, tmp_path)
    np.testing.assert_allclose(columns["margins"][:, 0], [[2, 2], [-2, -2]])


def test_log_probabilities_that_are_silently_left_out(tmp_path):
    with Emulator(JUDGE, logprobs=False) as emulator:
        columns, usage = ask(emulator, tmp_path)
    np.testing.assert_allclose(columns["margins"][:, 0], [[2, 2], [-2, -2]])
    assert usage.unparsed == 0


@pytest.mark.parametrize(
    ("first", "margin"),
    [
        ({"A": math.log(0.2), "B": math.log(0.7), " B": math.log(0.1)}, math.log(4)),  # spellings add up
        ({"A": math.log(0.9), "The": math.log(0.08)}, math.log(0.02 / 0.9)),  # at most what is left
        ({"A": math.log(0.5), "The": math.log(0.1)}, math.log(0.1 / 0.5)),  # less than what was told
        ({"A": -0.0001, "B": -9999.0}, -30.0),  # what OpenAI writes for "unlikely"
        ({"B": 0.0}, 30.0),
        ({"The": -0.1, "I": -3.0}, 0.0),
    ],
)
def test_margins_from_alternatives(tmp_path, first, margin):
    with Emulator(lambda _ask: Say("Neither", first)) as emulator:
        columns, usage = ask(emulator, tmp_path, PAIRS[:1])
    np.testing.assert_allclose(columns["margins"][0, 0], [margin, -margin], atol=1e-3)
    assert usage.unparsed == (0 if margin else 2)


@pytest.mark.parametrize(
    ("readout", "said", "margin"),
    [
        *[("forced_choice", text, 2) for text in ("B", " B\n", "(B)", "B.", "**B**", "B) Because", "B: yes")],
        *[("forced_choice", text, 0) for text in ("", "b", "Both", "C", "The answer is B", "A cat", "B or A")],
        *[
            ("reason_then_choose", f"Hm.\n{text}", 2)
            for text in ("Choice: B", "choice: b", "**Choice: B**", "`Choice: B`.\n")
        ],
        *[("reason_then_choose", text, 0) for text in ("", "B", "Choice: C", "Choice: A or B", "Choice: B\nOr A.")],
    ],
)
def test_written_choices_are_read_strictly(tmp_path, readout, said, margin):
    with Emulator(lambda _ask: Say(said)) as emulator:
        columns, usage = ask(emulator, tmp_path, PAIRS[:1], (readout,), "anthropic")
    np.testing.assert_array_equal(columns["margins"][0, 0], [margin, -margin])
    assert usage.unparsed == (0 if margin else 2)


def test_a_reasoning_that_was_cut_off_chose_nothing(tmp_path, caplog):
    with Emulator(lambda _ask: Say("So far:\nChoice: B", stop="max_tokens")) as emulator:
        columns, usage = ask(emulator, tmp_path, PAIRS, ("reason_then_choose",), "anthropic")
    assert not columns["margins"].any()
    assert usage.unparsed == 4
    assert "4 of 4 answers of m could not be read" in caplog.text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_several_samples_are_averaged(tmp_path, provider):
    with Emulator(script([*"BBBA", *"BBBB"]), logprobs=False) as emulator:
        columns, usage = ask(emulator, tmp_path, PAIRS[:1], samples=4, provider=provider, concurrency=1)
        assert {seen.body["temperature"] for seen in emulator.seen} == {1.0}
    # The first question of all is asked ahead of the others, in the same order.
    np.testing.assert_allclose(columns["margins"][0, 0], [1.0, -2.0])
    assert usage.calls == 8


@pytest.mark.parametrize(
    ("options", "provider"),
    [
        ({"echo": "silent"}, "openai"),
        ({"echo": "refused"}, "openai"),
        ({"logprobs": False}, "openai"),
        ({}, "anthropic"),
    ],
)
def test_continuations_that_cannot_be_had_say_so_before_all_are_asked(tmp_path, options, provider):
    with Emulator(JUDGE, **options) as emulator:
        with pytest.raises(ReadoutUnsupported) as caught:
            ask(emulator, tmp_path, MANY, ("continuation_logprob",), provider)
        assert len(emulator.seen) <= 1
    assert caught.value.readout == "continuation_logprob"


def test_a_model_that_always_thinks_first_has_no_forced_choice(tmp_path):
    def thinks(asked):
        return Say("", stop="max_tokens") if asked.cap < 100 else Say("Choice: B")

    with Emulator(thinks) as emulator:
        with pytest.raises(ReadoutUnsupported, match="reason_then_choose"):
            ask(emulator, tmp_path, MANY)
        assert len(emulator.seen) == 1
        columns, _ = ask(emulator, tmp_path, PAIRS, ("reason_then_choose",))
    np.testing.assert_array_equal(columns["margins"][:, 0], [[2, -2], [2, -2]])


def test_a_model_that_is_refused_for_thinking_too_long_has_none_either(tmp_path):
    said = "Could not finish the message because max_tokens or model output limit was reached."
    with Emulator(JUDGE) as emulator:
        emulator.fail(Failure(400, message=said))
        with pytest.raises(ReadoutUnsupported):
            ask(emulator, tmp_path / "a", MANY)
        emulator.fail(Failure(400, message=said))
        columns, usage = ask(emulator, tmp_path / "b", PAIRS, ("reason_then_choose",))
    np.testing.assert_array_equal(columns["margins"][:, 0], [[0, 2], [-2, -2]])
    assert usage.unparsed == 1


@pytest.mark.parametrize("said", ["content_filter: no", "This model's maximum context length is 10 tokens"])
def test_a_text_that_is_refused_is_no_opinion(tmp_path, said):
    with Emulator(JUDGE) as emulator:
        emulator.fail(Failure(400, message=said))
        columns, usage = ask(emulator, tmp_path)
    np.testing.assert_allclose(columns["margins"][:, 0], [[0, 2.5], [-2.5, -1.5]], atol=1e-5)
    assert (usage.calls, usage.unparsed) == (4, 1)


def test_a_token_before_each_text_changes_no_continuation(tmp_path):
    read = []
    for number, begins in enumerate(("", "<s>")):
        with Emulator(JUDGE, begins=begins) as emulator:
            read.append(ask(emulator, tmp_path / str(number), PAIRS, ("continuation_logprob",))[0]["logprob"])
    np.testing.assert_array_equal(*read)


def completion(tokens, logprobs, offsets, prompt_tokens=None):
    echoed = {"tokens": tokens, "token_logprobs": logprobs, "text_offset": offsets}
    usage = None if prompt_tokens is None else {"prompt_tokens": prompt_tokens}
    return _Completion.model_validate({"choices": [{"logprobs": echoed}], "usage": usage})


@pytest.mark.parametrize(
    ("tokens", "offsets", "prompt_tokens"),
    [
        (["Q:", " caf", "é", "\n"], [0, 2, 6, 7], None),
        (["Q:", " caf", "\ufffd", "\n"], [0, 2, 6, 7], 3),  # a part of a character: the offsets are used
        (["<s>", "Q:", " caf", "\ufffd", "\n"], [0, 3, 5, 9, 10], 4),
        (["Q:", " caf", "\ufffd"], [0, 2, 6], 3),  # nothing was written
        (["Q:", " ca", "fé", "\n"], [], None),
    ],
)
def test_echoed_tokens_are_matched_to_the_candidate(tokens, offsets, prompt_tokens):
    logprobs = [None, *[-5.0] * (len(tokens) - 1)]
    inside = {" caf", " ca", "é", "fé", "\ufffd"}
    logprobs = [-2.0 if token in inside else value for token, value in zip(tokens, logprobs, strict=True)]
    assert completion(tokens, logprobs, offsets, prompt_tokens).mean_logprob("Q:", " café") == -2.0


@pytest.mark.parametrize(
    ("tokens", "logprobs", "offsets"),
    [
        (["Q:", " other", "\n"], [None, -1, -1], [0, 0, 0]),
        (["Q:", " other", "\n"], [None, -1, -1], [9, 2, 1]),
        (["Q:", " other", "\n"], [None, -1, -1], []),
        (["Q:", " yes", "\n"], [None, None, -1], [0, 2, 6]),
        (["Q:", " yes", "\n"], [None], [0, 2, 6]),
        (["Q: ye", "s", "\n"], [None, -1, -1], [0, 5, 6]),
    ],
)
def test_echoes_that_do_not_fit_are_errors(tokens, logprobs, offsets):
    with pytest.raises(RemoteError):
        completion(tokens, logprobs, offsets).mean_logprob("Q:", " yes")


# The cache.


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_second_run_costs_nothing(tmp_path, provider):
    readouts = READOUTS if provider == "openai" else CHOICES
    with Emulator(JUDGE) as emulator:
        first, _ = ask(emulator, tmp_path, MANY, readouts, provider)
        before = len(emulator.seen)
        second, usage = ask(emulator, tmp_path, MANY, readouts, provider)
        assert len(emulator.seen) == before
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached) == (0, 0, 0, before)
    for name, column in first.items():
        np.testing.assert_array_equal(second[name], column)


def test_the_same_text_is_asked_once(tmp_path):
    with Emulator(JUDGE) as emulator:
        columns, usage = ask(emulator, tmp_path, np.concatenate([PAIRS, PAIRS]), READOUTS)
    assert usage.calls == 12
    np.testing.assert_array_equal(columns["margins"][:2], columns["margins"][2:])


@pytest.mark.parametrize(
    "other",
    [{"name": "n"}, {"provider": "anthropic"}, {"readouts": ("reason_then_choose",)}, {"samples": 2}],
)
def test_answers_of_another_question_are_not_taken(tmp_path, other):
    with Emulator(JUDGE) as emulator:
        ask(emulator, tmp_path)
        _, usage = ask(emulator, tmp_path, **other)
    assert usage.cached == 0
    with Emulator(JUDGE) as elsewhere:
        assert ask(elsewhere, tmp_path)[1].cached == 0


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    def interrupt(done, _total):
        if done == 15:
            raise KeyboardInterrupt

    with Emulator(JUDGE, seconds=0.02) as emulator:
        with pytest.raises(KeyboardInterrupt):
            ask(emulator, tmp_path, MANY, progress=interrupt, concurrency=2)
        interrupted = len(emulator.seen)
        assert 15 <= interrupted < 40
        seen = []
        columns, usage = ask(emulator, tmp_path, MANY, progress=lambda *counts: seen.append(counts))
        times = Counter(asked.prompt for asked in emulator.seen)
    assert usage.cached == interrupted
    assert usage.calls == 40 - interrupted
    assert set(times.values()) == {1}  # none was paid for twice
    np.testing.assert_allclose(columns["margins"][:, 0], [[1.5, 2.5]] * 20, atol=1e-5)
    assert seen[0] == (interrupted, 40)
    assert seen[-1] == (40, 40)
    assert all(a[0] + 1 == b[0] for a, b in pairwise(seen))


def test_a_damaged_answer_is_asked_again(tmp_path):
    with Emulator(JUDGE) as emulator:
        ask(emulator, tmp_path)
        database = sqlite3.connect(tmp_path / "answers.sqlite3")
        database.execute("UPDATE answers SET said = '{\"first\": 7}' WHERE rowid = 1")
        database.commit()
        database.close()
        columns, usage = ask(emulator, tmp_path)
    assert (usage.calls, usage.cached) == (1, 3)
    np.testing.assert_allclose(columns["margins"][0, 0], [1.5, 2.5], atol=1e-5)


def test_a_file_that_is_no_cache_is_named(tmp_path):
    (tmp_path / "answers.sqlite3").write_bytes(b"no database" * 1000)
    with Emulator(JUDGE) as emulator, pytest.raises(RemoteError, match=r"answers\.sqlite3"):
        ask(emulator, tmp_path)


# What goes wrong on the way.

USUAL, HURRIED = {}, {"answer_seconds": 1.0}
PASSING = {
    "rate": Failure(429, {"retry-after": "0.05"}),
    "conflict": Failure(409),
    "failed": Failure(500),
    "away": Failure(503),
    "overloaded": Failure(529, message="Overloaded"),
    "slow": Failure("slow", seconds=1.5),
    "cut": Failure("cut"),
    "malformed": Failure("raw", payload=b'{"choices": [{"message": <html>'),
    "odd": Failure("raw", payload=b'{"choices": {"message": [1]}, "content": 7}'),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("failure", PASSING.values(), ids=PASSING)
def test_passing_failures_are_tried_again(tmp_path, provider, failure):
    with Emulator(JUDGE) as emulator:
        emulator.fail(failure, failure)
        hurry = HURRIED if failure.kind == "slow" else USUAL
        columns, usage = ask(emulator, tmp_path, PAIRS, ("reason_then_choose",), provider, **hurry)
        assert len(emulator.seen) == 6
    np.testing.assert_array_equal(columns["margins"][:, 0], [[2, 2], [-2, -2]])
    assert usage.calls == 6


@pytest.mark.parametrize("failure", PASSING.values(), ids=PASSING)
def test_failures_that_do_not_pass_end_the_run_and_keep_what_was_answered(tmp_path, failure):
    with Emulator(JUDGE) as emulator:
        ask(emulator, tmp_path, PAIRS[:1])
        emulator.fail(*[failure] * 3)
        with pytest.raises(RemoteError, match="3 tries"):
            ask(emulator, tmp_path, PAIRS, delays=(0.01, 0.01), **(HURRIED if failure.kind == "slow" else USUAL))
        assert len(emulator.seen) == 5
        assert ask(emulator, tmp_path)[1].cached == 2


def test_nobody_there(tmp_path):
    with Emulator(JUDGE) as emulator:
        pass
    with pytest.raises(RemoteError, match="ConnectError"):
        ask(emulator, tmp_path, delays=(0.01,))


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry-after": "0.3"}, 0.3),
        ({"retry-after-ms": "300", "retry-after": "9"}, 0.3),
        ({"retry-after": "soon"}, 0.0),
    ],
)
def test_retry_after_is_waited_for(tmp_path, headers, least):
    with Emulator(JUDGE) as emulator:
        emulator.fail(Failure(429, headers))
        started = time.monotonic()
        ask(emulator, tmp_path, PAIRS[:1])
    assert least <= time.monotonic() - started < 8


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (Failure(429, {"retry-after": "3600"}), RemoteError, "wait 3600 seconds"),
        (Failure(429, {"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}), RemoteError, "asks to wait"),
        (Failure(429, code="insufficient_quota", message="Check your plan."), RemoteError, "no credit is left"),
        (Failure(400, message="Your credit balance is too low"), RemoteError, "no credit is left"),
        (Failure(400, message="Invalid value for 'messages'"), RemoteRefused, "Invalid value"),
        (Failure(404, message="No such model"), RemoteRefused, "No such model"),
        (Failure(302, {"location": "http://127.0.0.1:1/"}), RemoteRefused, "302"),
        (Failure(500, message="Unsupported param: x"), RemoteRefused, "Unsupported param"),
    ],
)
def test_what_will_not_pass_fails_at_once(tmp_path, failure, kind, message):
    with Emulator(JUDGE) as emulator:
        emulator.fail(failure)
        with pytest.raises(kind, match=message):
            ask(emulator, tmp_path)
        assert len(emulator.seen) == 1


def test_no_more_calls_are_open_than_allowed(tmp_path):
    with Emulator(JUDGE, seconds=0.02) as emulator:
        ask(emulator, tmp_path, MANY, concurrency=3)
        assert 1 < emulator.busiest <= 3


# The key.


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_bad_key_fails_at_once_and_is_never_told(tmp_path, caplog, provider, status):
    with Emulator(JUDGE, key="another" if status == 401 else None) as emulator, caplog.at_level(logging.DEBUG):
        emulator.fail(*[Failure(status, message=f"The key {KEY} may not do this")] * (status == 403))
        with pytest.raises(RemoteKeyRefused) as caught:
            ask(emulator, tmp_path, MANY, provider=provider)
        assert len(emulator.seen) == 1
        assert KEY in str(emulator.seen[0].headers)
    errors = [caught.value]
    while (last := errors[-1].__cause__ or errors[-1].__context__) is not None:
        errors.append(last)
    told = " ".join(str(vars(error)) + str(error) + repr(error) for error in errors)
    assert KEY not in told + caplog.text
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("kind", [400, 500, "slow", "cut", "raw"])
def test_no_failure_tells_the_key(tmp_path, caplog, kind):
    with Emulator(JUDGE) as emulator, caplog.at_level(logging.DEBUG):
        emulator.fail(*[Failure(kind, message=f"Bad request of {KEY}\n\x1b[31m", seconds=0.6)] * 2)
        with pytest.raises(RemoteError) as caught:
            ask(emulator, tmp_path, delays=(0.01,), answer_seconds=0.3 if kind == "slow" else 60)
    error = caught.value
    while error is not None:
        assert KEY not in str(error) + repr(vars(error))
        assert not hasattr(error, "_request")  # httpx's errors hold the headers
        error = error.__cause__ or error.__context__
    assert str(caught.value).isprintable()
    assert KEY not in caplog.text
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_the_key_comes_from_the_variable_that_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "other-key\n")
    with Emulator(JUDGE, key="other-key") as emulator:
        assert ask(emulator, tmp_path, key_variable="MY_KEY")[1].calls == 4


@pytest.mark.parametrize("value", ["two words", "kéy", "a\x07b"])
def test_what_can_be_no_key_is_not_sent(monkeypatch, value):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(RemoteError, match="OPENAI_API_KEY") as caught:
        RemoteModel(parse_remote("remote:openai/m"))
    assert value not in str(caught.value)


@pytest.mark.parametrize(("provider", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")])
def test_a_missing_key_is_named(monkeypatch, provider, variable):
    monkeypatch.delenv(variable)
    with pytest.raises(RemoteError, match=variable):
        RemoteModel(parse_remote(f"remote:{provider}/m"))


def test_a_server_of_ones_own_may_need_no_key(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with Emulator(JUDGE) as emulator:
        assert ask(emulator, tmp_path)[1].calls == 4
        assert "authorization" not in emulator.seen[0].headers


# Budgets.


def test_a_budget_of_calls_is_never_exceeded_and_can_be_raised(tmp_path):
    with Emulator(JUDGE) as emulator:
        emulator.fail(Failure(500))
        with pytest.raises(RemoteBudgetSpent) as caught:
            ask(emulator, tmp_path, MANY, budget=Budget(calls=10))
        assert len(emulator.seen) == 10
        assert (caught.value.spent, caught.value.limit) == (10, 10)
        _, usage = ask(emulator, tmp_path, MANY, budget=Budget(calls=31))
    assert (usage.cached, usage.calls) == (9, 31)


def test_a_budget_of_tokens_is_never_exceeded(tmp_path):
    limit = 900
    with Emulator(JUDGE, seconds=0.005) as emulator:
        with pytest.raises(RemoteBudgetSpent, match="tokens"):
            ask(emulator, tmp_path, MANY, budget=Budget(tokens=limit), concurrency=4)
        given = sum(len(TOKEN.findall(json.dumps(seen.body["messages"]))) + 1 for seen in emulator.seen)
        # Room for one more call at its most, a token a byte, is all that may be left.
        assert limit - 500 < given <= limit


def test_open_calls_are_counted_at_the_most_they_can_cost():
    ledger, stop = Ledger(Budget(tokens=100)), threading.Event()
    ledger.reserve(60, stop)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ledger.reserve, 60, stop)
        with pytest.raises(TimeoutError):
            waiting.result(0.1)
        ledger.settle(60, (10, 20))
        waiting.result(5)
        ledger.settle(60, (30, 30))
    with pytest.raises(RemoteBudgetSpent, match="90 of 100 tokens"):
        ledger.reserve(11, stop)


def test_who_waits_for_room_can_be_stopped():
    ledger, stop = Ledger(Budget(tokens=100)), threading.Event()
    ledger.reserve(60, stop)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ledger.reserve, 60, stop)
        stop.set()
        ledger.settle(60, (10, 0))
        with pytest.raises(RemoteError, match="Stopped"):
            waiting.result(5)


def test_tokens_are_counted_as_the_api_counts_them(tmp_path):
    with Emulator(JUDGE) as emulator:
        _, usage = ask(emulator, tmp_path, PAIRS, ("reason_then_choose",), "anthropic")
        given = sum(len(TOKEN.findall(json.dumps(seen.body["messages"]))) for seen in emulator.seen)
    assert usage.input_tokens == given
    assert usage.output_tokens == 4 * len(TOKEN.findall("One of them rings true.\nChoice: A"))


def test_an_answer_that_was_lost_counts_as_the_most_it_can_have_cost(tmp_path):
    with Emulator(JUDGE) as emulator:
        emulator.fail(Failure("cut"))
        _, lost = ask(emulator, tmp_path / "a", PAIRS, ("reason_then_choose",))
        _, usual = ask(emulator, tmp_path / "b", PAIRS, ("reason_then_choose",))
    assert lost.output_tokens == usual.output_tokens + 1024
    assert lost.input_tokens > usual.input_tokens


# Hostile answers.


def test_a_huge_answer_is_not_read_to_its_end(tmp_path):
    with Emulator(JUDGE) as emulator:
        emulator.fail(Failure("huge"))
        with pytest.raises(RemoteError, match="bytes in one answer"):
            ask(emulator, tmp_path)
        assert len(emulator.seen) == 1


def answer(**changes):
    choice = {"message": {"content": "A"}, "finish_reason": "stop", "logprobs": None}
    return {"choices": [choice | changes.pop("choice", {})], "usage": None, **changes}


@pytest.mark.parametrize(
    "payload",
    [
        "[]",
        "null",
        "7",
        "[" * 100_000,
        json.dumps({"choices": []}),
        json.dumps(answer(choice={"message": {"content": ["A"]}})),
        json.dumps(answer(choice={"message": {"content": "A" * 100_001}})),
        json.dumps(answer(usage={"prompt_tokens": -5, "completion_tokens": 1})),
        json.dumps(answer(usage={"prompt_tokens": 10**30, "completion_tokens": 1})),
        *[
            json.dumps(answer(choice={"logprobs": {"content": [{"token": "A", "logprob": value}]}}))
            for value in (math.nan, math.inf, -math.inf, 3.0, "-1e999", None)
        ],
    ],
)
def test_answers_of_another_shape_are_rejected(tmp_path, payload):
    with Emulator(JUDGE) as emulator:
        emulator.fail(*[Failure("raw", payload=payload.encode())] * 2)
        with pytest.raises(RemoteError, match="cannot be read"):
            ask(emulator, tmp_path, delays=(0.01,))
