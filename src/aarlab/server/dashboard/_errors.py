"""Errors as pages, for whoever asked for a page."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from aarlab.api.schemas import Problem
from aarlab.server._problems import ProblemError
from aarlab.server.dashboard._session import STRICT, is_dashboard
from aarlab.server.dashboard._shell import render

Handler = Callable[[Request, Any], Response | Awaitable[Response]]


def install(app: FastAPI) -> None:
    """Make the app answer errors on the dashboard's paths with a page; all others as before."""
    for kind in (ProblemError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _as_page(app.exception_handlers[kind]))


def _as_page(answer: Handler) -> Handler:
    async def page(request: Request, error: Exception) -> Response:
        told = answer(request, error)
        if not isinstance(told, Response):
            told = await told
        if not is_dashboard(request.url.path):
            return told
        problem = Problem.model_validate_json(bytes(told.body))
        shown = render(request, "error.html.j2", status=problem.status, problem=problem)
        shown.headers.update(STRICT)  # a fault of ours is answered outside the gate
        return shown

    return page
