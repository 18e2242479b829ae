"""Ask a remote model about examples, on the operator's side; `aarlab.students.remote` reads what comes of it.

`aarlab.students._remote_readouts` tells what is asked. Choices are asked in both orders of their options; an answer
that cannot be read is a margin of 0 and counted. Each answer is cached on disk when it comes, so that an interrupted
run goes on and a second one costs nothing.
"""

import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, cast

import httpx
import numpy as np
from numpy.typing import NDArray

from aarlab.students._remote_cache import Cache
from aarlab.students._remote_http import (
    ANSWER_SECONDS,
    DELAYS,
    Budget,
    Endpoint,
    Ledger,
    RemoteBudgetSpent,
    RemoteError,
    RemoteKeyRefused,
    RemoteRefused,
)
from aarlab.students._remote_readouts import MOST_TOKENS, Question, margin, questions
from aarlab.students._remote_wire import AnthropicWire, OpenAIWire, ReadoutUnsupported, Said, Wire
from aarlab.students.protocol import Strings
from aarlab.students.remote import CONTINUATION, READOUTS

__all__ = [
    "Budget",
    "ReadoutUnsupported",
    "RemoteBudgetSpent",
    "RemoteError",
    "RemoteKeyRefused",
    "RemoteModel",
    "RemoteRefused",
    "RemoteSpec",
    "Usage",
    "parse_remote",
    "read_margins",
]

log = logging.getLogger(__name__)

Provider = Literal["openai", "anthropic"]

BASE_URLS: dict[str, str] = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
KEY_VARIABLES: dict[str, str] = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
ANTHROPIC_VERSION = "2023-06-01"

CACHE_VERSION = 1


@dataclass(frozen=True)
class RemoteSpec:
    """Which model, behind which API, where.

    Attributes:
        provider: "openai" for any API compatible with OpenAI's, or "anthropic".
        model: the model's name there.
        base_url: address of the API, up to its version.
    """

    provider: Provider
    model: str
    base_url: str


def parse_remote(spec: str) -> RemoteSpec:
    """Read `remote:PROVIDER/MODEL` or `remote:PROVIDER/MODEL@http://host:port/v1`.

    Raises:
        RemoteError: it is neither.
    """
    match = re.fullmatch(r"remote:(openai|anthropic)/(\S+?)(?:@(https?://\S+))?", spec)
    if match is None or "://" in match[2]:
        raise RemoteError(
            f"{spec!r} names no remote student.",
            "Write remote:openai/MODEL or remote:anthropic/MODEL, with @http://host:port/v1 for another address.",
        )
    provider, model, address = cast("Provider", match[1]), match[2], match[3] or BASE_URLS[match[1]]
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or url.userinfo or url.query or url.fragment:
        raise RemoteError(
            f"The address in the spec of {model} cannot be used.",
            "Write http://host:port/v1; a key belongs into an environment variable.",
        )
    return RemoteSpec(provider, model, str(url).rstrip("/"))


@dataclass(frozen=True)
class Usage:
    """What a run cost.

    Attributes:
        calls: requests sent, further tries included.
        input_tokens: by the API's count; of answers that got lost, what they can have cost at most.
        output_tokens: likewise.
        cached: answers that were on disk already.
        unparsed: answers that could not be read as a choice; their margin is 0.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    cached: int
    unparsed: int


class RemoteModel:
    """A model behind an API. Holds the key in memory and shows it to its API only."""

    def __init__(
        self,
        spec: RemoteSpec,
        *,
        key_variable: str | None = None,
        budget: Budget | None = None,
        concurrency: int = 8,
        delays: Sequence[float] = DELAYS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Read the key; connect lazily.

        Args:
            spec: which model, and where.
            key_variable: environment variable that holds the key; default the provider's usual one. At an address of
                one's own it may be unset: many local servers ask for none.
            budget: what may be spent over the life of this object; default no limit.
            concurrency: calls open at the same time.
            delays: seconds before each further try.
            answer_seconds: for one answer, whole.

        Raises:
            RemoteError: there is no key, or what is there can be none.
        """
        self.spec = spec
        self.concurrency = concurrency
        self.ledger = Ledger(budget or Budget())
        variable = key_variable or KEY_VARIABLES[spec.provider]
        key = os.environ.get(variable, "").strip()  # files and variables often end with a newline
        if not key and spec.base_url == BASE_URLS[spec.provider]:
            raise RemoteError(f"There is no key for {spec.base_url}.", f"Put it into the variable {variable}.")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise RemoteError(f"What {variable} holds can be no key.", "Copy the key again, whole.")
        headers = {"anthropic-version": ANTHROPIC_VERSION} if spec.provider == "anthropic" else {}
        if key:
            headers |= {"x-api-key": key} if spec.provider == "anthropic" else {"Authorization": f"Bearer {key}"}
        self._endpoint = Endpoint(
            spec.base_url, headers, key, self.ledger, delays=delays, answer_seconds=answer_seconds
        )
        wire = AnthropicWire if spec.provider == "anthropic" else OpenAIWire
        self._wire: Wire = wire(self._endpoint, spec.model)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._endpoint.close()

    def choose(self, readout: str, prompt: str, temperature: float, stop: threading.Event) -> Said:
        """Ask for a choice; `prompt` ends as the readout wants.

        Raises:
            RemoteError: see `aarlab.students._remote_http.Endpoint.post`.
        """
        return self._wire.chat(prompt, MOST_TOKENS[readout], temperature, readout == "forced_choice", stop)

    def write(self, prompt: str, most_tokens: int, stop: threading.Event) -> str | None:
        """Ask for a text; None if it was cut off, or a filter refused the prompt.

        Args:
            prompt: the message.
            most_tokens: the answer's length at most.
            stop: gives up when set.

        Raises:
            RemoteError: see `aarlab.students._remote_http.Endpoint.post`.
        """
        said = self._wire.chat(prompt, most_tokens, 0.0, False, stop)
        return said.text if said.ended and said.text else None

    def continuation(self, prompt: str, candidate: str, stop: threading.Event) -> Said:
        """Ask how likely a candidate is after a prompt.

        Raises:
            ReadoutUnsupported: the API does not tell.
            RemoteError: see `aarlab.students._remote_http.Endpoint.post`.
        """
        return self._wire.continuation(prompt, candidate, stop)


def read_margins(
    model: RemoteModel,
    texts: Strings,
    readouts: Sequence[str] = ("forced_choice",),
    *,
    cache_folder: Path,
    progress: Callable[[int, int], None] | None = None,
    samples: int = 1,
) -> tuple[dict[str, NDArray[np.float32]], Usage]:
    """Ask a model about texts, in their stored order.

    One question of each readout is asked first and alone, so that a wrong key, name or readout shows before it is
    asked a thousand times. Whatever ends a run early, answers so far are on disk, and the next run goes on from there.

    Args:
        model: whom to ask.
        texts: prompt, first, second candidate, shape (n, 3), or prompt, candidate, shape (n, 2).
        readouts: what to ask, of `READOUTS`.
        cache_folder: where answers are kept; it may serve many models and testbeds.
        progress: told how many of how many answers there are.
        samples: answers to each choice, averaged; more than one are drawn at temperature 1.

    Returns:
        Columns for `Examples` (see `aarlab.students.remote`) and what the run cost.

    Raises:
        ReadoutUnsupported: the API does not tell what a readout needs.
        RemoteBudgetSpent: going on might exceed the budget.
        RemoteKeyRefused: the API does not accept the key.
        RemoteError: something else kept the model from being asked.
        ValueError: shapes or arguments are out of range.
    """
    if texts.ndim != 2 or texts.shape[1] not in (2, 3):
        raise ValueError(f"texts have shape {texts.shape}, not (n, 2) or (n, 3)")
    if not readouts or len(set(readouts)) < len(readouts) or not set(readouts) <= set(READOUTS):
        raise ValueError(f"readouts must be different ones of {', '.join(READOUTS)}")
    if samples < 1:
        raise ValueError("samples must be at least 1")
    asked = [[questions(readout, [str(text) for text in row], samples) for row in texts] for readout in readouts]
    keys = {question: _key(model.spec, question) for of_rows in asked for row in of_rows for question in row}
    every = {key: question for question, key in keys.items()}
    ledger = model.ledger
    calls, given, written = ledger.calls, ledger.input_tokens, ledger.output_tokens
    with closing(Cache(cache_folder)) as cache:
        answers = {key: said for key in every if (said := cache.get(key)) is not None}
        cached = len(answers)
        _ask(model, every, answers, cache, progress or (lambda _done, _total: None))

    columns: dict[str, NDArray[np.float32]] = {}
    choices, unparsed = [], 0
    for readout, of_rows in zip(readouts, asked, strict=True):
        values = np.zeros((len(texts), 2), np.float32)
        for row, question in ((row, question) for row, of_row in enumerate(of_rows) for question in of_row):
            said = answers[keys[question]]
            if readout == CONTINUATION:
                values[row, question.order] = said.mean
            elif (value := margin(said, question)) is not None:
                values[row, question.order] += value / samples
            else:
                unparsed += 1
        if readout != CONTINUATION:
            choices.append(values)
        else:
            columns["logprob"] = values[:, 1] - values[:, 0] if texts.shape[1] == 3 else values[:, 0]
    if choices:
        columns["margins"] = np.stack(choices, axis=1)
    if unparsed:
        log.warning("%d of %d answers of %s could not be read", unparsed, len(keys), model.spec.model)
    return columns, Usage(
        ledger.calls - calls, ledger.input_tokens - given, ledger.output_tokens - written, cached, unparsed
    )


def _key(spec: RemoteSpec, question: Question) -> str:
    """Name of an answer in the cache. The address is part of it: one name may mean two models."""
    order = 0 if question.readout == CONTINUATION else question.order  # one text, whichever candidate it is
    asked = (question.readout, order, question.prompt, question.candidate, question.temperature, question.sample)
    where = (CACHE_VERSION, spec.provider, spec.model, spec.base_url, MOST_TOKENS.get(question.readout))
    return hashlib.sha256(json.dumps([where, asked]).encode()).hexdigest()


def _ask(
    model: RemoteModel,
    every: dict[str, Question],
    answers: dict[str, Said],
    cache: Cache,
    progress: Callable[[int, int], None],
) -> None:
    """Fill `answers` with what is missing."""
    missing = [key for key in every if key not in answers]
    first = list({every[key].readout: key for key in reversed(missing)}.values())
    rest = [key for key in missing if key not in first]
    stop = threading.Event()

    def ask(key: str) -> tuple[str, Said]:
        question = every[key]
        if question.readout == CONTINUATION:
            said = model.continuation(question.prompt, question.candidate, stop)
        else:
            said = model.choose(question.readout, question.prompt, question.temperature, stop)
        cache.put(key, said)  # at once, so that nothing that was paid for is lost
        return key, said

    progress(len(answers), len(every))
    for key in first:
        _, said = ask(key)
        if every[key].readout == "forced_choice" and said.first is None and not said.ended and not said.text.strip():
            raise ReadoutUnsupported(
                "forced_choice",
                f"{model.spec.model} wrote nothing in {MOST_TOKENS['forced_choice']} tokens; perhaps it always thinks",
                "Use reason_then_choose.",
            )
        answers[key] = said
        progress(len(answers), len(every))
    pool = ThreadPoolExecutor(model.concurrency, thread_name_prefix="aarlab-remote")
    try:
        for done in as_completed([pool.submit(ask, key) for key in rest]):
            key, said = done.result()
            answers[key] = said
            progress(len(answers), len(every))
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
