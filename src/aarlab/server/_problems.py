"""Errors as the API tells them: problem details (RFC 9457), and nothing of the server's inside."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException

from aarlab.api.schemas import Problem

log = logging.getLogger(__name__)

RETRY_SECONDS = 5
FOR_NOW = (OperationalError, InterfaceError, NoConnection, OSError)  # what may come right again
MEDIA_TYPE = "application/problem+json"
#: What every answer says, unless its route says otherwise: guess, keep and run nothing.
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


class ProblemError(Exception):
    """A request cannot be granted; says why and what to do."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        advice: str = "",
        *,
        spent: float | None = None,
        limit: float = 0,
    ) -> None:
        super().__init__(detail)
        told = problem(status, kind, detail, advice)
        self.problem = told if spent is None else told.model_copy(update={"spent": spent, "limit": limit})


def problem(status: HTTPStatus, kind: str, detail: str, advice: str = "") -> Problem:
    """Problem details of a kind of ours.

    Args:
        status: of HTTP.
        kind: last part of the kind's name.
        detail: why.
        advice: what to do.
    """
    return Problem(type=f"urn:aarlab:{kind}", title=status.phrase, status=status.value, detail=detail, advice=advice)


def not_found(what: str, key: object) -> ProblemError:
    """There is no such thing, or it is another study's: the two look the same."""
    return ProblemError(HTTPStatus.NOT_FOUND, "not-found", f"There is no {what} {key}.")


def answer(told: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A response with a problem."""
    return JSONResponse(
        told.model_dump(exclude_none=True), status_code=told.status, media_type=MEDIA_TYPE, headers=headers
    )


def install(app: FastAPI) -> None:
    """Make the app answer every error with problem details."""
    app.add_exception_handler(ProblemError, _refused)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(RequestValidationError, _invalid)
    for fault in FOR_NOW:
        app.add_exception_handler(fault, _unavailable)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return answer(error.problem)


async def _framework(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    told = Problem(type="about:blank", title=status.phrase, status=status.value, detail=str(error.detail))
    return answer(told, error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
    shown = ascii(faults[:1000])[1:-1]  # names of unknown fields are the sender's
    advice = "Send what this endpoint takes, and no other fields."
    return answer(problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", shown, advice))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    log.error("a request could not be served for now: %s", error)
    told = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "The server cannot reach or change what it keeps: its disk may be full, or its database locked.",
        "Nothing of the request was kept. Send it again in a while; tell the operator if it goes on.",
    )
    return answer(told, {**SAFE_HEADERS, "Retry-After": str(RETRY_SECONDS)})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, FOR_NOW):  # raised outside the routes, by what looks up tokens
        return await _unavailable(request, error)
    told = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The server failed; its log says why.")
    return answer(told, SAFE_HEADERS)  # it does not pass the middleware


def problem_responses() -> dict[int | str, dict[str, Any]]:
    """How errors appear in the OpenAPI document."""
    return {"4XX": {"model": Problem, "description": "The request cannot be granted; says why and what to do."}}
