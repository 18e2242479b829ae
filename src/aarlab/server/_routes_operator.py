"""What only the operator may do and see: studies, admissions, exact figures, confirmation."""

from typing import Literal

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from aarlab.api.schemas import (
    PAGE,
    Admission,
    Ask,
    Asked,
    Audited,
    Event,
    Overrule,
    Researcher,
    ResearcherCreate,
    Row,
    Standing,
    Study,
    StudyCreate,
    Submission,
)
from aarlab.audits.probing import ProbingFinding
from aarlab.server._auth import AnyServices, VisibleStudy, require_operator, require_operator_of_all, require_reader
from aarlab.server._idempotency import IdempotencyKey
from aarlab.server._paging import Paged, link_next
from aarlab.server._parameters import AuditName, Limit, StudyAfter, StudyId, SubmissionId, Wait
from aarlab.server._probing import probing
from aarlab.server._ranking import leaderboard
from aarlab.server._secrets import new_token, token_hash
from aarlab.server._services import Services
from aarlab.server._views import audited_view, event_view, researcher_view, submission_view

router = APIRouter(prefix="/studies", tags=["operator"], dependencies=[Depends(require_operator)])
submissions = APIRouter(prefix="/submissions", tags=["operator"], dependencies=[Depends(require_operator)])
making = APIRouter(prefix="/studies", tags=["operator"], dependencies=[Depends(require_operator_of_all)])
shared = APIRouter(prefix="/studies", tags=["operator", "viewer"], dependencies=[Depends(require_reader)])


@making.post("", status_code=201)
def create_study(wanted: StudyCreate, services: AnyServices, key: IdempotencyKey = None) -> Study:
    """Start a study and queue its baseline."""
    return services.study_view(services.start_study(wanted, key))


@shared.get("")
def list_studies(
    visible: VisibleStudy,
    services: AnyServices,
    request: Request,
    response: Response,
    after: StudyAfter = "",
    limit: Limit = PAGE,
) -> list[Study]:
    """All studies that the token opens, oldest first."""
    rows = services.store.studies(visible, after=after or None, limit=limit + 1)
    if len(rows) > limit:
        link_next(request, response, rows[limit - 1].id)
    return [services.study_view(row) for row in rows[:limit]]


@shared.get("/{study}")
def get_study(study: StudyId, services: AnyServices) -> Study:
    """A study."""
    return services.study_view(services.store.study(study))


@router.post("/{study}/researchers", status_code=201)
def admit(study: StudyId, wanted: ResearcherCreate, services: AnyServices) -> Admission:
    """Admit a researcher. A name that is already admitted gets a new token; its old one ends."""
    token = new_token()
    row = services.store.admit(study, wanted, token_hash(token))
    return Admission(researcher=researcher_view(row, services.store.spent(study)), token=token)


@router.get("/{study}/researchers")
def list_researchers(study: StudyId, services: AnyServices, page: Paged) -> list[Researcher]:
    """The researchers and how much of their budgets is spent, in the order of their admission."""
    rows = page.cut(services.store.researchers(study, after=page.after, limit=page.fetch), lambda row: row.id)
    spent = services.store.spent(study)
    return [researcher_view(row, spent) for row in rows]


@shared.get("/{study}/submissions")
def list_submissions(study: StudyId, services: AnyServices, page: Paged) -> list[Submission]:
    """All submissions, failed ones too, oldest first; guarded figures."""
    rows = services.store.submissions(study, after=page.after, limit=page.fetch)
    return [submission_view(row) for row in page.cut(rows, lambda row: row.id)]


@shared.get("/{study}/board")
def get_board(study: StudyId, services: AnyServices, limit: Limit = PAGE) -> list[Standing]:
    """The scored submissions by guarded figures, best first: what researchers see."""
    return services.board.standings(study, limit)


@router.get("/{study}/leaderboard")
def get_leaderboard(study: StudyId, services: AnyServices, limit: Limit = PAGE) -> list[Row]:
    """The scored submissions with exact figures, best first."""
    row = services.store.study(study)
    services.store.note(study, "figures.read", what="leaderboard")
    return leaderboard(services.store, study, services.evaluator(row.testbed, row.secret), limit)


@router.post("/{study}/confirm")
async def confirm(study: StudyId, wanted: Ask, services: AnyServices, wait: Wait = 0.0) -> Asked:
    """Score submissions and the baseline on `private`, each once and for all; ask again while some are pending."""
    return await _ask(study, "private", wanted, services, wait)


@router.post("/{study}/audit")
async def audit(study: StudyId, wanted: Ask, services: AnyServices, wait: Wait = 0.0) -> Asked:
    """Replicate and audit submissions and the baseline, each once; ask again while some are pending."""
    return await _ask(study, "audit", wanted, services, wait)


async def _ask(study: str, what: Literal["private", "audit"], wanted: Ask, services: Services, wait: float) -> Asked:
    await run_in_threadpool(services.store.study, study)
    ids = await run_in_threadpool(services.queue.ask, study, what, wanted.submissions)
    services.worker.wake()
    return await services.bell.wait(
        lambda: services.queue.asked(what, ids), done=lambda state: not state.pending, seconds=wait
    )


@router.get("/{study}/probing")
def list_probing(study: StudyId, services: AnyServices) -> list[ProbingFinding]:
    """Sequences of submissions that look like probing for labels, the strongest first."""
    services.store.study(study)
    return probing(services.store, study)


@router.get("/{study}/events")
def list_events(study: StudyId, services: AnyServices, page: Paged) -> list[Event]:
    """The event log, in order; `after` counts by number."""
    rows = services.store.events(study, after=page.after, limit=page.fetch)
    return [event_view(row) for row in page.cut(rows, lambda row: row.number)]


@router.post("/{study}/finish")
def finish(study: StudyId, services: AnyServices) -> Study:
    """End a study: it takes no further submissions."""
    return services.study_view(services.store.finish(study))


@submissions.get("/{submission}/audits")
def list_audits(submission: SubmissionId, visible: VisibleStudy, services: AnyServices) -> list[Audited]:
    """What the audits found in a submission, one entry an audit; empty if it was not audited."""
    return [audited_view(row) for row in services.store.submission(visible, submission).audits]


@submissions.post("/{submission}/audits/{name}/overrule")
def overrule(
    submission: SubmissionId, name: AuditName, wanted: Overrule, visible: VisibleStudy, services: AnyServices
) -> Audited:
    """Decide otherwise than an audit did, with a reason; both stay on record."""
    services.store.submission(visible, submission)
    return audited_view(services.store.overrule(submission, name, wanted))
