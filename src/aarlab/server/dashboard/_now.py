"""What a study's server does at the moment."""

from dataclasses import dataclass

from sqlalchemy import func, select

from aarlab.api.schemas import Status
from aarlab.server._database import Database
from aarlab.server._models import EvaluationRow, SubmissionRow
from aarlab.server._store import PUBLIC

SHOWN = 20


@dataclass(frozen=True)
class Task:
    """An evaluation under way.

    Attributes:
        task: "public", "private" or "audit".
    """

    submission: int
    method: str
    researcher: str
    task: str
    attempts: int


@dataclass(frozen=True)
class UnderWay:
    """What runs, the first `SHOWN` of it, and how much waits."""

    running: tuple[Task, ...]
    waiting: int


def under_way(database: Database, study: str, *, exact: bool) -> UnderWay:
    """What is evaluated at the moment.

    Args:
        database: the server's.
        study: id of the study.
        exact: whether to tell of audits and looks at `private`, which are the operator's.
    """
    of_study = [SubmissionRow.study_id == study]
    if not exact:
        of_study.append(EvaluationRow.task == PUBLIC)
    joined = select(EvaluationRow).join(EvaluationRow.submission).where(*of_study)
    running = joined.where(EvaluationRow.status == Status.RUNNING).order_by(EvaluationRow.id).limit(SHOWN)
    waiting = (
        select(func.count())
        .select_from(EvaluationRow)
        .join(SubmissionRow, EvaluationRow.submission_id == SubmissionRow.id)
        .where(*of_study, EvaluationRow.status == Status.QUEUED)
    )
    with database.read() as session:
        tasks = tuple(
            Task(row.submission_id, row.submission.name, row.submission.author, row.task, row.attempts)
            for row in session.scalars(running)
        )
        return UnderWay(tasks, session.scalar(waiting) or 0)


def retries(database: Database, submission: int) -> list[tuple[str, str]]:
    """Why evaluations of a submission were put back into the queue: task and reason, for the operator."""
    query = select(EvaluationRow.task, EvaluationRow.retried).where(EvaluationRow.submission_id == submission)
    with database.read() as session:
        return [
            (task, reason) for task, reasons in session.execute(query.order_by(EvaluationRow.id)) for reason in reasons
        ]
