"""Snapshots: handed in by researchers, fetched by the operator and by whoever handed them in."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from aarlab.api.snapshots import Snapshot, SnapshotKind
from aarlab.api.text import MAX_ID, Line
from aarlab.server._auth import AnyIdentity, AnyServices, Researching, require_operator, require_researcher
from aarlab.server._paging import Paged
from aarlab.server._parameters import StudyId
from aarlab.server._problems import ProblemError
from aarlab.server._tokens import Member, Viewer
from aarlab.server._views import snapshot_view
from aarlab.server.artifacts import Incoming

router = APIRouter(prefix="/snapshots", tags=["researcher"], dependencies=[Depends(require_researcher)])


async def require_owner(identity: AnyIdentity) -> None:
    """Refuse viewers; whose a snapshot is, its route finds out.

    Raises:
        ProblemError: a viewer asks.
    """
    if isinstance(identity, Viewer):
        raise ProblemError(HTTPStatus.FORBIDDEN, "not-for-viewers", "This is for the operator and researchers.")


operators = APIRouter(prefix="/studies", tags=["operator"], dependencies=[Depends(require_operator)])
shared = APIRouter(prefix="/snapshots", tags=["researcher", "operator"], dependencies=[Depends(require_owner)])

SnapshotId = Annotated[int, Path(ge=1, le=MAX_ID)]
BUFFERED = 1024 * 1024  # bytes that one upload holds in memory

#: The body as OpenAPI has it; FastAPI does not know of bodies that a route reads itself.
BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "no-store",
}


@router.post(
    "",
    status_code=201,
    openapi_extra=BODY,
    responses={200: {"description": "It was handed in before, with that kind."}},
)
async def hand_in(
    request: Request,
    response: Response,
    member: Researching,
    services: AnyServices,
    kind: SnapshotKind,
    note: Annotated[Line, Query(description="what it is, in a line")] = "",
) -> Snapshot:
    """Hand in a file: the body, as it is. Nobody unpacks it."""
    announced = int(request.headers.get("content-length", "0"))  # a number, or the limit on bodies had refused it
    await run_in_threadpool(services.snapshots.check_room, member.id, announced)
    with services.snapshots.artifacts.incoming() as incoming:
        await _receive(request, incoming)
        row, new = await run_in_threadpool(services.snapshots.keep, member.id, kind, note, incoming)
    if not new:
        response.status_code = 200
    return snapshot_view(row)


async def _receive(request: Request, incoming: Incoming) -> None:
    """Write a request's body to the disk as it comes.

    Raises:
        ProblemError: it is empty, or broke off.
    """
    buffer = bytearray()
    try:
        async for chunk in request.stream():
            buffer += chunk
            if len(buffer) >= BUFFERED:
                await run_in_threadpool(incoming.write, bytes(buffer))
                buffer.clear()
    except ClientDisconnect as error:
        detail = "The connection broke off before the body was whole."
        raise ProblemError(HTTPStatus.BAD_REQUEST, "cut-off", detail, "Send it again.") from error
    await run_in_threadpool(incoming.write, bytes(buffer))
    if not incoming.size:
        detail = "A snapshot has content."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "empty", detail, "Send it as the request's body.")


@router.get("")
def list_own_snapshots(member: Researching, services: AnyServices, page: Paged) -> list[Snapshot]:
    """What the researcher that asks handed in, oldest first."""
    found = services.snapshots.snapshots(member.study, researcher=member.id, after=page.after, limit=page.fetch)
    return [snapshot_view(row) for row in page.cut(found, lambda row: row.id)]


@operators.get("/{study}/snapshots")
def list_snapshots(study: StudyId, services: AnyServices, page: Paged) -> list[Snapshot]:
    """What all researchers of a study handed in, oldest first."""
    found = services.snapshots.snapshots(study, after=page.after, limit=page.fetch)
    return [snapshot_view(row) for row in page.cut(found, lambda row: row.id)]


@shared.get(
    "/{snapshot}/content", response_class=Response, responses={200: {"content": {"application/octet-stream": {}}}}
)
def get_content(snapshot: SnapshotId, identity: AnyIdentity, services: AnyServices) -> Response:
    """A snapshot as it was handed in, for the operator and its owner. Untrusted: unpack it where it can do no harm."""
    owner = identity.id if isinstance(identity, Member) else None
    row = services.snapshots.snapshot(identity.study, snapshot, researcher=owner)
    name = f"{row.kind.value}-{row.id}.bin"
    return Response(
        services.snapshots.artifacts.get(row.sha256),
        media_type="application/octet-stream",
        headers=HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'},
    )
