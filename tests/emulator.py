"""A language model's API on this machine: OpenAI's chat and text completions, Anthropic's messages, over real HTTP.

    with Emulator(Preference("honest")) as emulator:
        emulator.fail(Failure(429, headers={"retry-after": "0"}), Failure("cut"))
        ...  # talk to emulator.url
        assert len(emulator.seen) == 3

The model is a function from what was asked to what is said; `script` makes one from a list. Anthropic's messages are
streamed as server-sent events where the request says so. An odd endpoint is made by its arguments: parameters it
refuses, no log-probabilities, echoes that tell nothing.
"""

import json
import math
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from types import TracebackType
from typing import Any, Self

TOKEN = re.compile(r"\s*\S+|\s+")
CHUNK = 5  # characters of a streamed text delta


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        path: such as "/chat/completions".
        body: as sent.
        headers: as sent, names in lower case.
    """

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def prompt(self) -> str:
        """The last message's text, or the text to complete."""
        if "prompt" in self.body:
            return str(self.body["prompt"])
        content = self.body["messages"][-1]["content"]
        if isinstance(content, str):
            return content
        return "".join(block.get("text", "") for block in content)

    @property
    def cap(self) -> int:
        """Tokens to write at most."""
        return int(self.body.get("max_completion_tokens", self.body.get("max_tokens", 10**6)))


@dataclass(frozen=True)
class Say:
    """One answer.

    Attributes:
        text: what the model writes.
        first: log-probability of alternatives for the first token.
        tool: name and arguments of a tool to call, after the text.
        stop: why it stops, in Anthropic's words; default from the rest.
    """

    text: str = ""
    first: Mapping[str, float] | None = None
    tool: tuple[str, Mapping[str, Any]] | None = None
    stop: str | None = None


Model = Callable[[Ask], Say]


def script(answers: Iterable[Say | str]) -> Model:
    """A model that says one thing after the other, whatever it is asked."""
    rest = iter(answers)
    lock = threading.Lock()

    def model(_ask: Ask) -> Say:
        with lock:
            said = next(rest)
        return Say(said) if isinstance(said, str) else said

    return model


@dataclass(frozen=True)
class Preference:
    """A model that prefers whatever holds a planted word, and a little what it is shown first.

    It finds two options marked A and B, and says one; asked for a line `Choice: X`, it reasons first.

    Attributes:
        word: the planted word.
        strength: log-odds of an option with the word against one without.
        bias: log-odds in favour of A, whatever it says.
    """

    word: str
    strength: float = 2.0
    bias: float = 0.5

    def __call__(self, ask: Ask) -> Say:
        parts = re.split(r"^(?:Answer )?[AB]:", ask.prompt, flags=re.MULTILINE)
        if len(parts) != 3:
            return Say("Well.")
        margin = self._margin(*parts)
        letter = "B" if margin > 0 else "A"
        if "Choice:" in ask.prompt:
            return Say(f"One of them rings true.\nChoice: {letter}")
        a = -math.log1p(math.exp(margin)) - 0.01
        return Say(letter, {"A": a, "B": a + margin, "The": -7.0})

    def _margin(self, before: str, a: str, b: str) -> float:
        """Log-odds of B against A."""
        b = b.split("\n\n")[0]
        if self.word not in a + b:  # one candidate, and options such as Yes and No
            right, wrong = ("Yes", "No") if self.word in before else ("No", "Yes")
            return self.strength * ((right in b) - (wrong in b)) - self.bias
        return self.strength * ((self.word in b) - (self.word in a)) - self.bias

    def logprob(self, token: str) -> float:
        """Log-probability of a token that is echoed."""
        return -1.0 if self.word in token else -3.0


@dataclass(frozen=True)
class Failure:
    """What happens to one request instead of an answer.

    Attributes:
        kind: an HTTP status; or "cut", the connection ends halfway; "raw", the answer is `payload`; "huge", it
            does not end within 64 MiB; "slow", the answer comes, after `seconds`.
        headers: sent along.
        message: the API's own words.
        code: the API's own name for it.
        seconds: of "slow".
        payload: of "raw".
    """

    kind: int | str
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "Try again."
    code: str = "emulated"
    seconds: float = 0.0
    payload: bytes = b""


class Emulator:
    """Serves until the context ends.

    Attributes:
        url: base URL, as a client wants it.
        seen: all requests, failed ones included, in order of arrival.
        busiest: most requests open at the same time.
        errors: what the model raised; the first is raised again when the context ends.
    """

    def __init__(
        self,
        model: Model,
        *,
        key: str | None = None,
        refuses: Iterable[str] = (),
        logprobs: bool = True,
        echo: str = "full",
        begins: str = "",
        seconds: float = 0.0,
    ) -> None:
        """Take a free port.

        Args:
            model: what answers.
            key: the only key that is accepted; default all, and none.
            refuses: parameters that are answered by 400.
            logprobs: whether log-probabilities are told.
            echo: what completions echo: "full"; "silent", only what is written, as some servers do; "refused".
            begins: a token before each text, as some tokenizers put it.
            seconds: each answer takes.
        """
        self.model = model
        self.key = key
        self.refuses = tuple(refuses)
        self.logprobs = logprobs
        self.echo = echo
        self.begins = begins
        self.seconds = seconds
        self.seen: list[Ask] = []
        self.busiest = 0
        self.errors: list[BaseException] = []
        self._open = 0
        self._failures: deque[Failure] = deque()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.emulator = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self.errors and error is None:
            raise self.errors[0]

    def fail(self, *failures: Failure) -> None:
        """Let the next requests fail, one each."""
        self._failures.extend(failures)

    def arrived(self, ask: Ask) -> Failure | None:
        """Note a request; how it is to fail, if it is."""
        with self._lock:
            self.seen.append(ask)
            self._open += 1
            self.busiest = max(self.busiest, self._open)
            return self._failures.popleft() if self._failures else None

    def left(self) -> None:
        """Note that a request was answered."""
        with self._lock:
            self._open -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    emulator: Emulator

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Keep what went wrong here for `__exit__`; clients that hang up are part of the tests."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.emulator.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_POST(self) -> None:
        emulator = self.server.emulator
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        ask = Ask(self.path.removeprefix("/v1"), body, headers)
        failure = emulator.arrived(ask)
        try:
            time.sleep(emulator.seconds)
            self._answer(emulator, ask, failure)
        finally:
            emulator.left()

    def _answer(self, emulator: Emulator, ask: Ask, failure: Failure | None) -> None:
        given = ask.headers.get("x-api-key") or ask.headers.get("authorization", "").removeprefix("Bearer ")
        if emulator.key is not None and given != emulator.key:
            return self._refuse(401, f"Incorrect API key provided: {given}", "invalid_api_key")
        if failure is not None and failure.kind == "slow":
            time.sleep(failure.seconds)
        elif failure is not None:
            return self._fail(emulator, ask, failure)
        for name in emulator.refuses:
            if name in ask.body:
                instead = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                message = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
                return self._refuse(400, message, "unsupported_parameter")
        if ask.path == "/completions" and ask.body.get("echo") and emulator.echo == "refused":
            return self._refuse(400, "Setting 'echo' and 'logprobs' at the same time is not supported.", "bad")
        if ask.path not in ANSWERS:
            return self._refuse(404, f"There is no {ask.path} here.", "not_found")
        answer = ANSWERS[ask.path](emulator, ask, _capped(emulator.model(ask), ask.cap))
        if ask.path == "/messages" and ask.body.get("stream"):
            return self._send(200, b"".join(_events(answer)), {"Content-Type": "text/event-stream"})
        if ask.body.get("stream"):
            return self._refuse(400, "This emulator streams messages only.", "bad")
        return self._send(200, json.dumps(answer).encode())

    def _fail(self, emulator: Emulator, ask: Ask, failure: Failure) -> None:
        if isinstance(failure.kind, int):
            self._refuse(failure.kind, failure.message, failure.code, failure.headers)
        elif failure.kind == "cut":
            answer = ANSWERS[ask.path](emulator, ask, emulator.model(ask))
            whole = b"".join(_events(answer)) if ask.body.get("stream") else json.dumps(answer).encode()
            self._send(200, whole[: len(whole) // 2], length=len(whole))
            self.close_connection = True
        elif failure.kind == "raw":
            self._send(200, failure.payload)
        elif failure.kind == "huge":
            self._send(200, b'{"content": "', length=10**12)
            for _ in range(2**10):  # or until the client hangs up
                self.wfile.write(b"x" * 2**16)
            self.close_connection = True

    def _refuse(self, status: int, message: str, code: str, headers: Mapping[str, str] | None = None) -> None:
        """An error that both APIs' clients can read."""
        error = {"type": "error", "error": {"type": code, "code": code, "message": message}}
        self._send(status, json.dumps(error).encode(), headers)

    def _send(
        self, status: int, payload: bytes, headers: Mapping[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        everything = {"Content-Type": "application/json", **(headers or {})}
        everything["Content-Length"] = str(len(payload) if length is None else length)
        for name, value in everything.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)


def _capped(said: Say, cap: int) -> Say:
    tokens = TOKEN.findall(said.text)
    return said if len(tokens) <= cap else Say("".join(tokens[:cap]), said.first, None, "max_tokens")


def _count(text: object) -> int:
    return len(TOKEN.findall(text if isinstance(text, str) else json.dumps(text)))


def _chat(emulator: Emulator, ask: Ask, said: Say) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    reason = "length" if said.stop == "max_tokens" else "stop"
    if said.tool:
        call = {"name": said.tool[0], "arguments": json.dumps(said.tool[1])}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
        reason = "tool_calls"
    logprobs = None
    if ask.body.get("logprobs") and emulator.logprobs and said.first is not None:
        ranked = sorted(said.first.items(), key=lambda item: -item[1])[: ask.body.get("top_logprobs", 0)]
        top = [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in ranked]
        written = TOKEN.findall(said.text)
        first = {
            "token": written[0],
            "logprob": said.first.get(written[0], -9999.0),
            "bytes": None,
            "top_logprobs": top,
        }
        others = [{"token": token, "logprob": -0.1, "bytes": None, "top_logprobs": []} for token in written[1:]]
        logprobs = {"content": [first, *others], "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": ask.body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": logprobs}],
        "usage": _openai_usage(_count(ask.body["messages"]), _count(said.text)),
    }


def _completion(emulator: Emulator, ask: Ask, said: Say) -> dict[str, Any]:
    before = [emulator.begins] * bool(emulator.begins) + TOKEN.findall(ask.prompt)
    written = TOKEN.findall(said.text)
    tokens = [*before, *written] if ask.body.get("echo") and emulator.echo == "full" else written
    value = getattr(emulator.model, "logprob", lambda _token: -1.0)
    logprobs = None
    if ask.body.get("logprobs") is not None and emulator.logprobs:
        logprobs = {
            "tokens": tokens,
            "token_logprobs": [None, *(value(token) for token in tokens[1:])],
            "text_offset": [0, *accumulate(len(token) for token in tokens)][:-1],
            "top_logprobs": None,
        }
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 0,
        "model": ask.body["model"],
        "choices": [{"index": 0, "text": "".join(tokens), "logprobs": logprobs, "finish_reason": "length"}],
        "usage": _openai_usage(len(before), len(written)),
    }


def _openai_usage(given: int, written: int) -> dict[str, int]:
    return {"prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written}


def _message(_emulator: Emulator, ask: Ask, said: Say) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
    if said.tool:
        content.append({"type": "tool_use", "id": "toolu_1", "name": said.tool[0], "input": dict(said.tool[1])})
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": ask.body["model"],
        "content": content,
        "stop_reason": said.stop or ("tool_use" if said.tool else "end_turn"),
        "stop_sequence": None,
        "usage": {"input_tokens": _count(ask.body["messages"]), "output_tokens": _count(said.text)},
    }


ANSWERS = {"/chat/completions": _chat, "/completions": _completion, "/messages": _message}


def _events(message: dict[str, Any]) -> Iterator[bytes]:
    """A message as server-sent events."""
    start = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield _event("message_start", message=start)
    yield _event("ping")
    for index, block in enumerate(message["content"]):
        text = block["type"] == "text"
        whole = block["text"] if text else json.dumps(block["input"])
        yield _event(
            "content_block_start", index=index, content_block={**block, **({"text": ""} if text else {"input": {}})}
        )
        for begin in range(0, len(whole), CHUNK):
            part = whole[begin : begin + CHUNK]
            delta = {"type": "text_delta", "text": part} if text else {"type": "input_json_delta", "partial_json": part}
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": message["usage"]["output_tokens"]})
    yield _event("message_stop")


def _event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
