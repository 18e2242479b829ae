"""`aarlab log`: the event log of a study, and whether anybody has edited it."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from aarlab.cli._common import Json, out, reporting_errors
from aarlab.server import read_log, verify_log
from aarlab.studies import StudyError, StudyFolder

app = typer.Typer(no_args_is_help=True, help="Read a study's event log, and verify that nobody has edited it.")

Folder = Annotated[Path, typer.Argument(help="The study's folder, as `aarlab run` printed it.", show_default=False)]
SHOWN = 120  # characters of an entry's details in a table


@app.command("show")
@reporting_errors
def show(folder: Folder, json_: Json = False) -> None:
    """Print the entries in order: submissions, scores, guard answers, audits, looks at private, operator's acts.

    It holds exact facts for the operator; no label, token or key is in it.

    Example: aarlab log show studies/chat-20260101-120000
    """
    study, database = _study(folder)
    events = read_log(database, study)
    if json_:
        typer.echo(json.dumps([event.model_dump(mode="json") for event in events], indent=1))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("#", "time (UTC)", "what", "who", "details"):
        table.add_column(name, justify="right" if name == "#" else "left", overflow="fold")
    for event in events:
        details = ", ".join(f"{key} {value}" for key, value in event.payload.items())
        short = details if len(details) <= SHOWN else details[: SHOWN - 1] + "…"
        table.add_row(
            str(event.number), event.at.strftime("%m-%d %H:%M:%S"), event.kind, escape(event.actor), escape(short)
        )
    out.print(table)


@app.command("verify")
@reporting_errors
def verify(
    folder: Folder,
    head: Annotated[
        str | None,
        typer.Option(help="Hash of an entry, as you noted it elsewhere; default: what the study's outcome noted."),
    ] = None,
    json_: Json = False,
) -> None:
    """Check the hash chain; exit code 1 if an entry was edited, removed, moved or cut off.

    The last entry is compared with the hash that the study's outcome noted, where it has one. Whoever can write to the
    database could rebuild the whole chain: keep that hash where they cannot write.

    Example: aarlab log verify studies/chat-20260101-120000
    """
    study, database = _study(folder)
    noted = head or _noted(folder)
    count, found = verify_log(database, study, noted)
    if json_:
        document = {"entries": count, "holds": found is None, "compared_with": noted}
        broken = None if found is None else {"number": found.number, "why": found.why}
        typer.echo(json.dumps({**document, "broken": broken}, indent=1))
    elif found is None:
        against = "and the noted one is among them" if noted else "; none was noted elsewhere to compare with"
        out.print(f"[bold green]The chain holds[/]: {count} entries {against}.")
    else:
        where = f"at entry {found.number}" if found.number else "at its end"
        out.print(f"[bold red]The chain is broken[/] {where}: {found.why}.")
    if found is not None:
        raise typer.Exit(1)


def _study(folder: Path) -> tuple[str, Path]:
    opened = StudyFolder.open(folder)
    if opened.study is None:
        raise StudyError(f"{folder} has not begun.", f"Run: aarlab resume {folder}")
    return opened.study, opened.database


def _noted(folder: Path) -> str | None:
    try:
        noted = json.loads((folder / "leaderboard.json").read_bytes()).get("log_head")
    except (OSError, ValueError):
        return None
    return noted if isinstance(noted, str) else None
