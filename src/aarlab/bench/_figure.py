"""The forest plot of a bench: PGR with its interval, one line a method, one panel a testbed."""

import html
import io
from pathlib import Path

import numpy as np

from aarlab.bench._run import BASELINE, Bench, Row
from aarlab.bench._table import gain_text, heading, p_text, pgr_text, testbeds_of
from aarlab.errors import AarlabError

FORMATS = (".png", ".svg", ".html")
SIGNIFICANT = 0.05
BETTER, WORSE, SAME = "#0a7d4f", "#b3261e", "#5f6b7a"  # told apart by marker too

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --line: #d5dae0 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --paper: #14171a; --line: #3a4149 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem;
  margin: 2rem auto; padding: 0 1rem }
figure { margin: 0; background: #fff; border-radius: 6px; overflow-x: auto } svg { max-width: 100%; height: auto }
.table { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap }
"""


def write_figure(bench: Bench, path: Path) -> None:
    """Write the plot as PNG or SVG, or as a page with plot and tables, by the file's ending.

    Raises:
        AarlabError: the ending is none of these, or the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise AarlabError(f"{path.name} ends in none of {', '.join(FORMATS)}.", "Choose one of these endings.")
    content = _page(bench).encode() if path.suffix == ".html" else _draw(bench, path.suffix.removeprefix("."))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise AarlabError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from None


def _draw(bench: Bench, form: str) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = testbeds_of(bench)
    columns = min(2, len(names))
    lines = -(-len(names) // columns)
    height = max(sum(row.testbed == name for row in bench.rows) for name in names)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "aarlab", "font.size": 10}):
        size = (1.5 + 5.5 * columns, 1.2 + lines * (0.7 + 0.24 * height))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
        for name, panel in zip(names, panels, strict=False):
            _panel(panel, bench, name)
        low, high = panels[0].get_xlim()  # of all panels: they share it
        panels[0].set_xlim(min(low, -0.1), max(high, 1.05))
        for empty in panels[len(names) :]:
            empty.set_visible(False)
        where = f"{bench.split}, {bench.part} part, {len(bench.seeds)} seeds"
        figure.suptitle(f"PGR on {where}: 0 is the floor, 1 the ceiling", fontsize=11)
        figure.supxlabel(
            "bars: 95% intervals; filled: differs from vanilla (dashed), p < .05, paired by question, Holm-adjusted",
            fontsize=9,
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
        return buffer.getvalue()


def _panel(panel, bench: Bench, name: str) -> None:  # type: ignore[no-untyped-def]
    rows = [row for row in bench.rows if row.testbed == name][::-1]
    ceiling = bench.ceilings[name]
    ends = f"{name}: floor {bench.floors[name]:.3f}, ceiling " + ("none" if ceiling is None else f"{ceiling:.3f}")
    panel.set_title(ends if bench.resolved[name] else f"{ends}; gap not resolved", loc="left", fontsize=10)
    panel.set_yticks(range(len(rows)), [row.method for row in rows])
    panel.set_ylim(-0.7, len(rows) - 0.3)
    panel.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    for x in (0, 1):
        panel.axvline(x, color="#1b1f24", linewidth=1)
    for y, row in enumerate(rows):
        pgr = None if row.score is None or row.score.estimate is None else row.score.estimate.pgr
        if pgr is None:
            panel.text(0.02, y, pgr_text(row), va="center", color=SAME, fontsize=9)
            continue
        colour, filled = _look(row)
        if row.method == BASELINE:
            panel.axvline(pgr.estimate, color=SAME, linewidth=1, linestyle=(0, (4, 3)))
        panel.plot([pgr.low, pgr.high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
        face = colour if filled else "white"
        panel.plot(pgr.estimate, y, marker="o", markersize=6, color=colour, markerfacecolor=face)
    panel.tick_params(labelbottom=True)


def _look(row: Row) -> tuple[str, bool]:
    """Colour and filling: whether it differs from vanilla, and which way."""
    if row.gain is None or row.p is None or row.p >= SIGNIFICANT:
        return SAME, False
    return (BETTER if row.gain.difference.estimate > 0 else WORSE), True


def _page(bench: Bench) -> str:
    svg = _draw(bench, "svg").decode()
    svg = svg[svg.index("<svg") :]
    tables = "\n".join(_table(bench, name) for name in testbeds_of(bench))
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>aarlab bench</title><style>{STYLE}</style>\n<h1>Methods side by side</h1>\n"
        f'<figure role="img" aria-label="Forest plot of PGR by method; the tables below hold the same figures">{svg}'
        f"</figure>\n{tables}</html>\n"
    )


def _table(bench: Bench, name: str) -> str:
    heads = ("method", "PGR [95%]", "accuracy", "gain over vanilla, points [95%]", "p (Holm)", "CPU s a seed")
    lines = []
    for row in bench.rows:
        if row.testbed == name:
            accuracy = "" if row.score is None else f"{np.mean(row.score.accuracy):.3f}"
            cpu = "" if row.score is None else f"{row.score.cpu_seconds / len(bench.seeds):.1f}"
            cells = (row.method, pgr_text(row), accuracy, gain_text(row), p_text(row), cpu)
            lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in heads)
    title = html.escape(heading(bench, name))
    return f'<h2>{title}</h2><div class="table"><table><tr>{head}</tr>{"".join(lines)}</table></div>'
