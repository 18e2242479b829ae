"""What only the operator may do and see: studies, admissions, exact figures, confirmation."""

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool

from aarlab.api.schemas import (
    PAGE,
    Admission,
    Confirm,
    Confirmation,
    Finding,
    Researcher,
    ResearcherCreate,
    Row,
    Study,
    StudyCreate,
    Submission,
)
from aarlab.server._auth import AnyServices, require_operator
from aarlab.server._parameters import After, Limit, StudyId, Wait
from aarlab.server._ranking import leaderboard
from aarlab.server._secrets import new_token, token_hash
from aarlab.server._views import finding_view, researcher_view, study_view, submission_view

router = APIRouter(prefix="/studies", tags=["operator"], dependencies=[Depends(require_operator)])


@router.post("", status_code=201)
def create_study(wanted: StudyCreate, services: AnyServices) -> Study:
    """Start a study and queue its baseline."""
    evaluator = services.evaluator(wanted.testbed)
    row = services.store.create_study(wanted, evaluator.vanilla_code())
    services.worker.wake()
    return study_view(row, evaluator)


@router.get("")
def list_studies(services: AnyServices) -> list[Study]:
    """All studies, oldest first; those whose testbed this server has."""
    return [
        study_view(row, services.evaluator(row.testbed))
        for row in services.store.studies()
        if services.has_testbed(row.testbed)
    ]


@router.get("/{study}")
def get_study(study: StudyId, services: AnyServices) -> Study:
    """A study."""
    row = services.store.study(study)
    return study_view(row, services.evaluator(row.testbed))


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
    return [finding_view(row) for row in services.store.findings(study, after=after, limit=limit)]


@router.get("/{study}/leaderboard")
def get_leaderboard(study: StudyId, services: AnyServices, limit: Limit = PAGE) -> list[Row]:
    """The scored submissions with exact figures, best first."""
    row = services.store.study(study)
    return leaderboard(services.store, study, services.evaluator(row.testbed), limit)


@router.post("/{study}/confirm")
async def confirm(study: StudyId, wanted: Confirm, services: AnyServices, wait: Wait = 0.0) -> Confirmation:
    """Score submissions and the baseline on `private`, each once and for all; ask again while some are pending."""
    await run_in_threadpool(services.store.study, study)
    ids = await run_in_threadpool(services.queue.confirm, study, wanted.submissions)
    services.worker.wake()
    return await services.bell.wait(
        lambda: services.queue.confirmation(ids), done=lambda state: not state.pending, seconds=wait
    )


@router.post("/{study}/finish")
def finish(study: StudyId, services: AnyServices) -> Study:
    """End a study: it takes no further submissions."""
    row = services.store.finish(study)
    return study_view(row, services.evaluator(row.testbed))
