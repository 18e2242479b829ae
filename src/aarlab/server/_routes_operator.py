"""What only the operator may do and see: studies, admissions, exact figures, confirmation."""

from typing import Literal

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool

from aarlab.api.schemas import (
    PAGE,
    Admission,
    Ask,
    Asked,
    Audited,
    Event,
    Finding,
    Overrule,
    Researcher,
    ResearcherCreate,
    Row,
    Study,
    StudyCreate,
    Submission,
)
from aarlab.audits.probing import ProbingFinding
from aarlab.server._auth import AnyServices, require_operator
from aarlab.server._parameters import After, AuditName, Limit, StudyId, SubmissionId, Wait
from aarlab.server._probing import probing
from aarlab.server._ranking import leaderboard
from aarlab.server._secrets import new_secret, new_token, token_hash
from aarlab.server._services import Services
from aarlab.server._views import audited_view, event_view, finding_view, researcher_view, submission_view

router = APIRouter(prefix="/studies", tags=["operator"], dependencies=[Depends(require_operator)])
submissions = APIRouter(prefix="/submissions", tags=["operator"], dependencies=[Depends(require_operator)])


@router.post("", status_code=201)
def create_study(wanted: StudyCreate, services: AnyServices) -> Study:
    """Start a study and queue its baseline."""
    secret = new_secret()
    evaluator = services.evaluator(wanted.testbed, secret)
    row = services.store.create_study(wanted, secret, evaluator)
    services.worker.wake()
    return services.study_view(row)


@router.get("")
def list_studies(services: AnyServices) -> list[Study]:
    """All studies, oldest first."""
    return [services.study_view(row) for row in services.store.studies()]


@router.get("/{study}")
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
def list_researchers(study: StudyId, services: AnyServices) -> list[Researcher]:
    """The researchers and how much of their budgets is spent."""
    rows = services.store.researchers(study)
    spent = services.store.spent(study)
    return [researcher_view(row, spent) for row in rows]


@router.get("/{study}/submissions")
def list_submissions(study: StudyId, services: AnyServices, after: After = 0, limit: Limit = PAGE) -> list[Submission]:
    """All submissions, failed ones too, oldest first."""
    return [submission_view(row) for row in services.store.submissions(study, after=after, limit=limit)]


@router.get("/{study}/findings")
def list_findings(study: StudyId, services: AnyServices, after: After = 0, limit: Limit = PAGE) -> list[Finding]:
    """The forum, oldest first."""
    return [finding_view(row) for row in services.forum.findings(study, after=after, limit=limit)]


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
def list_events(study: StudyId, services: AnyServices, after: After = 0, limit: Limit = PAGE) -> list[Event]:
    """The event log, in order."""
    return [event_view(row) for row in services.store.events(study, after=after, limit=limit)]


@router.post("/{study}/finish")
def finish(study: StudyId, services: AnyServices) -> Study:
    """End a study: it takes no further submissions."""
    return services.study_view(services.store.finish(study))


@submissions.get("/{submission}/audits")
def list_audits(submission: SubmissionId, services: AnyServices) -> list[Audited]:
    """What the audits found in a submission; empty if it was not audited."""
    return [audited_view(row) for row in services.store.submission(None, submission).audits]


@submissions.post("/{submission}/audits/{name}/overrule")
def overrule(submission: SubmissionId, name: AuditName, wanted: Overrule, services: AnyServices) -> Audited:
    """Decide otherwise than an audit did, with a reason; both stay on record."""
    services.store.submission(None, submission)
    return audited_view(services.store.overrule(submission, name, wanted))
