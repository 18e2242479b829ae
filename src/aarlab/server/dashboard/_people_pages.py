"""Pages about who does the research and what it is worth: researchers, forum, integrity, diversity, ledger.

Each is a function of a study's record as whoever looks may see it, so a viewer's page cannot hold what is the
operator's. Exceptions, each for the operator: whether the event log holds is asked of the database, and the content of
snapshots lies among the artifacts.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from aarlab.api.text import MAX_ID
from aarlab.server._events import Break, verify
from aarlab.server._forum import Wanted
from aarlab.server._models import now
from aarlab.server._parameters import StudyId
from aarlab.server._problems import not_found
from aarlab.server._record import Record
from aarlab.server._services import Services, services_of
from aarlab.server.dashboard._diversity import diversity_context
from aarlab.server.dashboard._forum_threads import forum_context, thread_context
from aarlab.server.dashboard._integrity import integrity_context
from aarlab.server.dashboard._people import researcher_context, researchers_context
from aarlab.server.dashboard._session import require_exact
from aarlab.server.dashboard._shell import render
from aarlab.server.dashboard._spending import ledger_context
from aarlab.server.dashboard._views import Seen, View

MATCHES = 1000  # findings that a search brings at most

router = APIRouter()
Place = Annotated[int, Query(ge=1, le=MAX_ID)]
Word = Annotated[str, Query(max_length=80)]
Words = Annotated[str, Query(max_length=200)]


@router.get("/studies/{study}/researchers")
def researchers_page(
    request: Request,
    view: Seen,
    sort: Word = "level",
    q: Words = "",
    kind: Word = "",
    state: Word = "",
    page: Place = 1,
) -> Response:
    """All researchers."""
    context = researchers_context(view.record, now(), sort=sort, q=q, kind=kind, state=state, page=page)
    return _page(request, "researchers", view, **context)


@router.get("/studies/{study}/researchers/{name:path}")
def researcher_page(
    request: Request,
    view: Seen,
    name: Annotated[str, Path(max_length=200)],
    page: Place = 1,
    notes: Place = 1,
    files: Place = 1,
) -> Response:
    """One researcher."""
    context = researcher_context(view.record, name, now(), page=page, notes=notes, files=files)
    if context is None:
        raise not_found("researcher", name)
    return _page(request, "researchers", view, template="researcher", **context)


@router.get("/studies/{study}/snapshots/{snapshot}", dependencies=[Depends(require_exact)])
def snapshot_file(request: Request, view: Seen, snapshot: Annotated[int, Path(ge=1, le=MAX_ID)]) -> Response:
    """A file that a researcher handed in. Untrusted: it is offered to be saved, never shown."""
    one = next((one for one in view.record.snapshots if one.id == snapshot), None)
    if one is None:
        raise not_found("snapshot", snapshot)
    headers = {
        "Content-Disposition": f'attachment; filename="{one.kind}-{one.id}.bin"',
        "X-Content-Type-Options": "nosniff",
    }
    content = services_of(request.app).store.artifacts.get(one.sha256)
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/studies/{study}/forum")
def forum_page(
    request: Request,
    study: StudyId,
    view: Seen,
    q: Words = "",
    kind: Word = "",
    tag: Word = "",
    researcher: Word = "",
    sort: Word = "",
    page: Place = 1,
    thread: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
) -> Response:
    """The forum, what answers a search, or one thread."""
    if thread is not None:
        whole = thread_context(view.record, thread, page)
        if whole is None:
            raise not_found("finding", thread)
        return _page(request, "forum", view, **whole)
    matches = None
    if q.strip():
        found = services_of(request.app).forum.findings(study, limit=MATCHES, wanted=Wanted(q=q))
        matches = [row.id for row in found]
    context = forum_context(
        view.record, matches=matches, kind=kind, tag=tag, researcher=researcher, sort=sort, page=page
    )
    return _page(request, "forum", view, **context)


@dataclass(frozen=True)
class Chain:
    """Whether a study's event log holds.

    Attributes:
        broken: where it does not; None if it does.
    """

    entries: int
    broken: Break | None


@router.get("/studies/{study}/integrity")
def integrity_page(
    request: Request,
    view: Seen,
    kind: Word = "",
    actor: Word = "",
    page: Place = 1,
    flagged: Place = 1,
    probed: Place = 1,
) -> Response:
    """What speaks against the figures, and the event log."""
    chain = None
    if view.exact:
        services = services_of(request.app)
        chain = view.once("chain", lambda record: checked(services, record))
    context = integrity_context(view.record, kind=kind, actor=actor, page=page, flagged=flagged, probed=probed)
    return _page(request, "integrity", view, chain=chain, **context)


def checked(services: Services, record: Record) -> Chain:
    """Whether the event log in the database holds, and still has the last entry that the record has."""
    rows = services.store.events(record.study.id)
    return Chain(len(rows), verify(rows, record.events[-1].hash if record.events else None))


@router.get("/studies/{study}/diversity")
def diversity_page(request: Request, view: Seen) -> Response:
    """How varied the methods are."""
    return _page(request, "diversity", view, **view.once("diversity", diversity_context))


@router.get("/studies/{study}/ledger")
def ledger_page(
    request: Request, view: Seen, sort: Word = "dollars", q: Words = "", page: Place = 1, entries: Place = 1
) -> Response:
    """What it costs."""
    context = ledger_context(view.record, sort=sort, q=q, page=page, entries=entries)
    return _page(request, "ledger", view, **context)


def _page(request: Request, page: str, view: View, template: str = "", **context: Any) -> Response:
    shared: dict[str, Any] = {
        "study": view.record.study,
        "page": page,
        "number": view.number,
        "exact": view.exact,
        "fields": Fields(request.query_params),
    }
    return render(request, f"{template or page}.html.j2", **shared, **context)


class Fields(dict[str, str]):
    """The query of a page; what is not in it is empty."""

    def __missing__(self, name: str) -> str:
        return ""
