"""What researchers do, and the reading of submissions that operators and viewers share. Guarded figures only."""

from fastapi import APIRouter, Depends, Response

from aarlab.api.schemas import (
    PAGE,
    Code,
    Researcher,
    Standing,
    Status,
    Study,
    Submission,
    SubmissionCreate,
)
from aarlab.server._auth import AnyServices, Researching, VisibleStudy, require_researcher, visible_study
from aarlab.server._paging import Paged
from aarlab.server._parameters import Limit, SubmissionId, Wait
from aarlab.server._views import researcher_view, submission_view

router = APIRouter(tags=["researcher"], dependencies=[Depends(require_researcher)])
shared = APIRouter(tags=["researcher", "operator", "viewer"], dependencies=[Depends(visible_study)])


@router.get("/me")
def me(member: Researching, services: AnyServices) -> Researcher:
    """The researcher that asks, and how much of its budget is spent."""
    row = services.store.researcher(member.id)
    return researcher_view(row, services.store.spent(row.study_id))


@router.get("/study")
def get_study(member: Researching, services: AnyServices) -> Study:
    """The study, with the testbed's floor and ceiling, its guard, and what is left of its budget."""
    return services.study_view(services.store.study(member.study))


@router.post("/submissions", status_code=201, responses={200: {"description": "The study has this code already."}})
def submit(wanted: SubmissionCreate, member: Researching, services: AnyServices, response: Response) -> Submission:
    """Queue a method. Code that the study already has costs nothing and gives the earlier submission."""
    row, new = services.store.submit(member.id, wanted)
    if not new:
        response.status_code = 200
    services.worker.wake()
    return submission_view(row)


@router.get("/submissions")
def list_submissions(member: Researching, services: AnyServices, page: Paged) -> list[Submission]:
    """All submissions of the study, failed ones too, oldest first."""
    rows = services.store.submissions(member.study, after=page.after, limit=page.fetch)
    return [submission_view(row) for row in page.cut(rows, lambda row: row.id)]


@shared.get("/submissions/{submission}")
async def get_submission(
    submission: SubmissionId, study: VisibleStudy, services: AnyServices, wait: Wait = 0.0
) -> Submission:
    """A submission; with `wait`, once it is scored or failed, or as it stands when the time is up."""
    return await services.bell.wait(
        lambda: submission_view(services.store.submission(study, submission)),
        done=lambda found: found.status in (Status.SCORED, Status.FAILED),
        seconds=wait,
    )


@shared.get("/submissions/{submission}/code")
def get_code(submission: SubmissionId, study: VisibleStudy, services: AnyServices) -> Code:
    """Code of a submission. Untrusted."""
    return Code(submission=submission, code=services.store.code(study, submission))


@router.get("/board")
def get_board(member: Researching, services: AnyServices, limit: Limit = PAGE) -> list[Standing]:
    """The scored submissions by guarded figures, best first."""
    return services.board.standings(member.study, limit)
