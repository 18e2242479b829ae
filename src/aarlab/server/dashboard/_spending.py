"""What the ledger's page shows: who spent what, against which budgets, and what that comes to."""

from dataclasses import dataclass
from typing import Any

from aarlab.api.ledger import Spending
from aarlab.server._record import Record
from aarlab.server.dashboard._cut import cut
from aarlab.server.dashboard._shell import figure_json
from aarlab.server.dashboard._spending_figures import BARS, by_researcher, by_researcher_table, spending, spending_table

#: Dollars for each researcher-hour in the study of 2026 (Wen et al. 2026), on language models.
STUDY_DOLLARS_PER_HOUR = 22.0

RESEARCHERS, CHARGES = 50, 50  # on a page

ORDERS = ("dollars", "name", "hours", "evaluations", "tokens", "cpu", "gpu")


@dataclass(frozen=True)
class Budget:
    """A limit and how much of it is spent.

    Attributes:
        unit: "dollars" or "evaluations".
        stop: where spending is stopped, a margin before the limit; None where there is none.
    """

    name: str
    unit: str
    used: float
    limit: float
    stop: float | None = None

    @property
    def share(self) -> float:
        """Of the limit that is spent, in [0, 1]."""
        return min(1.0, self.used / self.limit) if self.limit > 0 else 1.0


def budgets(record: Record) -> list[Budget]:
    """Budgets of the study as a whole."""
    study, total = record.study, record.ledger.total
    found = []
    if study.evaluations_per_study is not None:
        found.append(Budget("Evaluations", "evaluations", study.evaluations_used, study.evaluations_per_study))
    if study.dollars_per_study is not None:
        found.append(Budget("Money", "dollars", total.dollars, study.dollars_per_study, total.dollars_stop))
    return found


def ledger_context(
    record: Record, *, sort: str = "dollars", q: str = "", page: int = 1, entries: int = 1
) -> dict[str, Any]:
    """The ledger.

    Args:
        record: of the study; a viewer's leaves out what nobody pays.
        sort: one of `ORDERS`; `dollars` if it is none.
        q: part of a researcher's name; all if empty.
        page: of the researchers, from 1.
        entries: page of the charges, from 1.
    """
    ledger = record.ledger
    sort = sort if sort in ORDERS else "dollars"
    rows = [one for one in ledger.researchers if q.casefold() in (one.researcher or "").casefold()]
    rows.sort(key=lambda one: _order(one, sort))
    per_hour = ledger.dollars_per_hour
    charged = bool(record.charges)
    return {
        "ledger": ledger,
        "budgets": budgets(record),
        "rows": cut(rows, page, RESEARCHERS),
        "sort": sort,
        "times_cheaper": STUDY_DOLLARS_PER_HOUR / per_hour if per_hour else None,
        "study_dollars_per_hour": STUDY_DOLLARS_PER_HOUR,
        "over_time": figure_json(spending(record)) if charged else None,
        "over_time_table": spending_table(record),
        "by_researcher": figure_json(by_researcher(record)) if charged else None,
        "by_researcher_table": by_researcher_table(record),
        "bars": min(BARS + 1, len(by_researcher_table(record).rows)),
        "undrawn": max(0, len({one.researcher for one in record.charges} - {None}) - BARS),
        "charges": cut(record.charges[::-1], entries, CHARGES),
        "stopped": [one.researcher for one in ledger.researchers if one.stopped],
    }


def _order(one: Spending, sort: str) -> Any:
    if sort == "name":
        return (one.researcher or "").casefold()
    return -{
        "dollars": one.dollars,
        "hours": one.hours,
        "evaluations": one.evaluations,
        "tokens": one.input_tokens + one.output_tokens,
        "cpu": one.cpu_seconds,
        "gpu": one.gpu_seconds,
    }[sort]
