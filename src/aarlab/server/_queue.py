"""The queue of evaluations. It is the table itself, so it survives any crash.

An evaluation goes queued -> running -> scored or failed. Whoever takes it out leaves a claim; a result is kept
only if the claim still stands, in the same statement that ends the evaluation. So what a dead or stopped
server left half done is done again with the same seeds, and nothing is counted twice.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, undefer

from aarlab.api.schemas import Confirmation, Failure, Status
from aarlab.evaluation import Evaluation
from aarlab.server._database import Database
from aarlab.server._models import EvaluationRow, SubmissionRow, now
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._score import score_of
from aarlab.server._secrets import draw_seeds
from aarlab.server._store import PRIVATE, PUBLIC
from aarlab.testbeds import Split


@dataclass(frozen=True)
class Task:
    """An evaluation that was taken out of the queue.

    Attributes:
        evaluation: id of its row.
        claim: the right to record its result.
        submission: id of the submission.
        testbed: what to score on.
        code: what to run.
        split: "public" or "private".
        seeds: training seeds.
    """

    evaluation: int
    claim: str
    submission: int
    testbed: str
    code: str
    split: Split
    seeds: tuple[int, ...]


class Queue:
    """Evaluations to do, in the order in which they were asked for."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def recover(self) -> int:
        """Queue again what a dead server left running, and a baseline that could not be run; tells how many."""
        baselines = select(SubmissionRow.id).where(SubmissionRow.researcher_id.is_(None))
        with self.database.write() as session:
            stale = _requeue(session, EvaluationRow.status == Status.RUNNING)
            return stale + _requeue(session, EvaluationRow.ours, EvaluationRow.submission_id.in_(baselines))

    def claim(self) -> Task | None:
        """The oldest queued evaluation, now running; None if nothing is queued."""
        first = select(EvaluationRow.id).filter_by(status=Status.QUEUED).order_by(EvaluationRow.id).limit(1)
        with self.database.read() as session:  # looking does not take the write lock
            if session.scalar(first) is None:
                return None
        claim = secrets.token_hex(16)
        with self.database.write() as session:
            taken = session.scalar(
                update(EvaluationRow)
                .where(EvaluationRow.id == first.scalar_subquery(), EvaluationRow.status == Status.QUEUED)
                .values(status=Status.RUNNING, claim=claim)
                .returning(EvaluationRow.id)
                .execution_options(synchronize_session=False)
            )
            if taken is None:
                return None
            row = session.get_one(EvaluationRow, taken)
            submission = session.get_one(SubmissionRow, row.submission_id, options=[undefer(SubmissionRow.code)])
            study = submission.study
            split: Split = "private" if row.split == PRIVATE else "public"
            return Task(
                evaluation=taken,
                claim=claim,
                submission=submission.id,
                testbed=study.testbed,
                code=submission.code,
                split=split,
                seeds=draw_seeds(study.secret, submission.sha256, split, study.seeds),
            )

    def release(self, task: Task) -> None:
        """Give a task back to the queue, if its claim still stands."""
        with self.database.write() as session:
            _requeue(session, EvaluationRow.claim == task.claim, EvaluationRow.status == Status.RUNNING)

    def record(self, task: Task, result: Evaluation) -> bool:
        """Keep a score; tells whether the claim still stood."""
        correct = result.correct
        return self._end(
            task,
            status=Status.SCORED,
            score=score_of(result).model_dump(mode="json"),
            correct=correct.tobytes(),
            correct_dtype=correct.dtype.str,
            correct_shape=list(correct.shape),
        )

    def record_failure(self, task: Task, failure: Failure, *, ours: bool = False) -> bool:
        """Keep why there is no score; tells whether the claim still stood.

        Args:
            task: what failed.
            failure: why.
            ours: it was no fault of the method's, so nobody pays, and it may be asked for again.
        """
        values: dict[str, Any] = {"status": Status.FAILED, "failure": failure.model_dump(mode="json"), "ours": ours}
        if ours:
            values["payer_id"] = None
        return self._end(task, **values)

    def _end(self, task: Task, **values: Any) -> bool:
        with self.database.write() as session:
            ended = session.scalar(
                update(EvaluationRow)
                .where(EvaluationRow.claim == task.claim, EvaluationRow.status == Status.RUNNING)
                .values(claim=None, ended_at=now(), **values)
                .returning(EvaluationRow.id)
                .execution_options(synchronize_session=False)
            )
            return ended is not None

    def confirm(self, study: str, submissions: Sequence[int]) -> list[int]:
        """Queue the one look on `private` at each submission and at the baseline; returns their ids.

        Raises:
            ProblemError: one is not of this study, or has no public score.
        """
        with self.database.write() as session:
            in_study = select(SubmissionRow).filter_by(study_id=study)
            wanted = session.scalars(in_study.where(SubmissionRow.id.in_(submissions))).all()
            if missing := set(submissions) - {row.id for row in wanted}:
                raise not_found("submission", min(missing))
            for row in wanted:
                _check_scored(row)
            baseline = session.scalars(in_study.where(SubmissionRow.researcher_id.is_(None))).all()
            rows = {row.id: row for row in (*baseline, *wanted)}
            for row in rows.values():
                look = row.evaluation(PRIVATE)
                if look is None:
                    row.evaluations.append(EvaluationRow(split=PRIVATE))
                elif look.ours:
                    look.status, look.ours, look.failure = Status.QUEUED, False, None
            return sorted(rows)

    def confirmation(self, submissions: Sequence[int]) -> Confirmation:
        """Where the looks on `private` stand."""
        query = select(EvaluationRow).where(
            EvaluationRow.split == PRIVATE, EvaluationRow.submission_id.in_(submissions)
        )
        with self.database.read() as session:
            rows = session.scalars(query.order_by(EvaluationRow.submission_id)).all()
        failed = [row for row in rows if row.status == Status.FAILED]
        return Confirmation(
            confirmed=tuple(row.submission_id for row in rows if row.status == Status.SCORED),
            failed=tuple(row.submission_id for row in failed if not row.ours),
            interrupted=tuple(row.submission_id for row in failed if row.ours),
            pending=tuple(row.submission_id for row in rows if row.status in (Status.QUEUED, Status.RUNNING)),
        )


def _requeue(session: Session, *which: Any) -> int:
    rows = session.scalars(
        update(EvaluationRow)
        .where(*which)
        .values(status=Status.QUEUED, claim=None, ours=False, failure=None)
        .returning(EvaluationRow.id)
        .execution_options(synchronize_session=False)
    )
    return len(rows.all())


def _check_scored(row: SubmissionRow) -> None:
    look = row.evaluation(PUBLIC)
    if row.researcher is not None and (look is None or look.status != Status.SCORED):
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "not-scored",
            f"Submission {row.id} has no public score.",
            "Confirm submissions that the leaderboard shows.",
        )
