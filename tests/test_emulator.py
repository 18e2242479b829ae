"""The emulated API behaves as a client of the real ones expects."""

import json

import httpx
import pytest

from emulator import Emulator, Failure, Say, script

MESSAGES = {
    "model": "m",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
}


def events(payload):
    return [
        (lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: ")))
        for lines in (block.splitlines() for block in payload.strip().split("\n\n"))
    ]


def test_a_streamed_message_holds_what_the_whole_one_does():
    said = Say("Let me look it up.", tool=("look_up", {"word": "emu"}))
    with Emulator(script([said, said])) as emulator:
        whole = httpx.post(f"{emulator.url}/messages", json=MESSAGES).json()
        stream = httpx.post(f"{emulator.url}/messages", json={**MESSAGES, "stream": True})
    assert stream.headers["content-type"] == "text/event-stream"
    got = events(stream.text)
    kinds = [kind for kind, _ in got]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert all(kind == data["type"] for kind, data in got)
    deltas = [(data["index"], data["delta"]) for kind, data in got if kind == "content_block_delta"]
    text = "".join(delta["text"] for index, delta in deltas if index == 0)
    arguments = "".join(delta["partial_json"] for index, delta in deltas if index == 1)
    assert text == whole["content"][0]["text"]
    assert json.loads(arguments) == whole["content"][1]["input"]
    assert got[-2][1]["delta"]["stop_reason"] == whole["stop_reason"] == "tool_use"
    assert got[-2][1]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


def test_a_stream_can_be_cut():
    with Emulator(script(["A long answer."])) as emulator:
        emulator.fail(Failure("cut"))
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{emulator.url}/messages", json={**MESSAGES, "stream": True})


def test_a_tool_is_called_in_both_languages():
    said = Say(tool=("add", {"a": 1}))
    with Emulator(script([said])) as emulator:
        choice = httpx.post(f"{emulator.url}/chat/completions", json=MESSAGES).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"a": 1}


def test_an_error_of_the_model_ends_the_test():
    def broken(_ask):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Emulator(broken) as emulator, pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{emulator.url}/messages", json=MESSAGES)
