"""`aarlab bench`: the method library on the testbeds."""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from aarlab.bench import Bench, Cell, document, markdown, run_bench, write_figure
from aarlab.bench._table import gain_text, heading, p_text, pgr_text, testbeds_of
from aarlab.cli._common import INTERRUPTED, Json, Student, choose_sandbox, err, out, read_method, reporting_errors
from aarlab.errors import AarlabError
from aarlab.evaluation import default_workers, library
from aarlab.testbeds import PROBE, Part, Testbed, load_testbed, pack_names

ALL = "all"


@reporting_errors
def bench(
    testbed: Annotated[
        str, typer.Option(help="Names or folders, with commas; `all`: every testbed whose gap is resolved.")
    ] = ALL,
    methods: Annotated[str, typer.Option(help="Names of the library or files, with commas; `all`: the library.")] = ALL,
    seeds: Annotated[int, typer.Option(min=1, max=64, help="Training seeds of each method.")] = 5,
    split: Annotated[Literal["public", "private"], typer.Option(help="What to score.")] = "public",
    part: Annotated[Part, typer.Option(help="In-distribution, or the out-of-distribution part.")] = "id",
    student: Student = PROBE,
    seed: Annotated[int, typer.Option(min=0, help="Draws the training seeds.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Methods at a time; default: one a core.")] = None,
    json_: Json = False,
    md: Annotated[bool, typer.Option("--md", help="Print Markdown tables.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write the forest plot: FILE.png, .svg or .html.")] = None,
) -> None:
    """Run the method library on testbeds, under one protocol, and set the methods side by side.

    Each method runs in the sandbox on the same seeds; PGR comes with its interval, the gain over vanilla with a
    paired test, Holm-adjusted over the methods of a testbed. What was scored before is kept and not run again, so
    Ctrl-C loses nothing.

    Example: aarlab bench --testbed chat --methods vanilla,confident --seeds 3
    """
    codes = _methods(methods)
    testbeds = _testbeds(testbed, student, split, part)
    drawn = [int(s) for s in np.random.default_rng(seed).integers(2**31, size=seeds)]
    sandbox = choose_sandbox(unsafe=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(cell: Cell | None, done: int, of: int) -> None:
            what = "" if cell is None else f"{cell.method} on {cell.testbed}"
            bar.update(task, description=what, completed=done, total=of)

        try:
            result = run_bench(
                codes,
                testbeds,
                sandbox,
                drawn,
                split=split,
                part=part,
                workers=workers or default_workers(),
                progress=show,
            )
        except KeyboardInterrupt:
            err.print("Stopped; what was scored is kept. Run the same command again to go on.")
            raise typer.Exit(INTERRUPTED) from None
    if plot is not None:
        write_figure(result, plot)
    if json_:
        typer.echo(json.dumps(document(result), indent=1))
    elif md:
        typer.echo(markdown(result))
    else:
        _print(result)
        if plot is not None:
            out.print(f"Figure: {plot}", highlight=False, soft_wrap=True)


def _methods(names: str) -> dict[str, str]:
    known = library()
    if names == ALL:
        return {name: method.code for name, method in known.items()}
    codes = {}
    for name in names.split(","):
        if name in known:
            codes[name] = known[name].code
        elif Path(name).suffix == ".py":
            codes[Path(name).stem] = read_method(Path(name))
        else:
            raise AarlabError(f"There is no method {name!r}.", f"Name a file, or one of: {', '.join(known)}.")
    return codes


def _testbeds(names: str, student: str, split: Literal["public", "private"], part: Part) -> list[Testbed]:
    if names != ALL:
        return [load_testbed(name, student) for name in names.split(",")]
    found = [load_testbed(name, student) for name in pack_names()]
    resolved = [
        testbed
        for testbed in found
        if part in testbed.parts(split)
        and len(testbed.ceiling_predictions)
        and testbed.estimate(split, testbed.floor_correct(split, part)[None], part).pgr is not None
    ]
    for testbed in found:
        if testbed not in resolved:
            err.print(f"[dim]{testbed.name}: left out, its gap does not stand clear of its noise.[/]")
    if not resolved:
        raise AarlabError(
            "No testbed's gap is resolved here.", "Name one: --testbed NAME scores it anyway, without PGR."
        )
    return resolved


def _print(result: Bench) -> None:
    for name in testbeds_of(result):
        table = Table(
            title=heading(result, name), title_style="bold", title_justify="left", box=None, padding=(0, 1, 0, 0)
        )
        table.add_column("method", overflow="fold")
        for column in ("PGR [95%]", "acc.", "gain over vanilla", "p", "CPU s"):
            table.add_column(column, justify="right", no_wrap=True)
        for row in result.rows:
            if row.testbed != name:
                continue
            accuracy = "" if row.score is None else f"{np.mean(row.score.accuracy):.3f}"
            cpu = "" if row.score is None else f"{row.score.cpu_seconds / len(result.seeds):.1f}"
            table.add_row(row.method, pgr_text(row), accuracy, gain_text(row), p_text(row), cpu)
        out.print(table)
    out.print(
        "[dim]Gain in points of accuracy with its 95% interval, paired by question; p Holm-adjusted over a testbed's "
        "methods; CPU for each seed.[/]",
        highlight=False,
    )
