"""The study's figure: how far the team got, against the hours that it worked. For pages and for reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aarlab.api.schemas import BASELINE, Kind, Level, Status
from aarlab.server.dashboard._shell import NONE, SYMBOLS, Table, figure, level_name, plain
from aarlab.server.record import Record, SubmissionRecord
from aarlab.stats import Interval

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Best PGR on chat in the study of 2026 (Wen et al. 2026): two human researchers in seven days, and its agents.
HUMANS_2026, AGENTS_2026 = 0.23, 0.97
NAMED = 12  # researchers that get a colour and a place in the legend; beyond that their lines are pale
COLOURS = 8
LISTED = 40  # steps of the frontier in the table


@dataclass(frozen=True)
class Point:
    """A scored submission in the figure.

    Attributes:
        hours: researcher-hours of the team when it was scored.
        value: PGR, or accuracy where the gap is unresolved.
        interval: 95%, of an exact PGR; None for what the guard told and for accuracy.
        finding: title of the first finding about it; empty if there is none.
    """

    submission: int
    method: str
    researcher: str
    level: Level
    hours: float
    value: float
    interval: Interval | None
    finding: str


def resolved(record: Record) -> bool:
    """Whether PGR can be told: the testbed's gap stands clear of its noise. True while nothing is scored."""
    scored = [one for one in record.submissions if one.status == Status.SCORED]
    return not scored or any(pgr_of(one) is not None for one in scored)


def pgr_of(one: SubmissionRecord) -> float | None:
    """PGR on public: exact if that is known, else what the guard told."""
    if one.public is not None:
        return None if one.public.pgr is None else one.public.pgr.estimate
    return None if one.told is None else one.told.pgr


def accuracy_of(one: SubmissionRecord) -> float | None:
    """Accuracy on public: exact if that is known, else what the guard told."""
    if one.public is not None:
        return float(np.mean(one.public.accuracy))
    return None if one.told is None else one.told.accuracy


def points(record: Record) -> list[Point]:
    """The scored submissions in the order in which they were scored."""
    value_of = pgr_of if resolved(record) else accuracy_of
    titles: dict[int, str] = {}
    for finding in record.findings:
        if finding.submission is not None:
            titles.setdefault(finding.submission, finding.title)
    found = [
        Point(
            submission=one.id,
            method=one.method,
            researcher=one.researcher,
            level=one.level,
            hours=one.hours or 0.0,
            value=value,
            interval=None if one.public is None else one.public.pgr,
            finding=titles.get(one.id, ""),
        )
        for one in record.submissions
        if one.status == Status.SCORED and (value := value_of(one)) is not None
    ]
    return sorted(found, key=lambda point: (point.hours, point.submission))


def frontier(found: Sequence[Point]) -> list[Point]:
    """Those that were better than all before them."""
    best: list[Point] = []
    for point in found:
        if not best or point.value > best[-1].value:
            best.append(point)
    return best


def progress(record: Record) -> "go.Figure":
    """PGR against the team's researcher-hours: each researcher's best so far, the team's, and every submission."""
    import plotly.graph_objects as go

    found = points(record)
    exact_pgr = resolved(record)
    end = max([point.hours for point in found] + [sum(one.hours for one in record.researchers)], default=0.0)
    unit, scale = ("hours", 1.0) if end >= 2 else ("minutes", 60.0)
    end *= scale
    drawn = go.Figure()
    names = [one.name for one in record.researchers]
    few = len(names) <= NAMED
    colour = {name: f"var(--c{n % COLOURS + 1})" if few else "var(--thin)" for n, name in enumerate(names)}
    paths = {name: _steps([p for p in found if p.researcher == name], scale, end) for name in names} if few else {}
    if few:
        for name, (x, y) in paths.items():
            line = {"color": colour[name], "width": 1.5, "shape": "hv"}
            label = plain(name, 24)
            drawn.add_trace(
                go.Scatter(
                    x=x, y=y, mode="lines", name=label, legendgroup=label, line=line, opacity=0.75, hoverinfo="skip"
                )
            )
    elif names:
        drawn.add_trace(_pale(found, names, scale, end))
    x, y = _steps(frontier(found), scale, end)
    drawn.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="lines",
            name="the team's best",
            hoverinfo="skip",
            line={"color": "var(--ink)", "width": 3.5, "shape": "hv"},
        )
    )
    for level in Level:
        at = [point for point in found if point.level == level]
        if at:
            drawn.add_trace(_marks(at, level, colour, scale, small=not few))
    lines = _references(record) if exact_pgr else _accuracy_references(record)
    values = [point.value for point in found] + ([0.0, 1.0] if exact_pgr else [value for value, *_ in lines])
    low, high = max(-1.0, min(values, default=0.0)), min(2.0, max(values, default=1.0))
    room = 0.07 * max(high - low, 0.02)
    drawn.update_layout(
        shapes=[_line(value, dash) for value, _, dash in lines],
        annotations=[_label(value, text) for value, text, _ in _apart(lines, (high - low) / 24)],
        xaxis={"title": {"text": f"researcher-{unit} of the team"}, "range": [0, end * 1.02 or 1], "showgrid": False},
        yaxis={
            "title": {"text": "PGR" if exact_pgr else "accuracy"},
            "range": [low - room, high + room],
            "zeroline": False,
        },
        legend={"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0, "font": {"size": 12}},
        showlegend=few,
        margin={"l": 52, "r": 12, "t": 12, "b": 48},
    )
    return drawn


def progress_table(record: Record) -> Table:
    """The same in numbers: each step of the team's best, the last first."""
    steps = frontier(points(record))[::-1][:LISTED]
    name = "PGR" if resolved(record) else "accuracy"
    rows = [
        (
            f"#{p.submission} {p.method}",
            p.researcher,
            figure(p.hours),
            figure(p.value, 3),
            _bounds(p.interval),
            level_name(p.level),
        )
        for p in steps
    ]
    columns = ("Submission", "Researcher", "Researcher-hours", name, "95% interval", "Level")
    return Table("Steps of the team's best, the last first", columns, rows, (2, 3))


def _bounds(interval: Interval | None) -> str:
    return NONE if interval is None else f"{figure(interval.low)} to {figure(interval.high)}"


def _steps(found: Sequence[Point], scale: float, end: float) -> tuple[list[float], list[float]]:
    """The best so far as a line that goes on to the present."""
    best = frontier(found)
    if not best:
        return [], []
    return [*(p.hours * scale for p in best), end], [*(p.value for p in best), best[-1].value]


def _pale(found: Sequence[Point], names: Sequence[str], scale: float, end: float) -> Any:
    """Many researchers' lines as one trace, which is drawn quickly."""
    import plotly.graph_objects as go

    own: dict[str, list[Point]] = {name: [] for name in names}
    for point in found:
        own.get(point.researcher, []).append(point)
    xs: list[float | None] = []
    ys: list[float | None] = []
    for one in own.values():
        x, y = _steps(one, scale, end)
        xs += [*x, None]
        ys += [*y, None]
    line = {"color": "var(--thin)", "width": 0.8, "shape": "hv"}
    return go.Scatter(x=xs, y=ys, mode="lines", name="each researcher's best", hoverinfo="skip", line=line, opacity=0.7)


def _marks(at: Sequence[Point], level: Level, colour: dict[str, str], scale: float, *, small: bool) -> Any:
    import plotly.graph_objects as go

    plainly = "var(--public)" if level <= Level.SCORED else "var(--private)"
    return go.Scatter(
        x=[point.hours * scale for point in at],
        y=[point.value for point in at],
        mode="markers",
        showlegend=False,
        name=f"{level.value} {level_name(level)}",
        marker={
            "symbol": SYMBOLS[level],
            "size": (5 if small else 7) + 2 * max(0, level - 1),
            "color": [plainly if small else colour.get(point.researcher, "var(--base)") for point in at],
            "line": {"width": 1, "color": "var(--paper)"},
            "opacity": 0.6 if small and level <= Level.SCORED else 0.9,
        },
        text=[_hover(point) for point in at],
        hovertemplate="%{text}<extra></extra>",
    )


def _hover(point: Point) -> str:
    value = figure(point.value) if point.interval is None else f"{figure(point.value)} [{_bounds(point.interval)}]"
    lines = [
        f"<b>#{point.submission} {plain(point.method, 48)}</b>",
        f"{plain(point.researcher, 32)} · {point.level.value} {level_name(point.level)}",
        value,
    ]
    if point.finding:
        lines.append(f"<i>{plain(point.finding, 64)}</i>")
    return "<br>".join(lines)


def _references(record: Record) -> list[tuple[float, str, str]]:
    """Lines to compare with: where, what, how dashed."""
    lines = [(0.0, "floor: weak supervisor", "solid"), (1.0, "ceiling: ground truth", "solid")]
    lines += [(HUMANS_2026, "humans, study of 2026: .23", "dot"), (AGENTS_2026, "agents, study of 2026: .97", "dot")]
    humans = {one.name for one in record.researchers if one.kind == Kind.HUMAN}
    if best := [value for one in record.submissions if one.researcher in humans and (value := pgr_of(one)) is not None]:
        lines.append((max(best), f"humans here: {figure(max(best))}", "dash"))
    vanilla = next((pgr_of(one) for one in record.submissions if one.researcher == BASELINE), None)
    if vanilla is not None:
        lines.append((vanilla, f"vanilla: {figure(vanilla)}", "dash"))
    return lines


def _accuracy_references(record: Record) -> list[tuple[float, str, str]]:
    floor, ceiling = record.study.floor.accuracy, record.study.ceiling.accuracy
    return [(floor, f"floor: {figure(floor, 3)}", "solid"), (ceiling, f"ceiling: {figure(ceiling, 3)}", "solid")]


def _apart(lines: Sequence[tuple[float, str, str]], room: float) -> list[tuple[float, str, str]]:
    """The same, each label far enough above the one below it to be read."""
    placed: list[tuple[float, str, str]] = []
    for value, text, dash in sorted(lines):
        placed.append((max(value, placed[-1][0] + room) if placed else value, text, dash))
    return placed


def _line(value: float, dash: str) -> dict[str, Any]:
    line = {"color": "var(--dim)", "width": 1, "dash": dash}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line, "layer": "below"}


def _label(value: float, text: str) -> dict[str, Any]:
    font = {"size": 11, "color": "var(--dim)"}
    return {
        "xref": "paper", "x": 1, "xanchor": "right", "y": value, "yanchor": "bottom", "text": text, "showarrow": False,
        "font": font, "bgcolor": "var(--paper)", "opacity": 0.85, "borderpad": 0,
    }  # fmt: skip
