"""What every request passes first: safe headers, the limit on its body, then its token and how often it may ask.

Deny by default.
"""

import time
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aarlab.api.schemas import PREFIX
from aarlab.api.snapshots import MAX_SNAPSHOT_BYTES
from aarlab.server._limits import address_of, retry_after
from aarlab.server._problems import SAFE_HEADERS, answer, problem
from aarlab.server._secrets import token_hash
from aarlab.server._services import Services, services_of
from aarlab.server._tokens import Member
from aarlab.server.dashboard import is_dashboard

MAX_BODY_BYTES = 512 * 1024
#: The one path that takes more, up to MAX_SNAPSHOT_BYTES: its route writes to the disk what arrives.
SNAPSHOTS = f"{PREFIX}/snapshots"
#: Paths that need no token: they say nothing of this server but that it answers, and what any of its version offers.
OPEN = frozenset({f"{PREFIX}/health", f"{PREFIX}/docs", f"{PREFIX}/openapi.json"})
#: After how long a request's token is looked at again before it is answered: it may have ended meanwhile.
LONG_SECONDS = 0.8


class SafeHeaders:
    """Tells browsers to guess, keep and run nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to its answer what it lacks."""

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, safe if scope["type"] == "http" else send)


class BodyLimit:
    """Refuses bodies over the limit, whether or not their length was announced."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what it sends."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        snapshot = scope["method"] == "POST" and scope["path"] == SNAPSHOTS
        limit = MAX_SNAPSHOT_BYTES if snapshot else MAX_BODY_BYTES
        detail = f"The body is larger than {limit} bytes."
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or len(announced) > 20 or int(announced) > limit:
            await answer(problem(status, "too-large", detail), {"Connection": "close"})(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(status.value, detail, {"Connection": "close"})
            return message

        await self.app(scope, counted, send)


class Authentication:
    """Lets nothing pass without a known token, so that no route can be left open by mistake; and nothing too often.

    Nothing of a stranger's request is parsed. Tokens are looked up by hash: how long that takes tells
    nothing about a token. Each request looks it up, so that a token ends when it is revoked or expires, and one that
    was held back looks again before it is answered. An answer that is under way by then, such as a stream's, is the
    route's own to end. Whoever brings a valid token is not held up by the wrong ones from the same address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks, and pass the request on with its `identity`."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        services, began = services_of(scope["app"]), time.monotonic()
        if scope["path"] in OPEN or is_dashboard(scope["path"]):  # the dashboard has a gate of its own
            wait = services.gate.addresses.take(address_of(scope.get("client")))
            await (too_often(wait) if wait else self.app)(scope, receive, send)
            return
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        identity = await run_in_threadpool(services.tokens.identify, token) if token else None
        if identity is None:
            await _stranger(services, scope)(scope, receive, send)
            return
        if wait := services.gate.tokens.take(token_hash(token)):
            await too_often(wait)(scope, receive, send)
            return
        if isinstance(identity, Member):
            services.spells.seen(identity.id)
        scope.setdefault("state", {})["identity"] = identity
        ended = False

        async def unless_ended(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start" and time.monotonic() - began > LONG_SECONDS:
                ended = await run_in_threadpool(services.tokens.identify, token) is None
                if ended:
                    await _stranger(services, scope)(scope, receive, send)
            if not ended:
                await send(message)

        await self.app(scope, receive, unless_ended)


def too_often(wait: float) -> ASGIApp:
    """The answer to whoever asks too often.

    Args:
        wait: seconds until the next request may come.
    """
    detail = "Too many requests at once; this one was not carried out."
    told = problem(
        HTTPStatus.TOO_MANY_REQUESTS, "rate", detail, "Wait as the header Retry-After says, then send it again."
    )
    return answer(told, {"Retry-After": retry_after(wait)})


def _stranger(services: Services, scope: Scope) -> ASGIApp:
    """The answer to whoever has no valid token."""
    if wait := services.gate.wrong.take(address_of(scope.get("client"))):
        return too_often(wait)
    detail, advice = (
        "The token is missing, unknown, expired or revoked.",
        "Send the header Authorization: Bearer TOKEN.",
    )
    return answer(problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, advice), {"WWW-Authenticate": "Bearer"})
