"""Tells open pages that something happened, as server-sent events: the number of a study's last event, nothing else."""

from collections import Counter
from collections.abc import AsyncIterator
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from aarlab.server._parameters import StudyId
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._services import services_of
from aarlab.server.dashboard._session import AnyVisitor, sessions_of
from aarlab.server.dashboard._views import last_number

BEAT_SECONDS = 15.0  # so that proxies do not take silence for the end
MOST = 200  # streams at a time; pages beyond that ask again every 15 s
OWN = 50  # likewise of one token

router = APIRouter()


class Streams:
    """How many streams are open, by hash of a token. For one thread: that of the server's event loop."""

    def __init__(self) -> None:
        self.open: Counter[str] = Counter()


@router.get("/studies/{study}/stream")
async def stream(request: Request, study: StudyId, visitor: AnyVisitor, after: int = 0) -> StreamingResponse:
    """New events of a study, by the number of the last, until the page is closed or the session ends."""
    if not visitor.may_see(study):
        raise not_found("study", study)
    last = request.headers.get("last-event-id", "")
    seen = max(after, int(last) if last.isascii() and last.isdecimal() and len(last) < 10 else 0)
    app, services, streams = request.app, services_of(request.app), request.app.state.streams
    assert isinstance(streams, Streams)
    await run_in_threadpool(services.store.study, study)  # not found is said before the stream begins
    if streams.open.total() >= MOST or streams.open[visitor.hashed] >= OWN or services.bell.closed:
        detail = "Too many pages are open."
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, "Reload the page to see what is new.")
    name = request.cookies.get(sessions_of(app).cookie, "")

    def look() -> int:
        return last_number(app, study)

    def new(number: int) -> bool:
        return number > seen

    async def events() -> AsyncIterator[str]:
        nonlocal seen
        streams.open[visitor.hashed] += 1
        try:
            yield "retry: 3000\n\n"
            while not services.bell.closed:
                number = await services.bell.wait(look, new, BEAT_SECONDS)
                if await run_in_threadpool(sessions_of(app).visitor, app, name) is None:
                    return
                if number > seen:
                    seen = number
                    yield f"event: event\nid: {number}\ndata: {number}\n\n"
                else:
                    yield ": nothing new\n\n"
        finally:
            streams.open -= Counter((visitor.hashed,))

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
