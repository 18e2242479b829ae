"""The leaderboard's rows: sorted as asked, a page at a time, with their intervals drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aarlab.api.schemas import BASELINE
from aarlab.server.dashboard._figures import accuracy_of, pgr_of
from aarlab.server.record import Record, SubmissionRecord
from aarlab.stats import Interval

ROWS = 50  # a page
WIDTH = 240.0  # of the drawing of intervals
LOWEST, HIGHEST = -0.5, 1.5  # PGR; what lies outside is drawn on the edge


@dataclass(frozen=True)
class Bar:
    """An interval in a drawing `WIDTH` wide."""

    low: float
    at: float
    high: float


@dataclass(frozen=True)
class Line:
    """A line of the leaderboard.

    Attributes:
        rank: by level, then by the lower bound of PGR, whatever the order of the page.
        pgr, accuracy: on public; what the guard told, where nothing else may be seen.
        public, private: intervals to draw; None if there is none.
    """

    rank: int
    one: SubmissionRecord
    pgr: float | None
    accuracy: float | None
    public: Bar | None
    private: Bar | None

    @property
    def baseline(self) -> bool:
        """Whether it is the server's own."""
        return self.one.researcher == BASELINE


#: What each order goes by; None comes last. The larger first, but for names and the rank.
ORDERS: dict[str, Callable[[Line], Any]] = {
    "rank": lambda line: line.rank,
    "method": lambda line: line.one.method.casefold(),
    "researcher": lambda line: line.one.researcher.casefold(),
    "level": lambda line: line.one.level,
    "public": lambda line: line.accuracy if line.pgr is None else line.pgr,
    "private": lambda line: _estimate(None if line.one.private is None else line.one.private.pgr),
    "gain": lambda line: _estimate(line.one.gain_private),
    "p": lambda line: line.one.p_private,
    "teacher": lambda line: line.one.teacher_dependence,
    "student": lambda line: line.one.student_dependence,
    "cost": lambda line: line.one.dollars,
}
UPWARD = frozenset({"rank", "method", "researcher", "p"})


def _estimate(interval: Interval | None) -> float | None:
    return None if interval is None else interval.estimate


def lines(record: Record) -> tuple[list[Line], float, float]:
    """All lines, best first, and the ends of the axis of their intervals."""
    by_id = {one.id: one for one in record.submissions}
    ranked = [by_id[one] for one in record.ranking]
    intervals = [i for one in ranked for score in (one.public, one.private) if score and (i := score.pgr)]
    told = [value for one in ranked if (value := pgr_of(one)) is not None]
    low = max(LOWEST, min([0.0, *told, *(i.low for i in intervals)]) - 0.03)
    high = min(HIGHEST, max([1.0, *told, *(i.high for i in intervals)]) + 0.03)

    def bar(interval: Interval | None, value: float | None = None) -> Bar | None:
        if interval is None and value is None:
            return None
        found = interval or Interval(value or 0.0, value or 0.0, value or 0.0)
        return Bar(*(place(edge, low, high) for edge in (found.low, found.estimate, found.high)))

    return (
        [
            Line(
                rank,
                one,
                pgr_of(one),
                accuracy_of(one),
                bar(one.public.pgr if one.public else None, pgr_of(one)),
                bar(one.private.pgr if one.private else None),
            )
            for rank, one in enumerate(ranked, 1)
        ],
        low,
        high,
    )


def place(value: float, low: float, high: float) -> float:
    """Where a value lies in the drawing."""
    return round((min(max(value, low), high) - low) / (high - low) * WIDTH, 1)


def leaderboard_context(
    record: Record, made: tuple[list[Line], float, float], *, order: str = "rank", back: bool = False, page: int = 1
) -> dict[str, Any]:
    """What the leaderboard shows.

    Args:
        record: of the study.
        made: what `lines` made of it.
        order: a key of `ORDERS`; anything else is the rank.
        back: the other way round.
        page: which, from 1; beyond the last it is the last.
    """
    found, low, high = made
    order = order if order in ORDERS else "rank"
    key = ORDERS[order]
    known = [line for line in found if key(line) is not None]
    known.sort(key=key, reverse=(order not in UPWARD) != back)  # stable: equal ones stay by rank
    ordered = known + [line for line in found if key(line) is None]
    pages = max(1, -(-len(ordered) // ROWS))
    page = min(max(1, page), pages)
    return {
        "study": record.study,
        "page": "leaderboard",
        "lines": ordered[(page - 1) * ROWS : page * ROWS],
        "count": len(ordered),
        "place": page,
        "last_page": pages,
        "order": order,
        "back": back,
        "upward": (order in UPWARD) != back,
        "width": WIDTH,
        "grid": [(value, place(value, low, high)) for value in (0.0, 0.5, 1.0)],
        "failed": sum(one.failure is not None for one in record.submissions),
        "confirmed": any(one.private is not None for one in record.submissions),
    }
