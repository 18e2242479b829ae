"""Figures of researchers and integrity: each made of a record alone, with its numbers as a table.

Colours are CSS variables of the dashboard's style, so that a figure follows the theme. What researchers wrote is
escaped, and no figure grows with a study beyond what can be read: long lists are cut, and say so.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aarlab.api.schemas import Level, Status
from aarlab.server._record import Record, ResearcherRecord, SubmissionRecord
from aarlab.server.dashboard._shell import NONE, SYMBOLS, Table, figure, hours, level_name, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Trace = dict[str, Any]

KINDS = 25  # of failures

VERDICTS = ("passed", "noted", "flagged", "overruled", "not-applicable")
VERDICT_COLOURS = ("var(--good)", "var(--c2)", "var(--bad)", "var(--c4)", "var(--thin)")
FINDING_COLOURS = {"result": "var(--c1)", "hypothesis": "var(--c4)", "insight": "var(--c3)", "error": "var(--c5)"}

LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom", "traceorder": "normal"}


def timeline(record: Record, researcher: ResearcherRecord) -> "Figure":
    """When a researcher worked, submitted and posted: spells as bars, submissions and findings as marks."""
    spells = researcher.spells
    traces: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": "at work",
            "base": [instant(spell.began_at) for spell in spells],
            # A spell of one request has no length; half a minute can be seen.
            "x": [max(30.0, _seconds(spell.seen_at - spell.began_at)) * 1000 for spell in spells],
            "y": ["at work"] * len(spells),
            "width": 0.35,
            "marker": {"color": "var(--thin)", "line": {"width": 0}},
            "hoverinfo": "text",
            "hovertext": [
                f"{spell.began_at:%d %b %H:%M} to {spell.seen_at:%H:%M}, {_length(spell.seen_at - spell.began_at)}"
                for spell in spells
            ],
        }
    ]
    mine = [one for one in record.submissions if one.researcher == researcher.name]
    for level in Level:
        traces += _marks(
            f"level {level.value} {level_name(level)}",
            [one for one in mine if one.level == level and one.status == Status.SCORED],
            SYMBOLS[level],
            "var(--accent)",
        )
    traces += _marks("failed", [one for one in mine if one.status == Status.FAILED], "x-thin-open", "var(--bad)")
    waiting = [one for one in mine if one.status in (Status.QUEUED, Status.RUNNING)]
    traces += _marks("not scored yet", waiting, "circle-dot", "var(--public)")
    for kind, colour in FINDING_COLOURS.items():
        posts = [one for one in record.findings if one.researcher == researcher.name and one.kind == kind]
        if posts:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": kind,
                    "x": [instant(one.created_at) for one in posts],
                    "y": ["findings"] * len(posts),
                    "marker": {"symbol": "triangle-up", "size": 11, "color": colour},
                    "hoverinfo": "text",
                    "hovertext": [f"{kind} #{one.id}<br>{plain(one.title)}" for one in posts],
                }
            )
    return drawn(
        traces,
        xaxis={"type": "date", "title": {"text": "UTC"}, "tickangle": 0, "nticks": 5},
        yaxis={"type": "category", "categoryarray": ["findings", "submissions", "at work"], "range": [-0.6, 2.6]},
        barmode="overlay",
        showlegend=False,
        margin={"l": 90, "r": 12, "t": 12, "b": 44},
    )


def _marks(name: str, ones: Sequence[SubmissionRecord], symbol: str, colour: str) -> list[Trace]:
    if not ones:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [instant(one.created_at) for one in ones],
            "y": ["submissions"] * len(ones),
            "marker": {"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
            "hoverinfo": "text",
            "hovertext": [f"#{one.id} {plain(one.method)}<br>{_outcome(one)}" for one in ones],
        }
    ]


def _outcome(one: SubmissionRecord) -> str:
    if one.failure is not None:
        return f"failed: {plain(one.failure.kind)}"
    if one.told is None:
        return one.status.value
    return f"told PGR {figure(one.told.pgr)}, accuracy {figure(one.told.accuracy, 3)}"


def verdict_counts(record: Record) -> dict[str, Counter[str]]:
    """How often each audit came to each of `VERDICTS`; one that a person overruled counts as that."""
    found: dict[str, Counter[str]] = {}
    for one in record.submissions:
        for audited in one.audits:
            verdict = audited.finding.verdict if audited.overruled is None else "overruled"
            found.setdefault(audited.finding.audit, Counter())[verdict] += 1
    return dict(sorted(found.items(), key=lambda item: (-item[1]["flagged"], item[0])))


def verdicts(record: Record) -> "Figure":
    """What the audits found, by audit."""
    counts = verdict_counts(record)
    names = list(counts)[::-1]
    return drawn(
        [
            {
                "type": "bar",
                "orientation": "h",
                "name": verdict.replace("-", " "),
                "x": [counts[name][verdict] for name in names],
                "y": [plain(name, 40) for name in names],
                "marker": {"color": colour},
            }
            for verdict, colour in zip(VERDICTS, VERDICT_COLOURS, strict=True)
        ],
        barmode="stack",
        legend=LEGEND,
        xaxis=counted("submissions", max((count.total() for count in counts.values()), default=0)),
        yaxis={"type": "category"},
        bargap=_gap(len(names)),
    )


def verdict_table(record: Record) -> Table:
    """The numbers of `verdicts`."""
    rows = [(name, *(count[verdict] for verdict in VERDICTS)) for name, count in verdict_counts(record).items()]
    columns = ("audit", *(verdict.replace("-", " ") for verdict in VERDICTS))
    return Table("Verdicts by audit", columns, rows, range(1, len(columns)))


def failure_counts(record: Record) -> Counter[str]:
    """How many submissions failed on `public`, by kind."""
    return Counter(one.failure.kind for one in record.submissions if one.failure is not None)


def failures(record: Record) -> "Figure":
    """Failures on `public` by kind."""
    found = failure_counts(record).most_common(KINDS)[::-1]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [count for _, count in found],
        "y": [plain(kind, 40) for kind, _ in found],
        "marker": {"color": "var(--bad)"},
    }
    axis = counted("submissions", max((count for _, count in found), default=0))
    return drawn([trace], xaxis=axis, yaxis={"type": "category"}, bargap=_gap(len(found)))


def counted(what: str, most: int) -> dict[str, Any]:
    """An axis of whole numbers up to `most`."""
    return {"title": {"text": what}, "rangemode": "tozero", **({"dtick": 1} if most < 8 else {})}


def _gap(bars: int) -> float:
    """Gap between bars by which few are no thicker than many."""
    return 1 - 0.75 * min(1.0, bars / 5)


def drawn(traces: Sequence[Trace], **layout: Any) -> "Figure":
    from plotly.graph_objects import Figure

    return Figure(data=list(traces), layout=layout)


def instant(time: datetime) -> str:
    """A time as Plotly reads it: in UTC, without a zone, which it would drop."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _seconds(span: timedelta) -> float:
    return span.total_seconds()


def _length(span: timedelta) -> str:
    return hours(_seconds(span) / 3600) if span > timedelta(0) else NONE
