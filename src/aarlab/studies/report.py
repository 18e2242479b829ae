"""The outcome of a study as one HTML file: no script, nothing fetched, everything that researchers wrote escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

from aarlab.api.schemas import FindingKind, Row
from aarlab.stats import Interval
from aarlab.studies.folder import StudyFolder
from aarlab.studies.team import Outcome

WIDTH, LEFT, RIGHT = 720, 8, 12
ROW_HEIGHT = 44
PLOT_HEIGHT = 260
SHOWN = 15
FINDINGS = 60


@dataclass(frozen=True)
class Axis:
    """A linear axis for PGR.

    Attributes:
        low, high: ends, in PGR.
        first, last: their places, in pixels.
    """

    low: float
    high: float
    first: float
    last: float

    def at(self, value: float) -> float:
        """Place of a value, in pixels; values outside lie on the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.first + share * (self.last - self.first), 1)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """Values at steps of .2 and their places."""
        steps = range(round(self.low * 5), round(self.high * 5) + 1)
        return [(step / 5, self.at(step / 5)) for step in steps]


@dataclass(frozen=True)
class Dot:
    """A scored submission in the plot of progress."""

    x: float
    y: float
    label: str
    level: int


def write_report(folder: StudyFolder, outcome: Outcome) -> None:
    """Write `report.html` into the study's folder.

    Args:
        folder: of the study.
        outcome: what to report; exact figures, so the file is for the operator.
    """
    environment = Environment(
        loader=PackageLoader("aarlab.studies"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["pgr"] = _pgr
    environment.filters["p"] = _p
    confirmed = [row for row in outcome.leaderboard if row.pgr_private is not None]
    across = _axis(confirmed, LEFT, WIDTH - RIGHT)
    up = _axis(outcome.leaderboard, PLOT_HEIGHT - 28, 10)
    dots = _dots(outcome, up)
    page = environment.get_template("report.html.j2").render(
        outcome=outcome,
        settings=folder.settings,
        version=version("aarlab"),
        best=outcome.best,
        baseline=outcome.baseline,
        confirmed=confirmed,
        audited=[row for row in outcome.leaderboard if row.submission in outcome.audits],
        audits=list(dict.fromkeys(one.finding.audit for found in outcome.audits.values() for one in found)),
        rows=outcome.leaderboard[:SHOWN],
        errors=[s for s in outcome.submissions if s.failure is not None],
        findings=[f for f in reversed(outcome.findings) if f.kind != FindingKind.ERROR][:FINDINGS],
        isolated=all(row.isolated for row in outcome.leaderboard),
        across=across,
        up=up,
        dots=dots,
        frontier=_frontier(dots),
        width=WIDTH,
        row_height=ROW_HEIGHT,
        plot_height=PLOT_HEIGHT,
    )
    folder.write(folder.report, page)


def _pgr(interval: Interval | None) -> str:
    """PGR with its bounds, as tables show it."""
    return "n/a" if interval is None else f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def _axis(rows: Sequence[Row], first: float, last: float) -> Axis:
    """An axis on which all intervals have room, and 0 and 1 are seen."""
    intervals = [i for row in rows for i in (row.pgr_public, row.pgr_private) if i is not None]
    low = min([0.0, *(i.low for i in intervals)])
    high = max([1.0, *(i.high for i in intervals)])
    return Axis(max(-1.0, low), min(2.0, high), first, last)


def _dots(outcome: Outcome, up: Axis) -> list[Dot]:
    """Scored submissions in the order in which they came in."""
    rows = {row.submission: row for row in outcome.leaderboard}
    scored = [s for s in outcome.submissions if s.id in rows]
    step = (WIDTH - RIGHT - 40) / max(1, len(scored) - 1)
    dots = []
    for place, submission in enumerate(scored):
        row = rows[submission.id]
        if row.pgr_public is not None:
            label = f"#{row.submission} {row.method}, {row.researcher}: {_pgr(row.pgr_public)}"
            dots.append(Dot(round(34 + place * step, 1), up.at(row.pgr_public.estimate), label, row.level))
    return dots


def _frontier(dots: Sequence[Dot]) -> str:
    """The best so far, as the points of a polyline."""
    points: list[str] = []
    best = float("inf")
    for dot in dots:
        if dot.y < best:
            if points:
                points.append(f"{dot.x},{best}")
            best = dot.y
            points.append(f"{dot.x},{best}")
    if points:
        points.append(f"{dots[-1].x},{best}")
    return " ".join(points)
