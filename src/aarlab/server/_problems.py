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
        self.problem = Problem(
            type=f"urn:aarlab:{kind}",
            title=status.phrase,
            status=status.value,
            detail=detail,
            advice=advice,
            spent=spent,
            limit=None if spent is None else limit,
        )


def not_found(what: str, key: object) -> ProblemError:
    """There is no such thing, or it is another study's: the two look the same."""
    return ProblemError(HTTPStatus.NOT_FOUND, "not-found", f"There is no {what} {key}.")


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A response with a problem."""
    return JSONResponse(
        problem.model_dump(exclude_none=True), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers
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
    problem = Problem(type="about:blank", title=status.phrase, status=status.value, detail=str(error.detail))
    return answer(problem, error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    problem = Problem(
        type="urn:aarlab:invalid",
        title=status.phrase,
        status=status.value,
        detail=ascii(faults[:1000])[1:-1],  # names of unknown fields are the sender's
        advice="Send what this endpoint takes, and no other fields.",
    )
    return answer(problem)


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    log.error("a request could not be served for now: %s", error)
    status = HTTPStatus.SERVICE_UNAVAILABLE
    problem = Problem(
        type="urn:aarlab:unavailable",
        title=status.phrase,
        status=status.value,
        detail="The server cannot reach or change what it keeps: its disk may be full, or its database locked.",
        advice="Nothing of the request was kept. Send it again in a while; tell the operator if it goes on.",
    )
    return answer(problem, {**SAFE_HEADERS, "Retry-After": str(RETRY_SECONDS)})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, FOR_NOW):  # raised outside the routes, by what looks up tokens
        return await _unavailable(request, error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "The server failed; its log says why."
    problem = Problem(type="urn:aarlab:internal", title=status.phrase, status=status.value, detail=detail)
    return answer(problem, SAFE_HEADERS)  # it does not pass the middleware


def problem_responses() -> dict[int | str, dict[str, Any]]:
    """How errors appear in the OpenAPI document."""
    return {"4XX": {"model": Problem, "description": "The request cannot be granted; says why and what to do."}}
