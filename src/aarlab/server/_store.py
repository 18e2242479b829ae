"""Studies, researchers, submissions and findings, and the rules for changing them."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from sqlalchemy import func, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from aarlab.api import schemas
from aarlab.api.access import Role
from aarlab.api.schemas import BASELINE, Status
from aarlab.server import _events
from aarlab.server._budgets import Spent, check_budget, spent_in
from aarlab.server._database import Database
from aarlab.server._idempotency import check_repeated
from aarlab.server._locks import locked_study
from aarlab.server._models import (
    AuditRow,
    EvaluationRow,
    EventRow,
    ResearcherRow,
    StudyRow,
    SubmissionRow,
    TokenRow,
)
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._protocol import Evaluates
from aarlab.server._secrets import content_hash
from aarlab.server._tokens import revoke
from aarlab.server.artifacts import Artifacts

PUBLIC, PRIVATE, AUDIT = "public", "private", "audit"
CREATED = "study.created"


@dataclass(frozen=True)
class Scored:
    """The arrays of a score.

    Attributes:
        submission: its id.
        author: who submitted it.
        correct: whether each test example was right, shape (seeds, n).
        predictions: P(label = 1) of each, shape (seeds, n).
    """

    submission: int
    author: str
    correct: NDArray[np.float32]
    predictions: NDArray[np.float32]


class Store:
    """What the server knows. Rows it returns are detached: read them, change nothing."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self.database, self.artifacts = database, artifacts
        self._spent: dict[str, tuple[int | None, Spent]] = {}  # by study, with the event log's last number

    # Studies and researchers

    def create_study(
        self, wanted: schemas.StudyCreate, secret: bytes, evaluator: Evaluates, key: str | None = None
    ) -> tuple[StudyRow, bool]:
        """A study with the baseline queued, and whether it is new: one that was made with the same key is not.

        Args:
            wanted: what was asked for.
            secret: the study's.
            evaluator: of its testbed, as the secret draws it.
            key: idempotency key.

        Raises:
            ProblemError: the key came with another study.
        """
        vanilla = self.artifacts.put(evaluator.vanilla_code().encode())
        study = StudyRow(
            id=f"{_slug(wanted.testbed)}-{secrets.token_hex(4)}",
            secret=secret,
            key=key,
            examples=len(evaluator.groups("public")),
            guard_step=evaluator.guard_step(),
            **asdict(evaluator.anchors("public")),
            **wanted.model_dump(),
        )
        try:
            with self.database.write() as session:
                session.add(study)
                session.flush()
                _events.append(session, study.id, CREATED, _events.OPERATOR, **wanted.model_dump(mode="json"))
                baseline = SubmissionRow(study_id=study.id, name="vanilla", sha256=vanilla)
                baseline.evaluations = [EvaluationRow(task=PUBLIC)]
                session.add(baseline)
        except IntegrityError:
            known = self.made_before(wanted, key)
            if known is None:
                raise
            return known, False
        return study, True

    def made_before(self, wanted: schemas.StudyCreate, key: str | None) -> StudyRow | None:
        """The study that was made with this key, if one was.

        Raises:
            ProblemError: it was another study that was asked for.
        """
        if key is None:
            return None
        with self.database.read() as session:
            row = session.scalar(select(StudyRow).where(StudyRow.key == key))
            if row is not None:
                # Not the row: its budgets may have been raised since.
                created = select(EventRow.payload).where(EventRow.study_id == row.id, EventRow.kind == CREATED)
                check_repeated(json.loads(session.scalars(created).one()) == wanted.model_dump(mode="json"))
            return row

    def studies(
        self, only: str | None = None, *, after: str | None = None, limit: int | None = None
    ) -> Sequence[StudyRow]:
        """Studies, oldest first.

        Args:
            only: the one that may be seen; None if all.
            after: only those created after this one, by its id.
            limit: how many at most.

        Raises:
            ProblemError: there is no study `after`.
        """
        query = select(StudyRow).order_by(StudyRow.created_at, StudyRow.id).limit(limit)
        if only is not None:
            query = query.where(StudyRow.id == only)
        with self.database.read() as session:
            if after is not None:
                if only not in (None, after):
                    raise not_found("study", after)
                last = study_in(session, after)
                query = query.where(tuple_(StudyRow.created_at, StudyRow.id) > (last.created_at, last.id))
            return session.scalars(query).all()

    def study(self, study: str) -> StudyRow:
        """A study by id."""
        with self.database.read() as session:
            return study_in(session, study)

    def finish(self, study: str) -> StudyRow:
        """Take no further submissions; those queued are still evaluated."""
        with self.database.write() as session:
            row = study_in(session, study, lock=True)
            if not row.finished:
                row.finished, row.paused = True, False  # what is queued is still evaluated
                _events.append(session, study, "study.finished", _events.OPERATOR)
            return row

    def admit(self, study: str, wanted: schemas.ResearcherCreate, token_hash: str) -> ResearcherRow:
        """A new researcher; an admitted name gets a new token, and its old ones end."""
        if wanted.name.casefold() == BASELINE:
            raise ProblemError(HTTPStatus.CONFLICT, "reserved", f"{BASELINE!r} is the server's own.", "Use another.")
        with self.database.write() as session:
            study_in(session, study, lock=True)
            row = session.scalar(select(ResearcherRow).filter_by(study_id=study, name=wanted.name))
            if row is None:
                row = ResearcherRow(study_id=study, **dict(wanted))
                session.add(row)
            session.flush()
            revoke(session, TokenRow.researcher_id == row.id)
            session.add(
                TokenRow(hash=token_hash, role=Role.RESEARCHER, study_id=study, researcher_id=row.id, label=row.name)
            )
            told = {"researcher": row.name, "kind": row.kind, "direction": row.direction}
            _events.append(session, study, "researcher.admitted", _events.OPERATOR, **told)
            session.refresh(row)
            return row

    def researcher(self, researcher: int) -> ResearcherRow:
        """A researcher by id."""
        with self.database.read() as session:
            return session.get_one(ResearcherRow, researcher)

    def researchers(self, study: str, *, after: int = 0, limit: int | None = None) -> Sequence[ResearcherRow]:
        """Researchers of a study with a larger id than `after`, in the order of their admission."""
        query = select(ResearcherRow).where(ResearcherRow.study_id == study, ResearcherRow.id > after)
        with self.database.read() as session:
            study_in(session, study)
            return session.scalars(query.order_by(ResearcherRow.id).limit(limit)).all()

    def spent(self, study: str) -> Spent:
        """What the researchers of a study have spent."""
        number = select(func.max(EventRow.number)).where(EventRow.study_id == study)
        with self.database.read() as session:
            last = session.scalar(number)  # before the sums: whatever changes them enters the event log
            known = self._spent.get(study)
            if known is None or known[0] != last:
                known = self._spent[study] = (last, spent_in(session, study))
            return known[1]

    # Submissions

    def submit(self, researcher: int, wanted: schemas.SubmissionCreate) -> tuple[SubmissionRow, bool]:
        """Queue a method, unless the study has it; tells whether it is new.

        Code that the server once failed to run, for no fault of its own, is queued again at the
        expense of whoever asks.

        Raises:
            ProblemError: the budget is spent, the study is over, or the parent is not of this study.
        """
        with self.database.read() as session:  # before the code is kept: what is refused leaves nothing on the disk
            study = study_in(session, session.get_one(ResearcherRow, researcher).study_id)
            same = select(SubmissionRow.id).filter_by(study_id=study.id, sha256=content_hash(wanted.code))
            if session.scalar(same) is None:
                check_budget(session, study, researcher)
                if wanted.parent is not None:
                    submission_in(session, study.id, wanted.parent)
        sha256 = self.artifacts.put(wanted.code.encode())
        with self.database.write() as session:
            author = session.get_one(ResearcherRow, researcher)
            study = study_in(session, author.study_id, lock=True)
            known = session.scalar(select(SubmissionRow).filter_by(study_id=study.id, sha256=sha256))
            look = None if known is None else known.evaluation(PUBLIC)
            if known is not None and not (look is not None and look.ours):
                return known, False
            check_budget(session, study, researcher)
            if known is not None and look is not None:
                look.ask_again()
                look.payer_id = None if known.researcher is None else researcher
                _events.append(session, study.id, "submission.repeated", author.name, submission=known.id)
                return known, False
            if wanted.parent is not None:
                submission_in(session, study.id, wanted.parent)
            row = SubmissionRow(
                study_id=study.id,
                researcher_id=researcher,
                name=wanted.name,
                sha256=sha256,
                parent_id=wanted.parent,
                note=wanted.note,
            )
            row.evaluations = [EvaluationRow(task=PUBLIC, payer_id=researcher)]
            session.add(row)
            session.flush()
            told: dict[str, JsonValue] = {"submission": row.id, "sha256": sha256}
            _events.append(session, study.id, "submission.received", author.name, **told)
            session.refresh(row)
            return row, True

    def submission(self, study: str | None, submission: int) -> SubmissionRow:
        """A submission; of this study only, unless `study` is None."""
        with self.database.read() as session:
            return submission_in(session, study, submission)

    def code(self, study: str | None, submission: int) -> str:
        """Code of a submission; of this study only, unless `study` is None."""
        return self.artifacts.get(self.submission(study, submission).sha256).decode()

    def submissions(self, study: str, *, after: int = 0, limit: int | None = None) -> Sequence[SubmissionRow]:
        """Submissions with a larger id than `after`, oldest first."""
        query = select(SubmissionRow).filter_by(study_id=study).where(SubmissionRow.id > after)
        with self.database.read() as session:
            study_in(session, study)
            return session.scalars(query.order_by(SubmissionRow.id).limit(limit)).all()

    def scored(self, study: str, split: str) -> list[Scored]:
        """The arrays of all scores on a split, in the order of the evaluations."""
        query = (
            select(EvaluationRow)
            .join(EvaluationRow.submission)
            .where(SubmissionRow.study_id == study)
            .where(EvaluationRow.task == split, EvaluationRow.status == Status.SCORED)
            .order_by(EvaluationRow.id)
        )
        with self.database.read() as session:
            rows = session.scalars(query).all()
        return [
            Scored(row.submission_id, row.submission.author, *self.artifacts.arrays(row.arrays))
            for row in rows
            if row.arrays is not None
        ]

    # Audits and the event log

    def overrule(self, submission: int, audit: str, wanted: schemas.Overrule) -> AuditRow:
        """Decide otherwise than an audit did; the reason goes into the event log.

        Raises:
            ProblemError: there is no such submission, or it has no such audit.
        """
        with self.database.write() as session:
            row = session.scalar(select(AuditRow).filter_by(submission_id=submission, audit=audit))
            if row is None:
                raise not_found("audit", f"{audit!r} of submission {submission}")
            row.overruled = wanted.model_dump(mode="json")
            study = session.get_one(SubmissionRow, submission).study_id
            told = {"submission": submission, "audit": audit, **row.overruled}
            _events.append(session, study, "audit.overruled", _events.OPERATOR, **told)
            return row

    def note(self, study: str, kind: str, /, **payload: JsonValue) -> None:
        """Enter something that the operator did into the event log."""
        with self.database.write() as session:
            study_in(session, study)
            _events.append(session, study, kind, _events.OPERATOR, **payload)

    def events(self, study: str, *, after: int = 0, limit: int | None = None) -> Sequence[EventRow]:
        """Entries of a study's event log with a larger number than `after`, in order."""
        query = select(EventRow).filter_by(study_id=study).where(EventRow.number > after)
        with self.database.read() as session:
            study_in(session, study)
            return session.scalars(query.order_by(EventRow.number).limit(limit)).all()


def _slug(testbed: str) -> str:
    """A testbed's name as part of an address; one of one's own is named by its folder."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", testbed.rstrip("/").rpartition("/")[2]).strip("-") or "study"


def study_in(session: Session, study: str, *, lock: bool = False) -> StudyRow:
    """A study by id, locked for this transaction if asked.

    Raises:
        ProblemError: there is none.
    """
    row = locked_study(session, study) if lock else session.get(StudyRow, study)
    if row is None:
        raise not_found("study", study)
    return row


def submission_in(session: Session, study: str | None, submission: int) -> SubmissionRow:
    """A submission by id; of this study only, unless `study` is None.

    Raises:
        ProblemError: there is none.
    """
    row = session.get(SubmissionRow, submission)
    if row is None or (study is not None and row.study_id != study):
        raise not_found("submission", submission)
    return row
