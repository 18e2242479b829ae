"""What every request passes first: the limit on its body, then its token. Deny by default."""

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aarlab.api.schemas import PREFIX, Problem
from aarlab.server._problems import answer
from aarlab.server._services import services_of

MAX_BODY_BYTES = 512 * 1024
OPEN = frozenset({f"{PREFIX}/health"})


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
        detail = f"The body is larger than {MAX_BODY_BYTES} bytes."
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced[:20]) > MAX_BODY_BYTES:
            problem = Problem(type="urn:aarlab:too-large", title=status.phrase, status=status.value, detail=detail)
            await answer(problem, {"Connection": "close"})(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(status.value, detail, {"Connection": "close"})
            return message

        await self.app(scope, counted, send)


class Authentication:
    """Lets nothing pass without a known token, so that no route can be left open by mistake.

    Nothing of a stranger's request is parsed. Tokens are looked up by hash: how long that takes tells
    nothing about a token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks, and pass the request on with its `identity`."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
            identity = None
            if scheme.lower() == "bearer" and token:
                identity = await run_in_threadpool(services_of(scope["app"]).tokens.identify, token.strip())
            if identity is None:
                status = HTTPStatus.UNAUTHORIZED
                problem = Problem(
                    type="urn:aarlab:unauthorized",
                    title=status.phrase,
                    status=status.value,
                    detail="The token is missing or unknown.",
                    advice="Send the header Authorization: Bearer TOKEN.",
                )
                await answer(problem, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
                return
            scope.setdefault("state", {})["identity"] = identity
        await self.app(scope, receive, send)
