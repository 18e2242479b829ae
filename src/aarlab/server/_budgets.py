"""Budgets of a study: evaluations and money, and where they stop whom.

Budgets of money end before their limit. Nobody knows what a call costs before it is over, so a researcher is stopped
where one further call of each that may have one under way, each as dear as the dearest charge that was entered so far,
and all evaluations and audits that wait or run, would reach the limit. What is protected: as long as no charge is
larger than those before it, and each researcher makes one call at a time and looks first, no limit is passed. What is
not: the first calls, before anything is known, and one that is dearer than all before it, may pass it, by what they
cost; and nobody is held back who does not look, the server can only refuse its submissions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from aarlab.api.schemas import Status
from aarlab.server._ledger import AUDITED, EVALUATION
from aarlab.server._models import ChargeRow, EvaluationRow, ResearcherRow, StudyRow, SubmissionRow
from aarlab.server._problems import ProblemError


@dataclass(frozen=True)
class Spent:
    """What researchers have spent, by id; those who spent nothing may be left out. None is what nobody pays.

    Attributes:
        evaluations: how many each.
        dollars: how much each.
        waiting: evaluations of each that are queued or running, and will be charged.
        dearest: the largest charge so far that the operator's software entered, in dollars.
        dearest_evaluation: the largest for an evaluation.
        audits, dearest_audit: the same for audits, which nobody pays but the study.
        callers: how many may have a call under way: all researchers.
    """

    evaluations: Mapping[int, int]
    dollars: Mapping[int | None, float]
    waiting: Mapping[int | None, int] = field(default_factory=dict)
    dearest: float = 0.0
    dearest_evaluation: float = 0.0
    audits: int = 0
    dearest_audit: float = 0.0
    callers: int = 0

    @property
    def total(self) -> float:
        """Dollars of all, what nobody pays included."""
        return sum(self.dollars.values())

    def researcher_stop(self, row: ResearcherRow) -> float | None:
        """Dollars at which a researcher is stopped by its own budget; None if it has none."""
        return self._stop(row.dollars_limit, 1, self.waiting.get(row.id, 0) * self.dearest_evaluation)

    def study_stop(self, row: StudyRow) -> float | None:
        """Dollars of all at which everybody is stopped; None if the study has no budget of money."""
        under_way = sum(self.waiting.values()) * self.dearest_evaluation + self.audits * self.dearest_audit
        return self._stop(row.dollars_per_study, self.callers, under_way)

    def _stop(self, limit: float | None, callers: int, under_way: float) -> float | None:
        return None if limit is None else max(0.0, limit - callers * self.dearest - under_way)

    def left(self, row: ResearcherRow) -> float | None:
        """Dollars until a researcher is stopped, by its own budget or the study's; None if neither has a limit."""
        own, shared = self.researcher_stop(row), self.study_stop(row.study)
        lefts = [] if own is None else [own - self.dollars.get(row.id, 0.0)]
        lefts += [] if shared is None else [shared - self.total]
        return max(0.0, min(lefts)) if lefts else None


def spent_in(session: Session, study: str) -> Spent:
    """What the researchers of a study have spent, and what they may have under way."""
    counted = (
        select(EvaluationRow.payer_id, EvaluationRow.task, EvaluationRow.status, func.count())
        .join(SubmissionRow, EvaluationRow.submission_id == SubmissionRow.id)
        .where(SubmissionRow.study_id == study)
        .group_by(EvaluationRow.payer_id, EvaluationRow.task, EvaluationRow.status)
    )
    evaluations: dict[int, int] = {}
    waiting: dict[int | None, int] = {}
    audits = 0
    for payer, task, status, count in session.execute(counted):
        if payer is not None:
            evaluations[payer] = evaluations.get(payer, 0) + count
        if status in (Status.QUEUED, Status.RUNNING):
            if f":{task}" == AUDITED:
                audits += count
            else:
                waiting[payer] = waiting.get(payer, 0) + count
    kind = case(
        (~ChargeRow.key.startswith(EVALUATION), "entered"),
        (ChargeRow.key.endswith(AUDITED), "audit"),
        else_="evaluation",
    )
    charged = (
        select(ChargeRow.researcher_id, kind, func.sum(ChargeRow.dollars), func.max(ChargeRow.dollars))
        .where(ChargeRow.study_id == study)
        .group_by(ChargeRow.researcher_id, kind)
    )
    dollars: dict[int | None, float] = {}
    dearest: dict[str, float] = {}
    for payer, what, total, largest in session.execute(charged):
        dollars[payer] = dollars.get(payer, 0.0) + total
        dearest[what] = max(dearest.get(what, 0.0), largest)
    members = select(func.count()).select_from(ResearcherRow).where(ResearcherRow.study_id == study)
    return Spent(
        evaluations=evaluations,
        dollars=dollars,
        waiting=waiting,
        dearest=dearest.get("entered", 0.0),
        dearest_evaluation=dearest.get("evaluation", 0.0),
        audits=audits,
        dearest_audit=dearest.get("audit", 0.0),
        callers=session.scalar(members) or 0,
    )


def check_budget(session: Session, study: StudyRow, researcher: int) -> None:
    """Refuse a submission if the study takes none, or if its evaluation is beyond a budget.

    Args:
        session: one that writes, for an answer that holds.
        study: locked, so that budgets are not spent twice.
        researcher: id of whoever submits.

    Raises:
        ProblemError: the study is over or paused, or a budget is spent, the researcher's own or the study's.
    """
    if study.finished:
        detail = "The study is over; it takes no further submissions."
        raise ProblemError(HTTPStatus.CONFLICT, "finished", detail, "What is recorded can still be read.")
    if study.paused:
        detail = "The study is paused; it takes no submissions for now."
        raise ProblemError(HTTPStatus.CONFLICT, "paused", detail, "Try again in a while.")
    row, spent = session.get_one(ResearcherRow, researcher, populate_existing=True), spent_in(session, study.id)
    _check_evaluations("", spent.evaluations.get(researcher, 0), row.evaluations_limit)
    if study.evaluations_per_study is not None:
        _check_evaluations(" of the study", sum(spent.evaluations.values()), study.evaluations_per_study)
    _check_dollars(spent, row)


def _check_evaluations(whose: str, spent: int, limit: int) -> None:
    if spent >= limit:
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "budget",
            f"All {limit} evaluations{whose} are spent.",
            "Post what you found; code that the study already has can still be looked up by submitting it.",
            spent=spent,
            limit=limit,
        )


def _check_dollars(spent: Spent, row: ResearcherRow) -> None:
    bounds = (
        ("", spent.researcher_stop(row), spent.dollars.get(row.id, 0.0), row.dollars_limit),
        (" of the study", spent.study_stop(row.study), spent.total, row.study.dollars_per_study),
    )
    for whose, stop, dollars, limit in bounds:
        if stop is not None and limit is not None and (dollars >= stop or dollars + spent.dearest_evaluation > stop):
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "budget",
                f"${dollars:.2f} of the ${limit:.2f}{whose} are spent, and no more than ${stop:.2f} may be: the rest "
                "is kept back for what is under way.",
                "Make no further calls and post what you found; the operator may raise the budget.",
                spent=dollars,
                limit=limit,
            )
