"""Who looks: sessions of browsers, and the gate that every path of the dashboard lies behind.

What is protected: no page opens without a session, and a session ends with the token that began it. The cookie is a
random name for something kept in memory; the token itself is neither in the browser nor kept. Forms are taken from
this server's pages only: by the browser's `Origin`, by the cookie's SameSite, and by a word that only those pages hold.
What is not: whoever reads the browser's cookies, or the network between (put TLS in front of it beyond one machine).
"""

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aarlab.server._problems import ProblemError
from aarlab.server._secrets import new_token, token_hash
from aarlab.server._services import services_of
from aarlab.server._tokens import Identity, Member, Operator

IDLE_SECONDS = 12 * 3600.0
MOST = 2000  # sessions at a time; beyond that the one unused for longest ends
OWN = 100  # likewise of one token: it cannot end those of others by logging in again and again
OPEN = ("/login", "/static/")
STRICT = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",  # with "no-referrer" browsers would hide where a form of ours comes from
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass
class Visitor:
    """Somebody with a session.

    Attributes:
        hashed: hash of the token that began it.
        identity: whose token that is.
        csrf: what its forms must carry.
        seen: when it was last used, by the monotonic clock.
        noted: when exact figures of each study were last noted as read.
    """

    hashed: str
    identity: Identity
    csrf: str = field(default_factory=new_token)
    seen: float = field(default_factory=time.monotonic)
    noted: dict[str, float] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether it may see exact figures and change things."""
        return isinstance(self.identity, Operator)

    @property
    def role(self) -> str:
        """What it is, in a word."""
        return "operator" if self.exact else "researcher" if isinstance(self.identity, Member) else "viewer"

    def may_see(self, study: str) -> bool:
        """Whether its token opens a study."""
        return self.identity.study in (None, study)


class Sessions:
    """The sessions of one server, in memory: they end when it stops. Thread-safe."""

    def __init__(self) -> None:
        self.cookie = f"aarlab-{secrets.token_hex(4)}"  # browsers share cookies among the ports of a host
        self._visitors: OrderedDict[str, Visitor] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, app: FastAPI, token: str) -> str | None:
        """A session for whoever has a token; gives its name, or None if the token is nobody's."""
        identity = services_of(app).tokens.identify(token)
        if identity is None:
            return None
        name, hashed = new_token(), token_hash(token)
        with self._lock:
            own = [one for one, visitor in self._visitors.items() if visitor.hashed == hashed]
            if len(own) >= OWN:
                del self._visitors[own[0]]
            self._visitors[token_hash(name)] = Visitor(hashed, identity)
            while len(self._visitors) > MOST:
                self._visitors.popitem(last=False)
        return name

    def visitor(self, app: FastAPI, name: str) -> Visitor | None:
        """Whose session this is; None if it is over, or its token is."""
        with self._lock:
            found = self._visitors.get(token_hash(name))
        if found is None:
            return None
        identity = services_of(app).tokens.known(found.hashed)
        if identity is None or time.monotonic() - found.seen > IDLE_SECONDS:
            self.end(name)
            return None
        found.seen, found.identity = time.monotonic(), identity
        with self._lock:
            if token_hash(name) in self._visitors:
                self._visitors.move_to_end(token_hash(name))
        return found

    def end(self, name: str) -> None:
        """End a session."""
        with self._lock:
            self._visitors.pop(token_hash(name), None)


def is_dashboard(path: str) -> bool:
    """Whether a path belongs to the dashboard, and so lies behind its gate."""
    return path in ("/", "/login", "/logout") or path.startswith(("/studies/", "/static/"))


def sessions_of(app: FastAPI) -> Sessions:
    """The sessions of a server."""
    sessions = app.state.sessions
    assert isinstance(sessions, Sessions)
    return sessions


class Gate:
    """Lets nothing of the dashboard pass without a session, and gives every answer of it strict headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who looks, and pass the request on with its `visitor`."""
        if scope["type"] != "http" or not is_dashboard(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(STRICT)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        request = Request(scope)
        path = scope["path"]
        sessions = sessions_of(scope["app"])
        name = request.cookies.get(sessions.cookie, "")
        visitor = None
        if name and not path.startswith("/static/"):
            visitor = await run_in_threadpool(sessions.visitor, scope["app"], name)
        scope.setdefault("state", {})["visitor"] = visitor
        refusal: Response | None = None
        if visitor is None and not path.startswith(OPEN):
            refusal = _to_login(request)
        elif request.method not in ("GET", "HEAD") and not _same_origin(request):
            refusal = Response("This form came from another place.", HTTPStatus.FORBIDDEN, media_type="text/plain")
        await (refusal or self.app)(scope, receive, strict)


def _to_login(request: Request) -> Response:
    if request.method != "GET" or "text/html" not in request.headers.get("accept", "text/html"):
        return Response("Log in first, at /login.", HTTPStatus.UNAUTHORIZED, media_type="text/plain")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    rest = "" if wanted == "/" else f"?next={quote(wanted, safe='')}"
    return RedirectResponse(f"/login{rest}", HTTPStatus.SEE_OTHER)


def _same_origin(request: Request) -> bool:
    """Whether a form was sent from a page of this server. A proxy may have taken TLS off, so the scheme is left out."""
    return urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host", "-")


def inside(path: str) -> str:
    """A path of this server to go on to; `/` if it leads elsewhere."""
    parts = urlsplit(path)
    outside = parts.scheme or parts.netloc or not path.startswith("/") or path.startswith("//") or "\\" in path
    return "/" if outside or not path.isprintable() or not is_dashboard(parts.path) else path


async def _visitor(request: Request) -> Visitor:
    """Who looks, as the gate found out; without it no request gets here."""
    visitor = request.state.visitor
    assert isinstance(visitor, Visitor)
    return visitor


AnyVisitor = Annotated[Visitor, Depends(_visitor)]


async def require_exact(visitor: AnyVisitor) -> None:
    """Refuse everybody but operators."""
    if not visitor.exact:
        raise ProblemError(HTTPStatus.FORBIDDEN, "operator-only", "This is for the operator.")


async def checked_form(request: Request, visitor: AnyVisitor) -> FormData:
    """A form that one of this session's pages sent.

    Raises:
        ProblemError: it was not.
    """
    form = await request.form(max_files=0, max_fields=200)
    sent = form.get("csrf")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), visitor.csrf.encode()):
        detail = "This form does not belong to your session."
        raise ProblemError(HTTPStatus.FORBIDDEN, "forged", detail, "Open the page again and repeat it.")
    return form


CheckedForm = Annotated[FormData, Depends(checked_form)]
