"""The way in: login, logout, the list of studies, and the files that pages need."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from aarlab.server._limits import address_of
from aarlab.server._problems import ProblemError
from aarlab.server._services import Services, services_of
from aarlab.server.dashboard._assets import serve_asset
from aarlab.server.dashboard._session import AnyVisitor, Visitor, checked_form, inside, sessions_of
from aarlab.server.dashboard._shell import render

MAX_TOKEN = 500

router = APIRouter()
InQuery = Annotated[str, Query(max_length=2000)]
InForm = Annotated[str, Form(max_length=2000)]


@router.get("/login")
async def login_form(request: Request, token: InQuery = "", next: InQuery = "/") -> Response:  # noqa: A002
    """The form to log in; a link that carries a token logs in at once, and leads on to an address without it.

    Not so a link on another page than ours: it could put its author's session in the place of the visitor's,
    unnoticed. Browsers say where a link stood, if the server is on their machine or behind HTTPS.
    """
    ours = request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    if token and ours:
        return await _log_in(request, token, next)
    return render(request, "login.html.j2", next=inside(next), problem="elsewhere" if token else None)


@router.post("/login")
async def login(request: Request, token: InForm, next: InForm = "/") -> Response:  # noqa: A002
    """Log in with a token from the form."""
    return await _log_in(request, token, next)


async def _log_in(request: Request, token: str, target: str) -> Response:
    sessions = sessions_of(request.app)
    name = await run_in_threadpool(sessions.begin, request.app, token.strip()) if len(token) <= MAX_TOKEN else None
    if name is None:
        if services_of(request.app).gate.wrong.take(address_of(request.client)):
            detail = "Too many wrong tokens from your address."
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "rate", detail, "Wait a minute.")
        return render(request, "login.html.j2", status=HTTPStatus.UNAUTHORIZED, next=inside(target), problem="wrong")
    answer = RedirectResponse(inside(target), HTTPStatus.SEE_OTHER)
    secure = request.url.scheme == "https"
    answer.set_cookie(sessions.cookie, name, path="/", httponly=True, samesite="strict", secure=secure)
    return answer


@router.post("/logout", dependencies=[Depends(checked_form)])
async def logout(request: Request) -> Response:
    """End the session."""
    sessions = sessions_of(request.app)
    sessions.end(request.cookies.get(sessions.cookie, ""))
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(sessions.cookie, path="/", httponly=True, samesite="strict")
    return answer


@router.get("/")
def studies(request: Request, visitor: AnyVisitor) -> Response:
    """The studies that whoever looks may see, newest first."""
    services = services_of(request.app)
    return render(request, "studies.html.j2", **studies_context(services, visitor))


def studies_context(services: Services, visitor: Visitor) -> dict[str, Any]:
    """What the list of studies shows."""
    rows = [row for row in reversed(services.store.studies()) if visitor.may_see(row.id)]
    return {
        "studies": [services.study_view(row) for row in rows],
        "may_start": visitor.exact and visitor.identity.study is None,
        "teams": services.launch is not None,
    }


@router.get("/static/{mark}/{name}")
def static(request: Request, mark: str, name: str) -> Response:
    """A file that pages need. Open: it is part of a published package."""
    return serve_asset(request, mark, name)
