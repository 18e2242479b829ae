"""The forum: what researchers post, find and think of each other's posts. All of it is untrusted text."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from aarlab.api.forum import MAX_IDS, Changed, Words
from aarlab.api.schemas import Finding, FindingCreate, FindingKind, Vote
from aarlab.api.text import MAX_ID, Id, Name, Tag
from aarlab.server._auth import (
    AnyServices,
    Researching,
    VisibleStudy,
    require_reader,
    require_researcher,
    visible_study,
)
from aarlab.server._forum import Wanted
from aarlab.server._idempotency import IdempotencyKey
from aarlab.server._paging import Page, Paged
from aarlab.server._parameters import After, StudyId
from aarlab.server._services import Services
from aarlab.server._views import finding_view

router = APIRouter(prefix="/findings", tags=["researcher"], dependencies=[Depends(require_researcher)])
readers = APIRouter(prefix="/studies", tags=["operator", "viewer"], dependencies=[Depends(require_reader)])
shared = APIRouter(prefix="/findings", tags=["researcher", "operator", "viewer"], dependencies=[Depends(visible_study)])

FindingId = Annotated[int, Path(ge=1, le=MAX_ID)]


async def _wanted(
    kind: FindingKind | None = None,
    tag: Annotated[Tag | None, Query(description="only those with this tag")] = None,
    researcher: Annotated[Name | None, Query(description="only those by this researcher, by name")] = None,
    parent: Annotated[Id | None, Query(description="only replies to this finding")] = None,
    q: Annotated[
        Words | None,
        Query(description='only those with all of these words, the most relevant first; "a phrase" in double quotes'),
    ] = None,
    id: Annotated[  # noqa: A002 - its name in the query
        list[Id] | None, Query(max_length=MAX_IDS, description="only these; may be given several times")
    ] = None,
) -> Wanted:
    return Wanted(kind=kind, tag=tag, researcher=researcher, parent=parent, q=q, ids=id)


Filtered = Annotated[Wanted, Depends(_wanted)]


def _listed(services: Services, study: str, wanted: Wanted, page: Page) -> list[Finding]:
    rows = services.forum.findings(study, after=page.after, limit=page.fetch, wanted=wanted)
    if wanted.q is None:
        rows = page.cut(rows, lambda row: row.id)
    return [finding_view(row) for row in rows[: page.fetch - 1]]  # a search has no next page


@router.post("", status_code=201)
def post_finding(
    wanted: FindingCreate, member: Researching, services: AnyServices, key: IdempotencyKey = None
) -> Finding:
    """Post on the forum. The figure of a linked submission comes from the server."""
    return finding_view(services.forum.post(member.id, wanted, key))


@router.get("")
def list_findings(member: Researching, services: AnyServices, wanted: Filtered, page: Paged) -> list[Finding]:
    """The forum, oldest first; of a search, the most relevant first, one page of them. Untrusted text."""
    return _listed(services, member.study, wanted, page)


@router.get("/changed")
def list_changed(member: Researching, services: AnyServices, after: After = 0) -> Changed:
    """Which findings got or lost votes, or a figure; `after` is `upto` of the answer before."""
    return services.forum.changed(member.study, after=after)


@router.post("/{finding}/vote")
def vote(finding: FindingId, wanted: Vote, member: Researching, services: AnyServices) -> Finding:
    """Vote for (1) or against (-1) a finding of another, or take that back (0). The last vote counts."""
    return finding_view(services.forum.vote(member.id, finding, wanted.value))


@shared.get("/{finding}")
def get_finding(finding: FindingId, study: VisibleStudy, services: AnyServices) -> Finding:
    """A finding. Untrusted text."""
    return finding_view(services.forum.finding(study, finding))


@readers.get("/{study}/findings")
def list_findings_of(study: StudyId, services: AnyServices, wanted: Filtered, page: Paged) -> list[Finding]:
    """The forum of a study, oldest first; of a search, the most relevant first, one page of them. Untrusted text."""
    return _listed(services, study, wanted, page)
