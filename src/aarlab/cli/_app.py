"""`aarlab`: the commands, each in a module of its own."""

from typing import Annotated

import typer

import aarlab
from aarlab.cli import (
    _attack,
    _audit,
    _bench,
    _doctor,
    _evaluate,
    _ledger,
    _log,
    _method,
    _report,
    _run,
    _serve,
    _testbed,
    _token,
)

app = typer.Typer(
    name="aarlab",
    help=aarlab.__doc__,
    epilog="Start with: aarlab run chat",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(aarlab.__version__)
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Run teams of automated alignment researchers, and know which of their results to believe."""


app.command("run")(_run.run)
app.command("resume")(_run.resume)
app.command("evaluate")(_evaluate.evaluate)
app.command("audit")(_audit.audit)
app.command("bench")(_bench.bench)
app.command("report")(_report.report)
app.command("serve")(_serve.serve)
app.command("ledger")(_ledger.ledger)
app.command("attack")(_attack.attack)
app.command("doctor")(_doctor.doctor)
app.add_typer(_log.app, name="log")
app.add_typer(_method.app, name="method")
app.add_typer(_testbed.app, name="testbed")
app.add_typer(_token.app, name="token")
