"""`aarlab attack`: attack a server of one's own, and see what holds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from aarlab.cli._common import INTERRUPTED, Json, choose_sandbox, err, out, reporting_errors
from aarlab.evaluation import default_workers

if TYPE_CHECKING:
    from aarlab.attacks._types import Attack
    from aarlab.attacks.suite import Result

QUERIES = 2000

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Attacks or families (queries, gaming, hostile, api); default all.", show_default=False),
]


@reporting_errors
def attack(
    names: Names = None,
    list_: Annotated[bool, typer.Option("--list", help="List the attacks and leave.")] = False,
    queries: Annotated[
        int, typer.Option(min=50, max=10_000, help="What an attack on the guard may ask; a default study grants 12.")
    ] = QUERIES,
    exact: Annotated[
        bool, typer.Option("--exact/--no-exact", help="Attack the guard `exact` as well, for contrast.")
    ] = True,
    workers: Annotated[int | None, typer.Option(min=1, help="Attacks at a time; default: one a core.")] = None,
    honest: Annotated[
        bool, typer.Option("--honest", help="Put honest methods through the same audits, to count false alarms.")
    ] = False,
    json_: Json = False,
    md: Annotated[bool, typer.Option("--md", help="Print Markdown tables.")] = False,
) -> None:
    """Attack a server with default settings, and tell for each attack what it gained and what stopped it.

    The server is started for this, on this machine, with a database of its own; no study of yours is touched. All
    attacks with all queries take half an hour; one of them, seconds to minutes. Exit code 1 if one got through, or if
    more than one honest method in twenty was flagged.

    Example: aarlab attack hostile api
    """
    from aarlab.attacks import suite, table
    from aarlab.attacks.live import open_arena

    wanted = suite.chosen(names or [], honest=honest)
    if list_:
        _list(wanted)
        return
    sandbox = choose_sandbox(unsafe=False)
    count = workers or default_workers()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=len(wanted))

        def show(progress: suite.Progress) -> None:
            bar.update(task, completed=progress.done)
            if progress.result is not None and not err.is_terminal:
                held = "held" if progress.result.held else "GOT THROUGH"
                err.print(f"{progress.done} of {progress.of}: {progress.result.attack}: {held}", highlight=False)

        def say(what: str) -> None:
            bar.update(task, description=what)

        try:
            with open_arena(sandbox, count, queries, say) as arena:
                results = suite.run_suite(arena, wanted, workers=count, contrast=exact, show=show)
        except KeyboardInterrupt:
            err.print("Stopped. Nothing is left behind.")
            raise typer.Exit(INTERRUPTED) from None
    if json_:
        typer.echo(table.document(results, queries))
    elif md:
        typer.echo(table.markdown(results))
    else:
        _print(results)
    if not suite.all_well(results):
        raise typer.Exit(1)


def _list(wanted: Sequence["Attack"]) -> None:
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("family", "attack", "what it does"):
        shown.add_column(column, overflow="fold")
    for one in wanted:
        shown.add_row(one.family, one.name, escape(one.what))
    out.print(shown)


def _print(results: Sequence["Result"]) -> None:
    from aarlab.attacks import table

    for family, columns in table.COLUMNS.items():
        rows = table.of_family(results, family)
        if not rows:
            continue
        shown = Table(title=table.heading(results, family), title_style="bold", title_justify="left", box=None)
        for column in columns:
            shown.add_column(column, overflow="fold")
        for row in rows:
            shown.add_row(*(escape(cell) for cell in table.cells(row)), style="" if row.held else "bold red")
        out.print(shown)
