"""Requests to the server: tries again where that is safe, and turns problems into errors."""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from aarlab.api.errors import (
    ApiError,
    BudgetExceeded,
    Forbidden,
    NotFound,
    RateLimited,
    Refused,
    ServerFailed,
    Unauthorized,
    Unreachable,
)
from aarlab.api.schemas import PAGE, PREFIX, Problem

T = TypeVar("T")

DELAYS = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds before each further try
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
WAIT_SECONDS = 20.0  # of one long poll
MAX_HELD, MAX_HELD_SECONDS = 20, 60.0  # how often, and how long at once, it waits when told to come again
SOCKET = "unix://"
IDEMPOTENCY_KEY = "Idempotency-Key"

BY_STATUS: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound}
NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
UNAVAILABLE, TOO_OFTEN = 503, 429
AWAY = (502, UNAVAILABLE)


class _SocketFile(httpx.HTTPTransport):
    """Connects to a socket file, and says so where there is none."""

    def __init__(self, path: str) -> None:
        super().__init__(uds=path)
        self._path = Path(path)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        if not self._path.is_socket():
            raise httpx.ConnectError(f"there is no socket {self._path}", request=request)
        return super().handle_request(request)


class HttpClient:
    """One connection pool and one token; safe to share between threads."""

    def __init__(self, base_url: str, token: str) -> None:
        """Connect lazily.

        Args:
            base_url: such as `http://127.0.0.1:8470`, without the API's prefix, or `unix:///path/of/a/socket`.
            token: the bearer token.

        Raises:
            Unauthorized: this cannot be a token.
        """
        token = token.strip()  # files and variables often end with a newline
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Unauthorized("The token is empty or has characters that no token has.", "Copy it again, whole.")
        self.base_url = base_url.rstrip("/")
        socket = self.base_url.removeprefix(SOCKET) if self.base_url.startswith(SOCKET) else None
        address = self.base_url if socket is None else "http://localhost"
        try:
            local = httpx.URL(address).host in ("127.0.0.1", "localhost", "::1")
        except httpx.InvalidURL as error:
            raise Unreachable(f"{base_url} is no address: {error}.", "It looks like http://127.0.0.1:8470.") from None
        self._http = httpx.Client(
            base_url=address + PREFIX,
            transport=None if socket is None else _SocketFile(socket),
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=not local,  # a proxy cannot reach this machine's loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _get(self, path: str, answer: type[T], *, wait: float = 0.0, **query: object) -> T:
        if wait:
            query["wait"] = wait
        return self._call("GET", path, answer, query=query, seconds=ANSWER_SECONDS + wait)

    def _list(self, path: str, entry: type[T], **query: object) -> list[T]:
        """All pages of a listing, from `after` on, if the query has it."""
        found: list[T] = []
        while True:
            response = self._send("GET", path, query={"limit": PAGE, **query})
            found += _read(response, list[entry])  # type: ignore[valid-type]  # a type as a value
            after = httpx.URL(response.links.get("next", {}).get("url", "")).params.get("after")
            if after is None:
                return found
            query["after"] = after

    def _post(
        self,
        path: str,
        answer: type[T],
        body: BaseModel | None = None,
        *,
        repeatable: bool = True,
        key: str | None = None,
        wait: float = 0.0,
    ) -> T:
        query = {"wait": wait} if wait else {}
        return self._call(
            "POST",
            path,
            answer,
            body=body,
            query=query,
            repeatable=repeatable,
            key=key,
            seconds=ANSWER_SECONDS + wait,
        )

    def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: BaseModel | bytes | None = None,
        query: dict[str, Any] | None = None,
        repeatable: bool = True,
        key: str | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> T:
        response = self._send(method, path, body=body, query=query, repeatable=repeatable, key=key, seconds=seconds)
        return _read(response, answer)

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | bytes | None = None,
        query: dict[str, Any] | None = None,
        repeatable: bool = True,
        key: str | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> httpx.Response:
        """Send, and again after a pause if the request was held off, did not arrive, or may safely arrive twice.

        Args:
            method: of HTTP.
            path: after the API's prefix.
            body: what to send.
            query: what to append to the path.
            repeatable: whether it may arrive twice.
            key: an idempotency key; the server carries the request out once, however often it arrives.
            seconds: to wait for an answer.

        Raises:
            Unreachable: there was no answer.
        """
        headers = _content_type(body)
        if key is not None:
            headers[IDEMPOTENCY_KEY] = key
        request = self._http.build_request(
            method,
            path,
            content=body.model_dump_json(exclude_unset=method == "PATCH").encode()
            if isinstance(body, BaseModel)
            else body,
            headers=headers,
            params=query or None,
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        )
        held = 0
        for delay in (*DELAYS, None):
            try:
                response = self._http.send(request)
                while held < MAX_HELD and (pause := _held_off(response, repeatable)) is not None:
                    held += 1
                    time.sleep(pause)
                    response = self._http.send(request)
            except httpx.TransportError as error:
                if delay is None or not (repeatable or isinstance(error, NEVER_ARRIVED)):
                    raise Unreachable(
                        f"{self.base_url} does not answer: {str(error) or type(error).__name__}.",
                        "Check that the server runs and that the address is right.",
                    ) from error
            else:
                if delay is None or not repeatable or response.status_code not in AWAY:
                    return response
            time.sleep(delay)
        raise AssertionError("the last try returns or raises")


def _content_type(body: BaseModel | bytes | None) -> dict[str, str]:
    if body is None:
        return {}
    return {"Content-Type": "application/json" if isinstance(body, BaseModel) else "application/octet-stream"}


def _held_off(response: httpx.Response, repeatable: bool) -> float | None:
    """Seconds after which to send a request again that was not carried out; None if there is nothing to wait for.

    It asked too often; or the server cannot use its database for now, and says when it may.
    """
    told = response.headers.get("retry-after", "")
    if response.status_code == TOO_OFTEN and isinstance(_error(response), RateLimited):
        return min(float(told), MAX_HELD_SECONDS) if told.isdecimal() else 1.0
    if repeatable and response.status_code == UNAVAILABLE and told.isdecimal():
        return min(float(told), MAX_HELD_SECONDS)
    return None


def _read(response: httpx.Response, answer: type[T]) -> T:
    if not response.is_success:
        raise _error(response)
    if answer is bytes:
        return cast("T", response.content)
    try:
        return TypeAdapter(answer).validate_json(response.content)
    except ValidationError as error:
        raise ServerFailed(
            f"The server's answer cannot be read: {error.errors()[0]['msg']}.",
            "Use the same version of aarlab on both sides.",
            status=response.status_code,
        ) from error


def _error(response: httpx.Response) -> ApiError:
    status = response.status_code
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:  # not ours: a proxy's page, say
        return (Refused if status < 500 else ServerFailed)(
            f"The server answered {status} {response.reason_phrase}.", "Check the address.", status=status
        )
    if problem.spent is not None and problem.limit is not None:
        return BudgetExceeded(problem.detail, problem.advice, spent=problem.spent, limit=problem.limit)
    if status == TOO_OFTEN and problem.type == RateLimited.TYPE:
        return RateLimited(problem.detail, problem.advice)
    kind = BY_STATUS.get(status, Refused if status < 500 else ServerFailed)
    return kind(problem.detail, problem.advice, status=status, type=problem.type)
