"""The ledger: what research costs, each charge entered once. `_budgets` stops whom it is too much for.

An evaluation that was scored, and the audits of a submission, are charged their CPU seconds in the sandboxes, in the
transaction that keeps what came of them: to whoever it counts against on `public`, to nobody for the baseline, audits
and looks on `private`. All else (calls of models, GPUs) the operator's own software enters. What is not charged,
because nobody measures it: evaluations that failed, the training of weak supervisors, and the server itself.
"""

from collections.abc import Sequence
from http import HTTPStatus

from sqlalchemy import select
from sqlalchemy.orm import Session

from aarlab.api.ledger import MAX_DOLLARS, ChargeCreate, ChargeKind
from aarlab.server import _events
from aarlab.server._database import Database
from aarlab.server._locks import locked_study
from aarlab.server._models import ChargeRow, EvaluationRow, ResearcherRow, StudyRow, SubmissionRow
from aarlab.server._problems import ProblemError, not_found

EVALUATION = "evaluation:"  # how keys of the server's own charges begin
AUDITED = ":audit"  # how those of audits end


def charge_evaluation(session: Session, row: EvaluationRow, seconds: float) -> None:
    """Charge a scored evaluation, or audits, their CPU time, in the transaction that keeps what came of them.

    Args:
        session: the one that keeps it.
        row: the evaluation, with its payer.
        seconds: of CPU, inside the sandboxes, all seeds or all runs.
    """
    study = row.submission.study
    session.add(
        ChargeRow(
            study_id=study.id,
            researcher_id=row.payer_id,
            submission_id=row.submission_id,
            kind=ChargeKind.CPU,
            key=f"{EVALUATION}{row.id}:{row.task}",
            seconds=seconds,
            dollars=seconds / 3600 * study.cpu_dollars,
        )
    )


class Ledger:
    """Charges of studies. Rows it returns are detached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def charge(self, study: str, wanted: ChargeCreate) -> tuple[ChargeRow, bool]:
        """Enter a charge; tells whether it is new. The same again changes nothing.

        A study that is over, or a budget that is spent, refuses no charge: what was used has to be paid.

        Raises:
            ProblemError: there is no such study, researcher or submission; its price is not known; or the key came
                with another content before.
        """
        with self._database.write() as session:
            row = locked_study(session, study)
            if row is None:
                raise not_found("study", study)
            member = None if wanted.researcher is None else session.get(ResearcherRow, wanted.researcher)
            if wanted.researcher is not None and (member is None or member.study_id != study):
                raise not_found("researcher", wanted.researcher)
            if wanted.submission is not None:
                submission = session.get(SubmissionRow, wanted.submission)
                if submission is None or submission.study_id != study:
                    raise not_found("submission", wanted.submission)
            entered = ChargeRow(
                study_id=study,
                researcher_id=wanted.researcher,
                submission_id=wanted.submission,
                dollars=_price(row, wanted),
                **wanted.model_dump(exclude={"researcher", "submission", "dollars"}),
            )
            known = session.scalar(select(ChargeRow).where(ChargeRow.study_id == study, ChargeRow.key == wanted.key))
            if known is not None:
                _check_same(known, entered)
                return known, False
            session.add(entered)
            session.flush()
            _events.append(
                session,
                study,
                "charge.entered",
                _events.OPERATOR,
                key=wanted.key,
                charged=wanted.kind.value,
                researcher=None if member is None else member.name,
                model=wanted.model,
                dollars=entered.dollars,
            )
            session.refresh(entered)
            return entered, True

    def charges(self, study: str, *, after: int = 0, limit: int | None = None) -> Sequence[ChargeRow]:
        """Charges of a study with a larger id than `after`, in the order in which they were entered.

        Raises:
            ProblemError: there is no such study.
        """
        query = select(ChargeRow).where(ChargeRow.study_id == study, ChargeRow.id > after)
        with self._database.read() as session:
            if session.get(StudyRow, study) is None:
                raise not_found("study", study)
            return session.scalars(query.order_by(ChargeRow.id).limit(limit)).all()


def _price(study: StudyRow, wanted: ChargeCreate) -> float:
    """Dollars of a charge.

    Raises:
        ProblemError: nobody says what it costs, or it is more than a charge may be.
    """
    if wanted.key.startswith(EVALUATION):
        detail = f"Keys that begin with {EVALUATION!r} are the server's own."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "reserved", detail, "Name it otherwise.")
    if wanted.dollars is not None:
        return wanted.dollars
    if wanted.kind == ChargeKind.TOKENS:
        detail = "The server does not know what tokens cost."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "no-price", detail, "Send `dollars` with them.")
    hourly = study.gpu_dollars if wanted.kind == ChargeKind.GPU else study.cpu_dollars
    dollars = wanted.seconds / 3600 * hourly
    if dollars > MAX_DOLLARS:
        detail = f"A charge is at most ${MAX_DOLLARS:.0f}."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "too-large", detail, "Check its seconds.")
    return dollars


def _check_same(known: ChargeRow, again: ChargeRow) -> None:
    """Refuse a key that came with another content.

    Raises:
        ProblemError: it did.
    """
    names = set(ChargeRow.__table__.columns.keys()) - {"id", "created_at"}
    if any(getattr(known, name) != getattr(again, name) for name in names):
        detail = f"The key {known.key!r} was charged before, with another content."
        advice = "A charge stays as it was entered; enter a correction under another key."
        raise ProblemError(HTTPStatus.CONFLICT, "key-reused", detail, advice)
