"""`aarlab ledger`: what a study cost, by researcher and by model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from aarlab.api.ledger import STUDY_DOLLARS_PER_HOUR, LedgerView, Spending
from aarlab.cli._common import Json, out, reporting_errors
from aarlab.server import read_ledger
from aarlab.studies import StudyError, StudyFolder

Folder = Annotated[Path, typer.Argument(help="The study's folder, as `aarlab run` printed it.", show_default=False)]


@reporting_errors
def ledger(folder: Folder, json_: Json = False) -> None:
    """Print what a study cost so far: tokens, CPU and GPU time, dollars; an hour of research, a point of PGR.

    Read from the study's database, while it runs or later. For the operator.

    Example: aarlab ledger studies/chat-20260101-120000
    """
    opened = StudyFolder.open(folder)
    if opened.study is None:
        raise StudyError(f"{folder} has not begun.", f"Run: aarlab resume {folder}")
    view = read_ledger(opened.database, opened.study)
    if json_:
        typer.echo(view.model_dump_json(indent=1))
        return
    out.print(_researchers(view))
    if view.models:
        out.print()
        out.print(_models(view))
    out.print()
    for line in _ratios(view):
        out.print(line)


def _researchers(view: LedgerView) -> Table:
    table = _table(
        "researcher", "hours", "evaluations", "tokens in", "tokens out", "CPU s", "GPU s", "dollars", "limit"
    )
    for one in view.researchers:
        table.add_row(escape(one.researcher or ""), *_cells(one))
    if view.unassigned_dollars:
        table.add_row("[dim]nobody[/]", *[""] * 6, _dollars(view.unassigned_dollars), "")
    table.add_section()
    table.add_row("[bold]all[/]", *_cells(view.total))
    return table


def _cells(one: Spending) -> list[str]:
    limit = "none" if one.dollars_limit is None else _dollars(one.dollars_limit)
    return [
        f"{one.hours:.2f}",
        str(one.evaluations),
        _count(one.input_tokens),
        _count(one.output_tokens),
        f"{one.cpu_seconds:.1f}",
        f"{one.gpu_seconds:.1f}",
        _dollars(one.dollars),
        f"{limit} [bold red]stopped[/]" if one.stopped else limit,
    ]


def _models(view: LedgerView) -> Table:
    table = _table("model", "calls", "tokens in", "of them cached", "tokens out", "dollars")
    for one in view.models:
        table.add_row(
            escape(one.model),
            str(one.calls),
            _count(one.input_tokens),
            _count(one.cached_tokens),
            _count(one.output_tokens),
            _dollars(one.dollars),
        )
    return table


def _ratios(view: LedgerView) -> list[str]:
    """What an hour and a point cost, in words."""
    study = f"the study of 2026: ${STUDY_DOLLARS_PER_HOUR:.0f}"
    hour = "no hour of research yet" if view.dollars_per_hour is None else _dollars(view.dollars_per_hour)
    point = "none gained on private yet" if view.dollars_per_point is None else _dollars(view.dollars_per_point)
    return [f"A researcher-hour: [bold]{hour}[/] ({study})", f"A hundredth of PGR over vanilla: [bold]{point}[/]"]


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.01 or not amount else "<$0.01"


def _count(tokens: int) -> str:
    """A number of tokens, in millions or thousands where it is large."""
    for least, size, unit in ((10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if tokens >= least:
            return f"{tokens / size:,.1f} {unit}"
    return f"{tokens:,}"


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, justify="left" if name == names[0] else "right", overflow="fold")
    return table
