"""What the two APIs are sent and what they answer: OpenAI's chat and text completions, Anthropic's messages.

Endpoints that call themselves compatible differ, and so do one provider's models: a parameter that one needs is refused
by the next. The request starts out complete and is narrowed when the endpoint refuses a parameter by its name.
"""

import math
import re
import threading
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from aarlab.students._remote_http import Answer, Endpoint, RemoteError, RemoteRefused
from aarlab.students.remote import CONTINUATION

LEAST_LOGPROB = -30.0  # stands for all that is less; OpenAI writes -9999 for "not among the first 20"
TOPS = (20, 5, 0)  # alternatives to ask for at each token; some endpoints give fewer, some none
OUT_OF_TOKENS = re.compile(r"output limit was reached")
#: Refusals of one text, not of the request's form: a filter's, or of its length.
OF_THIS_TEXT = re.compile(
    r"content_filter|content_policy|content management policy|invalid_prompt"
    r"|context_length_exceeded|maximum context length|prompt is too long|string_above_max_length",
    re.IGNORECASE,
)
NO_SUCH_PATH = (404, 405, 501)
NO_ECHO = re.compile(r"\b(echo|logprobs|v1/completions)\b", re.IGNORECASE)

Logprob = Annotated[FiniteFloat, Field(le=0.01)]  # rounding may lift a certainty above 0
Text = Annotated[str, Field(max_length=100_000)]
Count = Annotated[int, Field(ge=0, le=10**9)]


class ReadoutUnsupported(RemoteError):
    """This model, or this API, does not tell what a readout needs.

    Attributes:
        readout: of `aarlab.students.remote.READOUTS`.
    """

    def __init__(self, readout: str, why: str, advice: str = "Leave this readout out.") -> None:
        super().__init__(f"The readout {readout} cannot be had here: {why}.", advice)
        self.readout = readout


class Said(BaseModel):
    """What a model said, reduced to what readouts use; the cache keeps it.

    Attributes:
        text: what it wrote.
        ended: False if the cap on tokens cut it off.
        first: log-probability of each alternative for the first token that is not blank; None where untold.
        mean: mean log-probability per token of the given text; only of a continuation.
    """

    model_config = ConfigDict(frozen=True)

    text: Text = ""
    ended: bool = True
    first: dict[Text, Logprob] | None = None
    mean: FiniteFloat | None = None


@dataclass(frozen=True)
class Dialect:
    """What of a request an endpoint takes.

    Attributes:
        cap: name of the cap on tokens.
        top: alternatives to ask for at each token, of `TOPS`.
        temperature: whether it lets us set the temperature.
        thinking: whether it lets us switch thinking off.
    """

    cap: str = "max_tokens"
    top: int = TOPS[0]
    temperature: bool = True
    thinking: bool = True

    def narrowed(self, said: str) -> "Dialect | None":
        """Without the parameter that a refusal names; None if it names none that could be left out."""
        if self.cap == "max_tokens" and "max_completion_tokens" in said:
            return replace(self, cap="max_completion_tokens")
        if self.top and re.search(r"\b(top_)?logprobs\b", said, re.IGNORECASE):
            return replace(self, top=TOPS[TOPS.index(self.top) + 1])
        if self.temperature and re.search(r"\btemperature\b", said, re.IGNORECASE):
            return replace(self, temperature=False)
        if self.thinking and re.search(r"\bthinking\b", said, re.IGNORECASE):
            return replace(self, thinking=False)
        return None


class Wire(Protocol):
    """One API's way to ask a model."""

    def chat(self, prompt: str, most_tokens: int, temperature: float, choice: bool, stop: threading.Event) -> Said:
        """Ask for an answer to one message. A text that a filter refuses, or that is too long, gets an empty one.

        Args:
            prompt: the message.
            most_tokens: the answer's length at most.
            temperature: 0 for the likeliest answer.
            choice: whether one letter is all we want: without thinking, with log-probabilities.
            stop: gives up when set.
        """

    def continuation(self, prompt: str, candidate: str, stop: threading.Event) -> Said:
        """Ask how likely a candidate is after a prompt."""


class _Narrowing:
    """Sends a request in the dialect found so far; shared between threads."""

    def __init__(self, endpoint: Endpoint, model: str) -> None:
        self._endpoint = endpoint
        self._model = model
        self._dialect = Dialect()
        self._lock = threading.Lock()

    def _narrow(self, used: Dialect, refused: RemoteRefused) -> Said | None:
        """Narrow the dialect for another try, or tell what a refusal that concerns only this text amounts to.

        Raises:
            RemoteRefused: it is neither.
        """
        if OUT_OF_TOKENS.search(refused.said):
            return Said(ended=False)
        if OF_THIS_TEXT.search(refused.said):
            return Said()
        with self._lock:
            if self._dialect is used:  # else another thread was refused the same and has narrowed it already
                narrower = used.narrowed(refused.said)
                if narrower is None:
                    raise refused
                self._dialect = narrower
        return None


class OpenAIWire(_Narrowing):
    """Chat completions, and text completions that echo their prompt."""

    def chat(self, prompt: str, most_tokens: int, temperature: float, choice: bool, stop: threading.Event) -> Said:
        """See `Wire.chat`."""
        while True:
            dialect = self._dialect
            body: dict[str, Any] = {
                "model": self._model,
                "messages": [{"role": "user", "content": prompt}],
                dialect.cap: most_tokens,
            }
            if dialect.temperature:
                body["temperature"] = temperature
            if choice and dialect.top:
                body |= {"logprobs": True, "top_logprobs": dialect.top}
            try:
                found = self._endpoint.post("/chat/completions", body, _Chat, most_tokens, stop)
            except RemoteRefused as refused:
                if said := self._narrow(dialect, refused):
                    return said
            else:
                return found.choices[0].said()

    def continuation(self, prompt: str, candidate: str, stop: threading.Event) -> Said:
        """See `Wire.continuation`."""
        body = {
            "model": self._model,
            "prompt": prompt + candidate,
            "max_tokens": 1,  # some servers take no 0
            "temperature": 0,
            "echo": True,
            "logprobs": 1,
        }
        try:
            found = self._endpoint.post("/completions", body, _Completion, 1, stop)
        except RemoteRefused as refused:
            if refused.status in NO_SUCH_PATH or NO_ECHO.search(refused.said):
                raise ReadoutUnsupported(CONTINUATION, f"the API says {refused.status} {refused.said}") from None
            raise
        return Said(mean=found.mean_logprob(prompt, candidate))


class AnthropicWire(_Narrowing):
    """Messages. There are no log-probabilities."""

    def chat(self, prompt: str, most_tokens: int, temperature: float, choice: bool, stop: threading.Event) -> Said:
        """See `Wire.chat`."""
        while True:
            dialect = self._dialect
            body: dict[str, Any] = {
                "model": self._model,
                "max_tokens": most_tokens,
                "messages": [{"role": "user", "content": prompt}],
            }
            if dialect.temperature:
                body["temperature"] = temperature
            if choice and dialect.thinking:
                body["thinking"] = {"type": "disabled"}
            try:
                found = self._endpoint.post("/messages", body, _Messages, most_tokens, stop)
            except RemoteRefused as refused:
                if said := self._narrow(dialect, refused):
                    return said
            else:
                return found.said()

    def continuation(self, prompt: str, candidate: str, stop: threading.Event) -> Said:  # noqa: ARG002
        """Raise: the API tells no log-probabilities."""
        raise ReadoutUnsupported(CONTINUATION, "Anthropic's API tells no log-probabilities")


class _OpenAIUsage(BaseModel):
    prompt_tokens: Count
    completion_tokens: Count = 0


class _OpenAIAnswer(Answer):
    usage: _OpenAIUsage | None = None

    def cost(self) -> tuple[int, int] | None:
        return None if self.usage is None else (self.usage.prompt_tokens, self.usage.completion_tokens)


class _Alternative(BaseModel):
    token: Text
    logprob: Logprob


class _Token(_Alternative):
    top_logprobs: list[_Alternative] = []


class _Tokens(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: Text | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: Text | None = None
    logprobs: _Tokens | None = None

    def said(self) -> Said:
        tokens = (self.logprobs and self.logprobs.content) or []
        first = None
        for token in tokens:
            if token.token.strip():
                alternatives = [*token.top_logprobs, token]
                first = {a.token: max(a.logprob, LEAST_LOGPROB) for a in alternatives}
                break
        return Said(text=self.message.content or "", ended=self.finish_reason != "length", first=first)


class _Chat(_OpenAIAnswer):
    choices: list[_Choice] = Field(min_length=1)


class _Echoed(BaseModel):
    tokens: list[Text] = []
    token_logprobs: list[Logprob | None] = []
    text_offset: list[Count] = []


class _TextChoice(BaseModel):
    logprobs: _Echoed | None = None


class _Completion(_OpenAIAnswer):
    choices: list[_TextChoice] = Field(min_length=1)

    def mean_logprob(self, prompt: str, candidate: str) -> float:
        """Mean log-probability of the tokens that hold a candidate.

        Raises:
            ReadoutUnsupported: the endpoint echoes no log-probabilities; some silently give those of what they wrote.
            RemoteError: the tokens do not fit the text.
        """
        echoed = self.choices[0].logprobs or _Echoed()
        tokens, logprobs = echoed.tokens, echoed.token_logprobs
        if len(tokens) < 3:  # at least one of the question, one of the candidate, and the one that had to be written
            raise ReadoutUnsupported(CONTINUATION, "the endpoint echoes no log-probabilities of the prompt")
        ends = self._ends(echoed, prompt + candidate)
        start = ends[-1] - len(candidate)
        inside = [logprob for logprob, end in zip(logprobs, ends, strict=False) if end > start]
        known = [max(logprob, LEAST_LOGPROB) for logprob in inside if logprob is not None]
        if len(logprobs) != len(tokens) or not 0 < len(inside) == len(known) < len(ends):
            raise RemoteError("The endpoint's log-probabilities do not cover the candidate.")
        return math.fsum(known) / len(known)

    def _ends(self, echoed: _Echoed, text: str) -> list[int]:
        """Where each token of the text ends; the token that was written after it is left out."""
        tokens = echoed.tokens
        for count in (len(tokens) - 1, len(tokens)):
            if "".join(tokens[:count]).endswith(text):
                return list(accumulate(len(token) for token in tokens[:count]))
        # Tokens that are parts of a character do not add up to the text. The server's own offsets do, but for a
        # shift by the token that begins a text on some; so only their differences are used.
        offsets, count = echoed.text_offset, self.usage.prompt_tokens if self.usage else len(tokens) - 1
        ends = [*offsets[1:], offsets[-1] + len(tokens[-1])] if offsets else []
        if len(ends) != len(tokens) or not 1 < count <= len(tokens) or any(a > b for a, b in pairwise(ends)):
            raise RemoteError("The endpoint's tokens do not add up to the text they were made of.")
        return ends[:count]


class _AnthropicUsage(BaseModel):
    input_tokens: Count
    output_tokens: Count
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None


class _Block(BaseModel):
    type: Text
    text: Text = ""


class _Messages(Answer):
    content: list[_Block]
    stop_reason: Text | None = None
    usage: _AnthropicUsage | None = None

    def cost(self) -> tuple[int, int] | None:
        used = self.usage
        if used is None:
            return None
        cached = (used.cache_creation_input_tokens or 0) + (used.cache_read_input_tokens or 0)
        return used.input_tokens + cached, used.output_tokens

    def said(self) -> Said:
        text = "".join(block.text for block in self.content if block.type == "text")
        return Said(text=text[:100_000], ended=self.stop_reason != "max_tokens")
