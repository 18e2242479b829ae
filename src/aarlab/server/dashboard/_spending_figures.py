"""Figures of money: over time, and by researcher. See `_people_figures`."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aarlab.api.ledger import ChargeKind
from aarlab.server._record import Record
from aarlab.server.dashboard._people_figures import LEGEND, Trace, drawn, instant
from aarlab.server.dashboard._shell import Table, dollars, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

STEPS = 120  # points in time of a curve
BARS = 25  # researchers with a bar of their own
CHARGE_COLOURS = {ChargeKind.TOKENS: "var(--c1)", ChargeKind.CPU: "var(--c3)", ChargeKind.GPU: "var(--c2)"}
CHARGE_NAMES = {ChargeKind.TOKENS: "tokens", ChargeKind.CPU: "CPU", ChargeKind.GPU: "GPU"}


def spending(record: Record) -> "Figure":
    """Dollars over time by what was paid for, and the study's budget."""
    times, totals = spent_over_time(record)
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": CHARGE_NAMES[kind],
            "x": [instant(time) for time in times],
            "y": [round(value, 6) for value in values],
            "stackgroup": "money",
            "line": {"color": CHARGE_COLOURS[kind], "width": 1.5},
            "hovertemplate": f"{CHARGE_NAMES[kind]}: $%{{y:.2f}}<extra></extra>",
        }
        for kind, values in totals.items()
        if values and values[-1] > 0
    ]
    limit = record.study.dollars_per_study
    together = sum(values[-1] for values in totals.values() if values)
    if limit is not None and times and together >= limit / 5:  # else it would flatten the curves
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "the study's budget",
                "x": [instant(times[0]), instant(times[-1])],
                "y": [limit, limit],
                "line": {"color": "var(--bad)", "width": 1.5, "dash": "dash"},
                "hovertemplate": "budget: $%{y:.2f}<extra></extra>",
            }
        )
    return drawn(
        traces,
        xaxis={"type": "date", "title": {"text": "UTC"}, "tickangle": 0, "nticks": 5},
        yaxis={"title": {"text": "dollars"}, "tickprefix": "$", "rangemode": "tozero"},
        legend=LEGEND,
        hovermode="x unified",
    )


def spent_over_time(record: Record) -> tuple[list[datetime], Mapping[ChargeKind, list[float]]]:
    """Dollars spent up to each of at most `STEPS` times, by what was paid for."""
    charges = sorted(record.charges, key=lambda one: one.created_at)
    if not charges:
        return [], {kind: [] for kind in ChargeKind}
    first = min(record.study.created_at, charges[0].created_at)
    step = max(charges[-1].created_at - first, timedelta(seconds=1)) / STEPS
    totals: dict[ChargeKind, list[float]] = {kind: [0.0] * (STEPS + 1) for kind in ChargeKind}
    for charge in charges:
        totals[charge.kind][min(STEPS, math.ceil((charge.created_at - first) / step))] += charge.dollars
    for values in totals.values():
        for place in range(1, STEPS + 1):
            values[place] += values[place - 1]
    return [first + step * place for place in range(STEPS + 1)], totals


def spending_table(record: Record) -> Table:
    """The numbers of `spending`, at ten times."""
    times, totals = spent_over_time(record)
    rows = [
        (f"{times[place]:%Y-%m-%d %H:%M}", *(dollars(values[place]) for values in totals.values()))
        for place in range(STEPS // 10, len(times), STEPS // 10)
    ]
    return Table("Dollars so far", ("until (UTC)", *(CHARGE_NAMES[kind] for kind in totals)), rows, (1, 2, 3))


def by_researcher(record: Record) -> "Figure":
    """Dollars by what was paid for, of the largest spenders and of what nobody pays; its table has the others, too."""
    rows = spent_by_researcher(record)
    if len({charge.researcher for charge in record.charges} - {None}) > BARS:
        del rows[BARS]  # the others together would dwarf each one
    rows.reverse()
    return drawn(
        [
            {
                "type": "bar",
                "orientation": "h",
                "name": CHARGE_NAMES[kind],
                "x": [round(spent[kind], 6) for _, spent in rows],
                "y": list(range(len(rows))),
                "marker": {"color": CHARGE_COLOURS[kind]},
                "hoverinfo": "text",
                "hovertext": [f"{plain(name)}<br>{CHARGE_NAMES[kind]}: {dollars(spent[kind])}" for name, spent in rows],
            }
            for kind in ChargeKind
            if any(spent[kind] for _, spent in rows)
        ],
        barmode="stack",
        legend=LEGEND,
        xaxis={"title": {"text": "dollars"}, "tickprefix": "$", "rangemode": "tozero"},
        yaxis={"tickvals": list(range(len(rows))), "ticktext": [plain(name, 24) for name, _ in rows]},
    )


def spent_by_researcher(record: Record) -> list[tuple[str, dict[ChargeKind, float]]]:
    """Dollars by kind of at most `BARS` researchers, then of all others, then what nobody pays; the largest first."""
    spent: dict[str | None, dict[ChargeKind, float]] = {}
    for charge in record.charges:
        mine = spent.setdefault(charge.researcher, dict.fromkeys(ChargeKind, 0.0))
        mine[charge.kind] += charge.dollars
    nobody = spent.pop(None, None)
    ordered = sorted(((str(who), mine) for who, mine in spent.items()), key=lambda item: -sum(item[1].values()))
    shown = ordered[:BARS]
    if others := ordered[BARS:]:
        together = {kind: sum(mine[kind] for _, mine in others) for kind in ChargeKind}
        shown.append((f"{len(others)} others", together))
    return [*shown, *([("paid by nobody", nobody)] if nobody is not None else [])]


def by_researcher_table(record: Record) -> Table:
    """The numbers of `by_researcher`."""
    rows = [
        (name, *(dollars(spent[kind]) for kind in ChargeKind), dollars(sum(spent.values())))
        for name, spent in spent_by_researcher(record)
    ]
    columns = ("researcher", *(CHARGE_NAMES[kind] for kind in ChargeKind), "together")
    return Table("Dollars by researcher", columns, rows, (1, 2, 3, 4))
