"""The end of a run: the leaderboard as a table, or everything as one JSON document."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from aarlab.api.schemas import Row
from aarlab.cli._common import interval, out, short_direction
from aarlab.stats import Interval
from aarlab.studies import Outcome, StudyFolder

SHOWN = 8


def document(folder: StudyFolder, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Everything about a study that a script may want."""
    best = outcome.best
    return {
        "study": outcome.study.model_dump(mode="json"),
        "settings": folder.settings.model_dump(mode="json"),
        "best": None if best is None else best.model_dump(mode="json"),
        "leaderboard": [row.model_dump(mode="json") for row in outcome.leaderboard],
        "researchers": [researcher.model_dump(mode="json") for researcher in outcome.researchers],
        "failures": [
            {"submission": s.id, "method": s.name, "failure": s.failure.model_dump(mode="json")}
            for s in outcome.submissions
            if s.failure is not None
        ],
        "lost_researchers": dict(outcome.lost),
        "findings": len(outcome.findings),
        "audits": {
            submission: [found.model_dump(mode="json") for found in findings]
            for submission, findings in outcome.audits.items()
        },
        "probing": [found.model_dump(mode="json") for found in outcome.probing],
        "log_head": outcome.log_head,
        "best_method": None if best is None else str(folder.best_method),
        "report": str(folder.report),
        "wall_seconds": round(seconds, 1),
    }


def print_outcome(folder: StudyFolder, outcome: Outcome, seconds: float) -> None:
    """The leaderboard, the verdict on the best method, and where everything lies."""
    out.print(_table(outcome))
    out.print(_verdict(outcome))
    if not outcome.study.guarded:
        out.print(
            "[bold red]Feedback was exact: labels of the public split could be read off it. "
            "Public figures prove nothing.[/]"
        )
    for found in outcome.probing:
        out.print(f"[bold red]Probing?[/] {escape(found.summary)}")
    for name, reason in outcome.lost:
        out.print(f"[bold red]{escape(name)} gave up:[/] {escape(reason)}")
    if not all(row.isolated for row in outcome.leaderboard):
        out.print(
            "[bold red]Run without a sandbox: submitted code could read the labels. These figures prove nothing.[/]"
        )
    failed = sum(s.failure is not None for s in outcome.submissions)
    out.print(
        f"{len(outcome.submissions)} submissions, {failed} without a score, {len(outcome.findings)} findings, "
        f"{seconds / 60:.1f} min.\n"
        f"Best method   {folder.best_method}\n"
        f"Report        {folder.report} (open it in a browser)\n"
        f"All figures   {folder.leaderboard}\n"
        f"Score it again: aarlab evaluate {folder.best_method} --testbed {outcome.study.testbed}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _table(outcome: Outcome) -> Table:
    """Two lines a method, so that eighty columns hold it: what and whose, private above public."""
    table = Table(title=f"{outcome.study.testbed}: leaderboard", title_style="bold", caption_justify="left")
    table.add_column("#", justify="right")
    table.add_column("method\n[dim]researcher: direction", ratio=1)
    table.add_column("level", no_wrap=True)
    table.add_column("PGR private\n[dim]PGR public", no_wrap=True)
    table.add_column("public\naccuracy", justify="right", no_wrap=True)
    shown = [row for row in outcome.leaderboard if row.rank <= SHOWN or not row.direction]
    for row in shown:
        table.add_row(
            str(row.rank),
            f"{escape(row.method)}\n[dim]{escape(_origin(row))}[/]",
            f"{row.level.value} {row.level.name.lower()}" + "".join(f"\n[red]{flag}[/]" for flag in row.flags),
            f"{_private(row)}\n[dim]{_pgr(row.pgr_public)}[/]",
            f"{row.accuracy_public:.3f}",
            style="" if row.direction else "yellow",
        )
    more = len(outcome.leaderboard) - len(shown)
    table.caption = "95% intervals: questions, seeds, floor and ceiling" + (f"; {more} more rows" if more else "")
    return table


def _origin(row: Row) -> str:
    """Researcher and direction in few words."""
    direction = short_direction(row.direction)
    return f"{row.researcher}: {direction}" if direction else row.researcher


def _pgr(pgr: Interval | None) -> str:
    return "not resolved" if pgr is None else interval(pgr.estimate, pgr.low, pgr.high)


def _private(row: Row) -> str:
    if row.accuracy_private is None:
        return f"[red]{row.failure_private}[/]" if row.failure_private else "not looked at"
    return _pgr(row.pgr_private)


def _verdict(outcome: Outcome) -> str:
    best = outcome.best
    if best is None or best.gain_private is None or best.p_private is None:
        if not outcome.audits:
            return "Nothing was audited or confirmed: the operator ended the study before."
        return "No method passed its audits, so none was confirmed; the table says what flagged them."
    gain, p = best.gain_private, best.p_private
    won = gain.low > 0 and p < 0.05
    verb = "[bold green]beats[/]" if won else "[bold]does not clearly beat[/]"
    return (
        f"The first of the leaderboard {verb} vanilla on private: {100 * gain.estimate:+.1f} points of accuracy, "
        f"95% interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}; paired t-test by question, "
        f"p {'< .001' if p < 0.001 else f'= {p:.3f}'} (Holm-adjusted over the confirmed)."
    )
