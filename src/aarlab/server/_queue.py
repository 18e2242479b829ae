"""The queue of evaluations and audits. It is the table itself, so it survives any crash.

Each goes queued -> running -> scored (done) or failed. Whoever takes it out leaves a claim with a lease, and renews the
lease while it works; a result is kept only if the claim still stands, in the same statement that ends the evaluation.
So what a dead or stopped server left half done is done again with the same seeds, and nothing is counted twice. Several
servers may share a queue on PostgreSQL. A clock that jumps costs at most that something is evaluated twice and kept
once.

A fault of ours puts a task back, with the reason in the event log, a few times; then it has failed, at nobody's cost.
What its server did not survive counts as such a fault: it may be what killed the server.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, or_, select, update
from sqlalchemy.orm import Session

from aarlab.api.schemas import Asked, Failure, Status
from aarlab.audits import AuditFinding
from aarlab.evaluation import Evaluation
from aarlab.server import _events
from aarlab.server._database import Database
from aarlab.server._feedback import PublicSplit, ask_guard
from aarlab.server._ledger import charge_evaluation
from aarlab.server._locks import locked_study
from aarlab.server._models import AuditRow, EvaluationRow, StudyRow, SubmissionRow, now
from aarlab.server._patience import Patience
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._score import evaluation_in, score_of
from aarlab.server._secrets import draw_seeds
from aarlab.server._store import AUDIT, PRIVATE, PUBLIC, study_in
from aarlab.server.artifacts import ArtifactError, Artifacts

What = Literal["public", "private", "audit"]

MAX_REASON = 300  # characters
DIED = "the server that had it died"
OURS = Failure(
    kind="server-fault",
    message="It could not be run, for no fault of its own.",
    advice="It cost nothing. Submit it again once the operator has looked at the server's log.",
)


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

    def __init__(self, database: Database, artifacts: Artifacts, patience: Patience | None = None) -> None:
        """Prepare.

        Args:
            database: holds the queue.
            artifacts: hold code and arrays.
            patience: leases and tries.
        """
        self.database, self.artifacts, self.patience = database, artifacts, patience or Patience()

    def recover(self) -> int:
        """Queue again what dead servers left running, and a baseline that could not be run; tells how many.

        An SQLite file has one server, and that was this one's earlier life: all that runs is taken. Elsewhere other
        servers may be alive: what they hold is taken when their leases are over.
        """
        alone = self.database.engine.dialect.name == "sqlite"
        left = EvaluationRow.status == Status.RUNNING if alone else self._lapsed()
        found = self._put_back(left, DIED, wait=False)
        failed = and_(EvaluationRow.status == Status.FAILED, EvaluationRow.ours)
        baselines = select(EvaluationRow.id, SubmissionRow.study_id).join(SubmissionRow).where(failed)
        with self.database.read() as session:
            stranded = session.execute(baselines.where(SubmissionRow.researcher_id.is_(None))).all()
        for evaluation, study in stranded:
            with self.database.write() as session:
                locked_study(session, study)
                row = session.scalar(select(EvaluationRow).where(EvaluationRow.id == evaluation, failed))
                if row is None:  # another server was quicker
                    continue
                row.ask_again()
                told: dict[str, Any] = {"submission": row.submission_id, "task": row.task}
                _events.append(session, study, "evaluation.recovered", _events.SERVER, **told)
                found += 1
        return found

    def claim(self, held: Collection[str] = ()) -> Task | None:
        """The oldest task that is due, now running under a lease; None if there is none.

        Args:
            held: claims of this server's, which stand even if its clock has jumped past their leases.
        """
        due, lapsed = self._due(), self._lapsed(held)
        with self.database.read() as session:  # looking does not take the write lock
            if session.scalar(_of_running_studies(or_(due, lapsed)).limit(1)) is None:
                return None
        self._put_back(lapsed, DIED, wait=False)
        claim = secrets.token_hex(16)
        first = _of_running_studies(due).order_by(EvaluationRow.id).limit(1)
        with self.database.write() as session:
            taken = session.scalar(
                update(EvaluationRow)
                .where(EvaluationRow.id == first.with_for_update(skip_locked=True, of=EvaluationRow).scalar_subquery())
                .where(EvaluationRow.status == Status.QUEUED)
                .values(
                    status=Status.RUNNING,
                    claim=claim,
                    lease_until=self._lease(),
                    attempts=EvaluationRow.attempts + 1,
                    not_before=None,
                )
                .returning(EvaluationRow.id)
                .execution_options(synchronize_session=False)
            )
            if taken is None:
                return None
            row = session.get_one(EvaluationRow, taken)
            scored = session.scalar(select(EvaluationRow).filter_by(submission_id=row.submission_id, task=PUBLIC))
        return self._task(row, claim, scored)

    def _task(self, row: EvaluationRow, claim: str, scored: EvaluationRow | None) -> Task | None:
        """What was taken out; None, and back in the queue, if an artifact that it needs cannot be read."""
        submission = row.submission
        study = submission.study
        what: What = "private" if row.task == PRIVATE else "audit" if row.task == AUDIT else "public"
        claimed = None
        try:
            code = self.artifacts.get(submission.sha256).decode()
            if what == AUDIT:
                assert scored is not None
                claimed = evaluation_in(scored, self.artifacts)
        except (ArtifactError, OSError) as error:
            self._put_back(EvaluationRow.claim == claim, f"its files cannot be read: {error}")
            return None
        return Task(
            evaluation=row.id,
            claim=claim,
            submission=submission.id,
            study=study.id,
            author=submission.author,
            testbed=study.testbed,
            secret=study.secret,
            code=code,
            what=what,
            seeds=draw_seeds(study.secret, submission.sha256, what, study.seeds),
            claimed=claimed,
        )

    def renew(self, held: Collection[str]) -> int:
        """Renew the leases of these claims; tells how many still stand."""
        with self.database.write() as session:
            rows = session.scalars(
                update(EvaluationRow)
                .where(EvaluationRow.claim.in_(held), EvaluationRow.status == Status.RUNNING)
                .values(lease_until=self._lease())
                .returning(EvaluationRow.id)
                .execution_options(synchronize_session=False)
            )
            return len(rows.all())

    def release(self, held: Collection[str]) -> None:
        """Give tasks back to the queue whose claims still stand; this attempt does not count."""
        with self.database.write() as session:
            session.execute(
                update(EvaluationRow)
                .where(EvaluationRow.claim.in_(held), EvaluationRow.status == Status.RUNNING)
                .values(status=Status.QUEUED, claim=None, lease_until=None, attempts=EvaluationRow.attempts - 1)
                .execution_options(synchronize_session=False)
            )

    def retry(self, task: Task, reason: str) -> bool:
        """Try a task again later, after a fault of ours; one too many, and it has failed. Tells whether it was held."""
        return self._put_back(EvaluationRow.claim == task.claim, reason) == 1

    def _put_back(self, which: ColumnElement[bool], reason: str, *, wait: bool = True) -> int:
        """Put back what runs and matches, or end it if it was tried often enough; tells how many.

        Args:
            which: of those that run.
            reason: in words, for the operator.
            wait: before it is tried again; what is at fault may need time.
        """
        reason = ascii(reason)[1:-1][:MAX_REASON]  # of the system or an evaluator: not to be trusted
        which = and_(which, EvaluationRow.status == Status.RUNNING)
        with self.database.read() as session:
            query = select(EvaluationRow.id, SubmissionRow.study_id).join(EvaluationRow.submission).where(which)
            found = session.execute(query).all()
        count = 0
        for evaluation, study in found:
            with self.database.write() as session:
                locked_study(session, study)
                still = select(EvaluationRow).where(EvaluationRow.id == evaluation, which)
                row = session.scalar(still.with_for_update(of=EvaluationRow))  # another may have ended it meanwhile
                if row is None:
                    continue
                count += 1
                row.claim = row.lease_until = None
                row.retried = [*row.retried, f"{now().isoformat(timespec='seconds')} {reason}"]
                told: dict[str, Any] = {"submission": row.submission_id, "task": row.task}
                why: dict[str, Any] = {"attempt": row.attempts, "reason": reason}
                _events.append(session, study, "evaluation.retried", _events.SERVER, **told, **why)
                if row.attempts < self.patience.attempts:
                    row.status = Status.QUEUED
                    row.not_before = now() + timedelta(seconds=self.patience.backoff(row.attempts)) if wait else None
                    continue
                row.status, row.ended_at = Status.FAILED, now()
                row.failure, row.ours, row.payer_id = OURS.model_dump(mode="json"), True, None
                ended: dict[str, Any] = {"status": row.status.value, "failure": OURS.kind}
                _events.append(session, study, "evaluation.ended", _events.SERVER, **told, **ended)
        return count

    def _lease(self) -> datetime:
        return now() + timedelta(seconds=self.patience.lease_seconds)

    def _due(self) -> ColumnElement[bool]:
        """Queued, and not waiting for another try; further off than any such wait means that the clock was set back."""
        at, longest = now(), timedelta(seconds=self.patience.backoff(self.patience.attempts))
        waited = or_(
            EvaluationRow.not_before.is_(None), EvaluationRow.not_before <= at, EvaluationRow.not_before > at + longest
        )
        return and_(EvaluationRow.status == Status.QUEUED, waited)

    def _lapsed(self, held: Collection[str] = ()) -> ColumnElement[bool]:
        """Running under a lease that is over, or further off than one can be, as if the clock was set back."""
        at, longest = now(), timedelta(seconds=2 * self.patience.lease_seconds)  # clocks of two servers differ a little
        over = or_(
            EvaluationRow.lease_until.is_(None),
            EvaluationRow.lease_until < at,
            EvaluationRow.lease_until > at + longest,
        )
        return and_(EvaluationRow.status == Status.RUNNING, EvaluationRow.claim.not_in(held), over)

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
            charge_evaluation(session, row, result.cpu_seconds)
            session.flush()
            if task.what == PUBLIC:
                answer = ask_guard(session, row, result, public, self.artifacts)
                told = {"accuracy": answer.accuracy, "censored": answer.censored}
                self._log(session, task, "guard.answered", **told)
            return True

    def record_audit(self, task: Task, findings: Sequence[AuditFinding], cpu_seconds: float) -> bool:
        """Keep what the audits found; tells whether the claim still stood."""
        with self.database.write() as session:
            row = self._end(session, task, Status.SCORED)
            if row is None:
                return False
            charge_evaluation(session, row, cpu_seconds)
            for finding in findings:
                document = finding.model_dump(mode="json")
                session.add(AuditRow(submission_id=task.submission, audit=finding.audit, finding=document))
                told = {"audit": finding.audit, "verdict": finding.verdict, "figure": finding.figure}
                self._log(session, task, "audit.found", **told)
            return True

    def record_failure(self, task: Task, failure: Failure) -> bool:
        """Keep why there is no score, by the method's own fault; tells whether the claim still stood."""
        with self.database.write() as session:
            row = self._end(session, task, Status.FAILED, failure=failure.kind)
            if row is None:
                return False
            row.failure = failure.model_dump(mode="json")
            return True

    def _end(self, session: Session, task: Task, status: Status, **told: str) -> EvaluationRow | None:
        """End a task whose claim still stands, and enter it into the event log."""
        locked_study(session, task.study)
        ended = session.scalar(
            update(EvaluationRow)
            .where(EvaluationRow.claim == task.claim, EvaluationRow.status == Status.RUNNING)
            .values(claim=None, lease_until=None, ended_at=now(), status=status)
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
            study_in(session, study, lock=True)
            in_study = select(SubmissionRow).filter_by(study_id=study)
            wanted = session.scalars(in_study.where(SubmissionRow.id.in_(submissions))).all()
            if missing := set(submissions) - {row.id for row in wanted}:
                raise not_found("submission", min(missing))
            baseline = session.scalars(in_study.where(SubmissionRow.researcher_id.is_(None))).all()
            for row in (*wanted, *(baseline if what == AUDIT else ())):
                _check_scored(row, always=what == AUDIT)
            rows = {row.id: row for row in (*baseline, *wanted)}
            looks = [row.evaluation(what) for row in rows.values()]
            # Whoever waits asks again and again; what has failed meanwhile is theirs to see, or they wait for ever.
            waited_for = any(look is not None and look.status in (Status.QUEUED, Status.RUNNING) for look in looks)
            for row, look in zip(rows.values(), looks, strict=True):
                if look is None:
                    row.evaluations.append(EvaluationRow(task=what))
                elif look.ours and not waited_for:
                    look.ask_again()
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


def _of_running_studies(which: ColumnElement[bool]) -> Select[int]:
    """Ids of evaluations that match, of studies that are not paused."""
    query = select(EvaluationRow.id).join(EvaluationRow.submission).join(SubmissionRow.study)
    return query.where(which, StudyRow.paused.is_(False))


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
