"""The ledger: what research costs, entered once, summed up, and stopped when it is too much."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from aarlab.server._models import ChargeRow


@dataclass(frozen=True)
class Spent:
    """What researchers have spent, by id; those who spent nothing may be left out.

    Attributes:
        evaluations: how many each.
        dollars: how much each.
    """

    evaluations: Mapping[int, int]
    dollars: Mapping[int | None, float]


def dollars_in(session: Session, study: str) -> dict[int | None, float]:
    """Dollars charged to each researcher of a study, by id; None is what nobody pays."""
    query = select(ChargeRow.researcher_id, func.sum(ChargeRow.dollars)).where(ChargeRow.study_id == study)
    return {who: dollars for who, dollars in session.execute(query.group_by(ChargeRow.researcher_id))}  # noqa: C416
