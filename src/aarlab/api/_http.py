"""Requests to the server: tries again where that is safe, and turns problems into errors."""

import time
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from aarlab.api.errors import (
    ApiError,
    BudgetExceeded,
    Forbidden,
    NotFound,
    Refused,
    ServerFailed,
    Unauthorized,
    Unreachable,
)
from aarlab.api.schemas import PREFIX, Problem

T = TypeVar("T")

DELAYS = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds before each further try
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
WAIT_SECONDS = 20.0  # of one long poll

BY_STATUS: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound}
NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
AWAY = (502, 503)


class HttpClient:
    """One connection pool and one token; safe to share between threads."""

    def __init__(self, base_url: str, token: str) -> None:
        """Connect lazily.

        Args:
            base_url: such as `http://127.0.0.1:8470`, without the API's prefix.
            token: the bearer token.

        Raises:
            Unauthorized: this cannot be a token.
        """
        token = token.strip()  # files and variables often end with a newline
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Unauthorized("The token is empty or has characters that no token has.", "Copy it again, whole.")
        self.base_url = base_url.rstrip("/")
        local = httpx.URL(self.base_url).host in ("127.0.0.1", "localhost", "::1")
        self._http = httpx.Client(
            base_url=self.base_url + PREFIX,
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

    def _get(self, path: str, answer: type[T], *, wait: float = 0.0, **query: int | float) -> T:
        if wait:
            query["wait"] = wait
        return self._call("GET", path, answer, query=query, seconds=ANSWER_SECONDS + wait)

    def _post(
        self, path: str, answer: type[T], body: BaseModel | None = None, *, repeatable: bool = True, wait: float = 0.0
    ) -> T:
        query = {"wait": wait} if wait else {}
        return self._call(
            "POST", path, answer, body=body, query=query, repeatable=repeatable, seconds=ANSWER_SECONDS + wait
        )

    def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: BaseModel | None = None,
        query: dict[str, Any] | None = None,
        repeatable: bool = True,
        seconds: float = ANSWER_SECONDS,
    ) -> T:
        """Send, and again after a pause if the request did not arrive or may safely arrive twice."""
        request = self._http.build_request(
            method,
            path,
            content=None if body is None else body.model_dump_json().encode(),
            headers=None if body is None else {"Content-Type": "application/json"},
            params=query or None,
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        )
        for delay in (*DELAYS, None):
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                if delay is None or not (repeatable or isinstance(error, NEVER_ARRIVED)):
                    raise Unreachable(
                        f"{self.base_url} does not answer: {str(error) or type(error).__name__}.",
                        "Check that the server runs and that the address is right.",
                    ) from error
            else:
                if delay is None or not repeatable or response.status_code not in AWAY:
                    return _read(response, answer)
            time.sleep(delay)
        raise AssertionError("the last try returns or raises")


def _read(response: httpx.Response, answer: type[T]) -> T:
    if not response.is_success:
        raise _error(response)
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
    kind = BY_STATUS.get(status, Refused if status < 500 else ServerFailed)
    return kind(problem.detail, problem.advice, status=status, type=problem.type)
