"""What the operator may change about a study while it runs: pause it, let it go on, budgets."""

from http import HTTPStatus

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from aarlab.api.schemas import ResearcherChange, StudyChange
from aarlab.server import _events
from aarlab.server._budgets import Spent, spent_in
from aarlab.server._database import Database
from aarlab.server._locks import locked_study
from aarlab.server._models import ResearcherRow, StudyRow
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._spells import begin_anew

NO_LIMIT = frozenset({"evaluations_per_study", "dollars_per_researcher", "dollars_per_study"})  # which null may lift
Amount = int | float


def change_study(database: Database, study: str, wanted: StudyChange) -> StudyRow:
    """Pause a study, let it go on, or change its budgets: all that is asked for, or nothing.

    What is under way when a study is paused is finished; nothing further is taken up. A study that is over can still go
    on if it is paused, so that what is queued is evaluated.

    Args:
        database: where it is.
        study: its id.
        wanted: what to change; what is left out stays, and null lifts a limit.

    Raises:
        ProblemError: there is no such study; it is over; null where there must be a value; or a budget would fall below
            what is spent.
    """
    with database.write() as session:
        row = locked_study(session, study)
        if row is None:
            raise not_found("study", study)
        asked = _asked(wanted, NO_LIMIT)
        if row.finished and asked != {"paused": False}:
            detail = "The study is over; nothing about it can be changed."
            raise ProblemError(HTTPStatus.CONFLICT, "finished", detail, "Start another.")
        paused = asked.pop("paused", None)
        if asked:
            spent = spent_in(session, study)
            for budget, limit in asked.items():
                _check_spent(budget, limit, _spent_of_study(session, row, budget, spent))
                _change(session, study, row, budget, budget, limit)
        if paused is not None and bool(paused) != row.paused:
            row.paused = bool(paused)
            if not paused:
                begin_anew(session, study)
            _events.append(session, study, "study.paused" if paused else "study.resumed", _events.OPERATOR)
        return row


def change_researcher(database: Database, study: str, researcher: int, wanted: ResearcherChange) -> ResearcherRow:
    """Give a researcher budgets of its own.

    Args:
        database: where it is.
        study: id of its study.
        researcher: its id.
        wanted: what to change; what is left out stays, and null takes the study's for each.

    Raises:
        ProblemError: there is no such researcher in this study; it is over; or a budget would fall below what is spent.
    """
    with database.write() as session:
        owner = locked_study(session, study)
        row = session.get(ResearcherRow, researcher, populate_existing=True)
        if owner is None or row is None or row.study_id != study:
            raise not_found("researcher", researcher)
        if owner.finished:
            detail = "The study is over; nothing about it can be changed."
            raise ProblemError(HTTPStatus.CONFLICT, "finished", detail, "Start another.")
        spent = spent_in(session, study)
        used: dict[str, Amount] = {
            "evaluations": spent.evaluations.get(row.id, 0),
            "dollars": spent.dollars.get(row.id, 0.0),
        }
        shared: dict[str, Amount | None] = {
            "evaluations": owner.evaluations_per_researcher,
            "dollars": owner.dollars_per_researcher,
        }
        for budget, limit in _asked(wanted, frozenset(shared)).items():
            _check_spent(f"{row.name}'s {budget}", shared[budget] if limit is None else limit, used[budget])
            _change(session, study, row, budget, f"{budget}_of_researcher", limit, researcher=row.name)
        return row


def _asked(wanted: BaseModel, nullable: frozenset[str]) -> dict[str, Amount | None]:
    """The fields that were sent, also those sent as null.

    Raises:
        ProblemError: null where there must be a value.
    """
    asked = {name: getattr(wanted, name) for name in sorted(wanted.model_fields_set)}
    for name, value in asked.items():
        if value is None and name not in nullable:
            detail = f"{name} cannot be null."
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, "Leave it out, and it stays.")
    return asked


def _spent_of_study(session: Session, study: StudyRow, budget: str, spent: Spent) -> Amount:
    """What counts against a study's budget: of all, or of whoever of those without budgets of their own spent most."""
    if budget == "evaluations_per_study":
        return sum(spent.evaluations.values())
    if budget == "dollars_per_study":
        return spent.total
    kind = "evaluations" if budget == "evaluations_per_researcher" else "dollars"
    used = spent.evaluations if kind == "evaluations" else spent.dollars
    members = session.scalars(select(ResearcherRow).where(ResearcherRow.study_id == study.id))
    return max((used.get(row.id, 0) for row in members if getattr(row, kind) is None), default=0)


def _check_spent(budget: str, limit: Amount | None, spent: Amount) -> None:
    if limit is not None and limit < spent:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "below-spent",
            f"{budget} cannot be {limit:g}: {spent:g} are spent.",
            f"Set at least {spent:g}; to take nothing further at all, pause or finish the study.",
        )


def _change(
    session: Session,
    study: str,
    row: StudyRow | ResearcherRow,
    field: str,
    budget: str,
    limit: Amount | None,
    **who: str,
) -> None:
    """Set a budget, and enter it into the event log; nothing if it is so already."""
    old = getattr(row, field)
    if old != limit:
        setattr(row, field, limit)
        _events.append(session, study, "budget.changed", _events.OPERATOR, budget=budget, old=old, new=limit, **who)
