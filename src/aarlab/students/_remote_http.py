"""One POST to a model's API: a budget before it, tries after it, and no key in what is told of it.

What is protected: the key goes into one header of requests to one address and into no message, log or file; answers
are read up to a size and a deadline and validated before use; no call is made that could exceed the budget. What is
not: the address is the operator's choice, and a provider's own count of tokens is believed where it gives one.
"""

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import numpy as np
from pydantic import BaseModel, ValidationError

from aarlab.errors import AarlabError

DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds before each further try, give or take a half
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 120.0
MAX_WAIT_SECONDS = 120.0  # the longest Retry-After that is waited for
MAX_ANSWER_BYTES = 4 * 2**20
MAX_SAID_CHARACTERS = 300  # of a provider's error message
OVERHEAD_TOKENS = 64  # that a provider may put around a prompt
AGAIN = frozenset({408, 409, 425, 429})  # besides 5xx
NO_CREDIT = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "enforced_spend_limit_reached",
    "credit balance is too low",
)
NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class RemoteError(AarlabError):
    """A remote model could not be asked, or its answer could not be used."""


class RemoteRefused(RemoteError):
    """The API refused the request itself; asking again will not help.

    Attributes:
        status: HTTP status.
        said: the API's own message, cleaned; it may name a parameter.
    """

    def __init__(self, message: str, advice: str, *, status: int, said: str) -> None:
        super().__init__(message, advice)
        self.status = status
        self.said = said


class RemoteKeyRefused(RemoteRefused):
    """The API does not accept the key, or the key may not do this."""


class RemoteBudgetSpent(RemoteError):
    """One more call might exceed the budget. What was answered so far is kept.

    Attributes:
        spent: calls or tokens so far.
        limit: calls or tokens granted.
    """

    def __init__(self, unit: str, spent: int, limit: int) -> None:
        super().__init__(
            f"One more call may exceed the budget: {spent} of {limit} {unit} are spent.",
            "Raise the budget and run again; answers so far are kept and cost nothing.",
        )
        self.spent = spent
        self.limit = limit


class _Again(Exception):
    """Worth another try."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True)
class Budget:
    """What may be spent; None is no limit.

    Attributes:
        calls: requests sent, further tries included.
        tokens: input and output tokens.
    """

    calls: int | None = None
    tokens: int | None = None


class Ledger:
    """Counts calls and tokens, and refuses what might exceed the budget; safe to share between threads."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.calls = self.input_tokens = self.output_tokens = 0
        self._reserved = 0
        self._changed = threading.Condition()

    def reserve(self, most: int, stop: threading.Event) -> None:
        """Count a call and set aside the tokens it can cost at most; waits while open calls might still leave room.

        Raises:
            RemoteBudgetSpent: there is no room left.
            RemoteError: `stop` was set.
        """
        calls, tokens = self.budget.calls, self.budget.tokens
        with self._changed:
            while True:
                if stop.is_set():
                    raise RemoteError("Stopped before the model was asked.")
                if calls is not None and self.calls >= calls:
                    raise RemoteBudgetSpent("calls", self.calls, calls)
                spent = self.input_tokens + self.output_tokens
                if tokens is None or spent + self._reserved + most <= tokens:
                    break
                if not self._reserved:
                    raise RemoteBudgetSpent("tokens", spent, tokens)
                self._changed.wait()
            self.calls += 1
            self._reserved += most

    def settle(self, most: int, cost: tuple[int, int]) -> None:
        """Replace what `reserve` set aside by the cost in (input, output) tokens."""
        with self._changed:
            self._reserved -= most
            self.input_tokens += cost[0]
            self.output_tokens += cost[1]
            self._changed.notify_all()


class Answer(BaseModel):
    """An API's answer: untrusted, unknown fields ignored."""

    def cost(self) -> tuple[int, int] | None:
        """Input and output tokens by the API's own count; None if it gives none."""
        raise NotImplementedError


T = TypeVar("T", bound=Answer)


class Endpoint:
    """One address, one key, one connection pool; safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        key: str,
        ledger: Ledger,
        *,
        delays: Sequence[float] = DELAYS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Connect lazily.

        Args:
            base_url: such as `https://api.openai.com/v1`.
            headers: sent with each request; they hold the key.
            key: the key, only to strike it out of messages.
            ledger: what calls are counted in.
            delays: seconds before each further try.
            answer_seconds: for one answer, whole.
        """
        self.base_url = base_url
        self.ledger = ledger
        self._key = key
        self._delays = tuple(delays)
        self._answer_seconds = answer_seconds
        self._http = httpx.Client(
            base_url=base_url,
            # Compressed answers could grow past any size that is checked before they are unpacked.
            headers={**headers, "Content-Type": "application/json", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS),
            trust_env=httpx.URL(base_url).host not in ("127.0.0.1", "localhost", "::1"),
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def post(self, path: str, body: Mapping[str, Any], answer: type[T], most_output: int, stop: threading.Event) -> T:
        """Send, and again after a pause while that may help.

        Args:
            path: below the base URL.
            body: the request.
            answer: what the answer must look like.
            most_output: tokens that the model may write at most.
            stop: gives up waiting when set.

        Raises:
            RemoteBudgetSpent: the call might exceed the budget.
            RemoteRefused: the request itself is at fault, or the key.
            RemoteError: no usable answer after several tries.
        """
        content = json.dumps(body).encode()
        for delay in (*self._delays, None):
            try:
                return self._try(path, content, answer, most_output, stop)
            except _Again as problem:
                if delay is None:
                    raise RemoteError(
                        f"{self.base_url} gave no usable answer in {len(self._delays) + 1} tries; the last: {problem}.",
                        "Run again later; answers so far are kept.",
                    ) from None
                jitter = np.random.default_rng().uniform(0.5, 1.5)
                stop.wait(max(problem.wait, delay * jitter))
        raise AssertionError("the last try returns or raises")

    def _try(self, path: str, content: bytes, answer: type[T], most_output: int, stop: threading.Event) -> T:
        most_input = len(content) + OVERHEAD_TOKENS  # a token is at least one byte
        most = most_input + most_output
        self.ledger.reserve(most, stop)
        cost = (most_input, most_output)  # of an answer that got lost on its way: it may have been written
        try:
            status, headers, payload = self._send(path, content)
            if status != httpx.codes.OK:
                cost = (0, 0)
                raise self._problem(status, headers, payload)
            found = answer.model_validate_json(payload)
            cost = found.cost() or cost
        except httpx.TransportError as error:
            if isinstance(error, NEVER_ARRIVED):
                cost = (0, 0)
            why = f"{type(error).__name__}: {error}"
        except ValidationError as error:
            why = f"an answer that cannot be read ({error.errors(include_input=False)[0]['msg']})"
        else:
            return found
        finally:
            self.ledger.settle(most, cost)
        # Out here, so that it holds no httpx error: those hold the request, whose headers hold the key.
        raise _Again(self._clean(why))

    def _send(self, path: str, content: bytes) -> tuple[int, httpx.Headers, bytes]:
        deadline = time.monotonic() + self._answer_seconds
        payload = bytearray()
        with self._http.stream("POST", path, content=content) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise RemoteError(f"{self.base_url} compresses its answers although it was asked not to.")
            for chunk in response.iter_raw():
                payload += chunk
                if len(payload) > MAX_ANSWER_BYTES:
                    raise RemoteError(
                        f"{self.base_url} sent more than {MAX_ANSWER_BYTES} bytes in one answer.",
                        "Check the address: no model was asked for that much.",
                    )
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer did not end in time")
        return response.status_code, response.headers, bytes(payload)

    def _problem(self, status: int, headers: httpx.Headers, payload: bytes) -> Exception:
        said = self._clean(_message(payload))
        if status == httpx.codes.UNAUTHORIZED or status == httpx.codes.FORBIDDEN:
            # Without the API's own words: some repeat the key, or a part of it.
            return RemoteKeyRefused(
                f"{self.base_url} does not accept the key ({status}).",
                "Check the key in its environment variable, and that it may use this model.",
                status=status,
                said=said,
            )
        if any(word in said for word in NO_CREDIT):
            return RemoteError(f"{self.base_url} says that no credit is left: {said}", "Add credit, then run again.")
        if status in AGAIN or (status >= 500 and "support" not in said.lower()):
            wait = _retry_after(headers)
            if wait > MAX_WAIT_SECONDS:
                return RemoteError(
                    f"{self.base_url} asks to wait {wait:.0f} seconds ({status}).",
                    "Run again after that; answers so far are kept.",
                )
            return _Again(f"{status} {said}".strip(), wait)
        return RemoteRefused(
            f"{self.base_url} refused the request ({status}): {said or 'it does not say why'}.",
            "Check the model's name and the address.",
            status=status,
            said=said,
        )

    def _clean(self, said: str) -> str:
        """One printable line without the key."""
        if len(self._key) >= 8:  # shorter ones are placeholders of local servers, and would match anywhere
            said = said.replace(self._key, "***")
        return re.sub(r"[^\x20-\x7e]+", " ", said)[:MAX_SAID_CHARACTERS].strip().rstrip(".")


def _message(payload: bytes) -> str:
    """The words in an API's error, whichever of the usual shapes it has; empty if it has none."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):  # a proxy's page, say
        return ""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        parts = (error.get(name) for name in ("code", "message", "detail"))
        return " ".join(str(part) for part in parts if isinstance(part, str))
    return error if isinstance(error, str) else ""


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds that the API asks to wait; 0 if it does not say, or says nonsense."""
    milliseconds, plain = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    try:
        seconds = float(milliseconds) / 1000 if milliseconds else float(plain or 0)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(plain) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # TypeError: a date without a time zone
            return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0
