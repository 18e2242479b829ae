"""Figures of diversity: families of methods, their entropy, likeness and length of code. See `_people_figures`."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from aarlab.api.schemas import BASELINE
from aarlab.server._record import Record, SubmissionRecord
from aarlab.server.dashboard._people_figures import LEGEND, Trace, counted, drawn
from aarlab.server.dashboard._shell import Table, figure, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MARKED = 600  # methods with a mark of their own
BINS = 24  # bars along a study
FAMILIES = 8  # families with a colour of their own
HEADING = "all others"


def entropy(record: Record) -> "Figure":
    """Shannon entropy over families of methods, along the submissions."""
    found = record.diversity
    step = math.ceil(len(found) / MARKED) or 1
    places = [*range(1, len(found), step), *([len(found)] if found else [])]
    families = len({one.family for one in record.submissions})
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "entropy",
            "x": places,
            "y": [round(found[place - 1], 4) for place in places],
            "line": {"color": "var(--accent)", "width": 2.5, "shape": "hv"},
            "hovertemplate": "after %{x} submissions: %{y:.2f} bits<extra></extra>",
        }
    ]
    if families > 1 and found:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"all {families} families equally often",
                "x": [1, len(found)],
                "y": [math.log2(families)] * 2,
                "line": {"color": "var(--public)", "width": 1.5, "dash": "dot"},
                "hoverinfo": "skip",
            }
        )
    return drawn(
        traces,
        xaxis={"title": {"text": "submissions"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "bits"}, "rangemode": "tozero"},
        legend=LEGEND,
    )


def entropy_table(record: Record) -> Table:
    """The numbers of `entropy`, at ten places."""
    count = len(record.diversity)
    places = sorted({max(1, round(count * step / 10)) for step in range(1, 11)}) if count else []
    rows = [(place, figure(record.diversity[place - 1])) for place in places]
    return Table("Entropy over families", ("submissions", "bits"), rows, (0, 1))


def shown_families(record: Record) -> list[str]:
    """Families with a colour of their own, the most frequent first."""
    counts = Counter(one.family for one in record.submissions if one.researcher != BASELINE)
    return [family for family, _ in counts.most_common(FAMILIES)]


def _portions(record: Record) -> list[list[SubmissionRecord]]:
    """Submissions of researchers in order, in at most `BINS` portions that are as large as each other."""
    ones = [one for one in record.submissions if one.researcher != BASELINE]
    each = max(1, math.ceil(len(ones) / BINS))
    return [ones[start : start + each] for start in range(0, len(ones), each)]


def _family_counts(record: Record) -> tuple[list[list[SubmissionRecord]], dict[str, list[int]]]:
    portions, shown = _portions(record), shown_families(record)
    counted = [Counter(one.family if one.family in shown else HEADING for one in portion) for portion in portions]
    names = [*shown, *([HEADING] if any(count[HEADING] for count in counted) else [])]
    return portions, {name: [count[name] for count in counted] for name in names}


def _span(portion: Sequence[SubmissionRecord]) -> str:
    first, last = portion[0].created_at, portion[-1].created_at
    if first.date() == last.date():
        return f"{first:%d %b %H:%M} to {last:%H:%M}"
    return f"{first:%d %b %H:%M} to {last:%d %b %H:%M}"


def families(record: Record) -> "Figure":
    """Families of methods over time: as stacked bars, each of equally many submissions."""
    portions, counts = _family_counts(record)
    places = list(range(1, len(portions) + 1))
    spans = [_span(portion) for portion in portions]
    traces = [
        {
            "type": "bar",
            "name": plain(family, 30),
            "x": places,
            "y": values,
            "marker": {"color": "var(--thin)" if family == HEADING else f"var(--c{place})"},
            "hoverinfo": "text",
            "hovertext": [f"{plain(family, 30)}: {n}<br>{span}" for n, span in zip(values, spans, strict=True)],
        }
        for place, (family, values) in enumerate(counts.items(), 1)
    ]
    ticks = places[:: max(1, math.ceil(len(places) / 5))]
    return drawn(
        traces,
        barmode="stack",
        bargap=0.15,
        legend=LEGEND,
        xaxis={
            "title": {"text": "submissions, in order (UTC)"},
            "tickvals": ticks,
            "ticktext": [f"{portions[tick - 1][0].created_at:%d %b<br>%H:%M}" for tick in ticks],
            "tickangle": 0,
        },
        yaxis=counted("submissions", max((len(portion) for portion in portions), default=0)),
    )


def families_table(record: Record) -> Table:
    """The numbers of `families`."""
    portions, counts = _family_counts(record)
    rows = [(_span(portion), *(values[place] for values in counts.values())) for place, portion in enumerate(portions)]
    return Table("Families over time", ("time (UTC)", *counts), rows, range(1, len(counts) + 1))


def complexity(record: Record) -> "Figure":
    """How much code each method has, and the median along the submissions."""
    ones, name = _drawn([(place, one) for place, one in _numbered(record) if one.complexity is not None])
    portions = _medians(record)
    return drawn(
        [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [place for place, _ in ones],
                "y": [one.complexity.lines for _, one in ones if one.complexity is not None],
                "marker": {"color": "var(--public)", "size": 6, "opacity": 0.6},
                "hoverinfo": "text",
                "hovertext": [
                    f"#{one.id} {plain(one.method, 40)}<br>{one.complexity.lines} lines, {one.complexity.calls} calls"
                    for _, one in ones
                    if one.complexity is not None
                ],
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": "median",
                "x": [place for place, *_ in portions],
                "y": [lines for _, _, lines, _ in portions],
                "line": {"color": "var(--accent)", "width": 2.5},
                "hovertemplate": "median: %{y} lines<extra></extra>",
            },
        ],
        xaxis={"title": {"text": "submissions"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "lines of code"}, "rangemode": "tozero"},
        legend=LEGEND,
    )


def likeness(record: Record) -> "Figure":
    """How alike each method's code is to all earlier ones, in the mean, and the median along the submissions."""
    ones, name = _drawn([(place, one) for place, one in _numbered(record) if one.likeness is not None])
    portions = [(place, alike) for place, _, _, alike in _medians(record) if alike is not None]
    return drawn(
        [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [place for place, _ in ones],
                "y": [one.likeness for _, one in ones],
                "marker": {"color": "var(--public)", "size": 6, "opacity": 0.6},
                "hoverinfo": "text",
                "hovertext": [
                    f"#{one.id} {plain(one.method, 40)}<br>{plain(one.researcher, 30)}: {figure(one.likeness)}"
                    for _, one in ones
                ],
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": "median",
                "x": [place for place, _ in portions],
                "y": [alike for _, alike in portions],
                "line": {"color": "var(--accent)", "width": 2.5},
                "hovertemplate": "median: %{y:.2f}<extra></extra>",
            },
        ],
        xaxis={"title": {"text": "submissions"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "likeness"}, "range": [0, 1.02]},
        legend=LEGEND,
    )


def code_table(record: Record) -> Table:
    """The medians of `complexity` and `likeness`."""
    rows = [(span, figure(lines, 0), figure(alike)) for _, span, lines, alike in _medians(record)]
    return Table("Code over time: medians", ("time (UTC)", "lines of code", "likeness"), rows, (1, 2))


def _drawn(ones: list[tuple[int, SubmissionRecord]]) -> tuple[list[tuple[int, SubmissionRecord]], str]:
    """Those that get a mark, at most `MARKED` at even distances, and what a mark is."""
    step = math.ceil(len(ones) / MARKED) or 1
    return ones[::step], "a method" if step == 1 else f"one of {step} methods"


def _numbered(record: Record) -> list[tuple[int, SubmissionRecord]]:
    """Submissions of researchers, numbered from 1."""
    return list(enumerate((one for one in record.submissions if one.researcher != BASELINE), 1))


def _medians(record: Record) -> list[tuple[int, str, float | None, float | None]]:
    """Of each portion: its last place, when it was, median of lines and of likeness."""
    found, place = [], 0
    for portion in _portions(record):
        place += len(portion)
        lines = [one.complexity.lines for one in portion if one.complexity is not None]
        alike = [one.likeness for one in portion if one.likeness is not None]
        found.append((place, _span(portion), median(lines) if lines else None, median(alike) if alike else None))
    return found
