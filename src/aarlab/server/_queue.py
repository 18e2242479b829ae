"""The queue of evaluations and audits. It is the table itself, so it survives any crash.

Each goes queued -> running -> scored (done) or failed. Whoever takes it out leaves a claim; a result is kept
only if the claim still stands, in the same statement that ends the evaluation. So what a dead or stopped
server left half done is done again with the same seeds, and nothing is counted twice.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from aarlab.api.schemas import Asked, Failure, Status
from aarlab.audits import AuditFinding
from aarlab.evaluation import Evaluation
from aarlab.server import _events
from aarlab.server._database import Database
from aarlab.server._feedback import PublicSplit, ask_guard
from aarlab.server._models import AuditRow, EvaluationRow, SubmissionRow, now
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._score import evaluation_in, score_of
from aarlab.server._secrets import draw_seeds
from aarlab.server._store import AUDIT, PRIVATE, PUBLIC
from aarlab.server.artifacts import Artifacts

What = Literal["public", "private", "audit"]


@dataclass(frozen=True)
class Task:
    """An evaluation that was taken out of the queue.

    Attributes:
        evaluation: id of its row.
        claim: the right to record its result.
        submission: id of the submission.
        study: id of its study.
        author: name of its researcher.
        testbed: what to score on.
        secret: the study's.
        code: what to run.
        what: score it on "public" or "private", or "audit" it.
        seeds: training seeds.
        claimed: its public score, if it is to be audited.
    """

    evaluation: int
    claim: str
    submission: int
    study: str
    author: str
    testbed: str
    secret: bytes
    code: str
    what: What
    seeds: tuple[int, ...]
    claimed: Evaluation | None = None


class Queue:
    """Evaluations and audits to do, in the order in which they were asked for."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self.database, self.artifacts = database, artifacts

    def recover(self) -> int:
        """Queue again what a dead server left running, and a baseline that could not be run; tells how many."""
        baselines = select(SubmissionRow.id).where(SubmissionRow.researcher_id.is_(None))
        with self.database.write() as session:
            stale = _requeue(session, EvaluationRow.status == Status.RUNNING)
            return stale + _requeue(session, EvaluationRow.ours, EvaluationRow.submission_id.in_(baselines))

    def claim(self) -> Task | None:
        """The oldest queued task, now running; None if nothing is queued."""
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
            submission = session.get_one(SubmissionRow, row.submission_id)
            study = submission.study
            what: What = "private" if row.task == PRIVATE else "audit" if row.task == AUDIT else "public"
            claimed = None
            if what == AUDIT:
                query = select(EvaluationRow).filter_by(submission_id=submission.id, task=PUBLIC)
                claimed = evaluation_in(session.scalars(query).one(), self.artifacts)
            return Task(
                evaluation=taken,
                claim=claim,
                submission=submission.id,
                study=study.id,
                author=submission.author,
                testbed=study.testbed,
                secret=study.secret,
                code=self.artifacts.get(submission.sha256).decode(),
                what=what,
                seeds=draw_seeds(study.secret, submission.sha256, what, study.seeds),
                claimed=claimed,
            )

    def release(self, task: Task) -> None:
        """Give a task back to the queue, if its claim still stands."""
        with self.database.write() as session:
            _requeue(session, EvaluationRow.claim == task.claim, EvaluationRow.status == Status.RUNNING)

    def record(self, task: Task, result: Evaluation, public: PublicSplit) -> bool:
        """Keep a score, and the guard's answer if it is on `public`; tells whether the claim still stood.

        Args:
            task: what was scored.
            result: its score.
            public: what the guard needs to know of the public split.
        """
        arrays = self.artifacts.put_arrays(result.correct, result.predictions)
        with self.database.write() as session:
            row = self._end(session, task, Status.SCORED)
            if row is None:
                return False
            row.score = score_of(result).model_dump(mode="json")
            row.arrays = arrays
            session.flush()
            if task.what == PUBLIC:
                answer = ask_guard(session, row, result, public, self.artifacts)
                told = {"accuracy": answer.accuracy, "censored": answer.censored}
                self._log(session, task, "guard.answered", **told)
            return True

    def record_audit(self, task: Task, findings: Sequence[AuditFinding]) -> bool:
        """Keep what the audits found; tells whether the claim still stood."""
        with self.database.write() as session:
            if self._end(session, task, Status.SCORED) is None:
                return False
            for finding in findings:
                document = finding.model_dump(mode="json")
                session.add(AuditRow(submission_id=task.submission, audit=finding.audit, finding=document))
                told = {"audit": finding.audit, "verdict": finding.verdict, "figure": finding.figure}
                self._log(session, task, "audit.found", **told)
            return True

    def record_failure(self, task: Task, failure: Failure, *, ours: bool = False) -> bool:
        """Keep why there is no score; tells whether the claim still stood.

        Args:
            task: what failed.
            failure: why.
            ours: it was no fault of the method's, so nobody pays, and it may be asked for again.
        """
        with self.database.write() as session:
            row = self._end(session, task, Status.FAILED, failure=failure.kind)
            if row is None:
                return False
            row.failure, row.ours = failure.model_dump(mode="json"), ours
            if ours:
                row.payer_id = None
            return True

    def _end(self, session: Session, task: Task, status: Status, **told: str) -> EvaluationRow | None:
        """End a task whose claim still stands, and enter it into the event log."""
        ended = session.scalar(
            update(EvaluationRow)
            .where(EvaluationRow.claim == task.claim, EvaluationRow.status == Status.RUNNING)
            .values(claim=None, ended_at=now(), status=status)
            .returning(EvaluationRow.id)
            .execution_options(synchronize_session=False)
        )
        if ended is None:
            return None
        self._log(
            session, task, "evaluation.ended", task=task.what, status=status.value, seeds=list(task.seeds), **told
        )
        return session.get_one(EvaluationRow, ended)

    @staticmethod
    def _log(session: Session, task: Task, kind: str, /, **told: Any) -> None:
        _events.append(session, task.study, kind, _events.SERVER, submission=task.submission, **told)

    def ask(self, study: str, what: Literal["private", "audit"], submissions: Sequence[int]) -> list[int]:
        """Queue the one look on `private`, or the audit, of each submission and of the baseline; returns their ids.

        Raises:
            ProblemError: one is not of this study, or has no public score.
        """
        with self.database.write() as session:
            in_study = select(SubmissionRow).filter_by(study_id=study)
            wanted = session.scalars(in_study.where(SubmissionRow.id.in_(submissions))).all()
            if missing := set(submissions) - {row.id for row in wanted}:
                raise not_found("submission", min(missing))
            baseline = session.scalars(in_study.where(SubmissionRow.researcher_id.is_(None))).all()
            for row in (*wanted, *(baseline if what == AUDIT else ())):
                _check_scored(row, always=what == AUDIT)
            rows = {row.id: row for row in (*baseline, *wanted)}
            for row in rows.values():
                look = row.evaluation(what)
                if look is None:
                    row.evaluations.append(EvaluationRow(task=what))
                elif look.ours:
                    look.status, look.ours, look.failure = Status.QUEUED, False, None
                else:
                    continue
                _events.append(session, study, f"{what}.requested", _events.OPERATOR, submission=row.id)
            return sorted(rows)

    def asked(self, what: Literal["private", "audit"], submissions: Sequence[int]) -> Asked:
        """Where the looks on `private`, or the audits, stand."""
        query = select(EvaluationRow).where(EvaluationRow.task == what, EvaluationRow.submission_id.in_(submissions))
        with self.database.read() as session:
            rows = session.scalars(query.order_by(EvaluationRow.submission_id)).all()
        failed = [row for row in rows if row.status == Status.FAILED]
        return Asked(
            done=tuple(row.submission_id for row in rows if row.status == Status.SCORED),
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


def _check_scored(row: SubmissionRow, *, always: bool) -> None:
    """Refuse what has no public score; the baseline may still get one, unless `always`."""
    look = row.evaluation(PUBLIC)
    if (row.researcher is not None or always) and (look is None or look.status != Status.SCORED):
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "not-scored",
            f"Submission {row.id} has no public score.",
            "Name submissions that the leaderboard shows, once the baseline is scored.",
        )
