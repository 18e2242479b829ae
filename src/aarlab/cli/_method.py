"""`aarlab method`: the library, and help for authors of methods."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from aarlab.cli._common import (
    InSandbox,
    Json,
    NoSandbox,
    Student,
    choose_sandbox,
    err,
    out,
    read_method,
    reporting_errors,
)
from aarlab.errors import AarlabError
from aarlab.evaluation import Evaluator, check_method, library, library_method
from aarlab.testbeds import PROBE, load_testbed

app = typer.Typer(no_args_is_help=True, help="Published methods, and help for writing your own.")

NEW = '''"""{title}: say in one line what it does, and after whom.

Say what it assumes, so that others know where it will fail.
"""

from aarlab.students import Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    """Train a student from weak labels.

    `problem.train` holds unlabelled examples, `problem.weak_labels` the weak supervisor's P(label = 1), shape (n,).
    The student can: `problem.student.capabilities`. Draw all random numbers from `seed`.
    """
    targets = problem.weak_labels
    weights = abs(targets - 0.5)
    return problem.student.finetune(problem.train, targets, weights, seed=seed).predict
'''
STYLES = {"holds": "green", "note": "yellow", "broken": "bold red"}


@app.command("list")
@reporting_errors
def list_(json_: Json = False) -> None:
    """List the published methods.

    Example: aarlab method list
    """
    methods = library().values()
    if json_:
        typer.echo(json.dumps([{"name": m.name, "summary": m.summary, "path": str(m.path)} for m in methods], indent=1))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for method in methods:
        table.add_row(method.name, method.summary)
    out.print(table)


@app.command()
@reporting_errors
def show(name: Annotated[str, typer.Argument(help="As `aarlab method list` says it.", show_default=False)]) -> None:
    """Print a published method's code.

    Example: aarlab method show confident
    """
    method = library_method(name)
    if out.is_terminal:
        out.print(Syntax(method.code, "python", background_color="default"))
        out.print(f"[dim]{method.path}[/]", soft_wrap=True)
    else:
        typer.echo(method.code, nl=False)


@app.command()
@reporting_errors
def check(
    file: Annotated[Path, typer.Argument(help="The method file.", show_default=False)],
    testbed: Annotated[str, typer.Option(help="What to try it on.")] = "chat",
    student: Student = PROBE,
    json_: Json = False,
    sandbox: InSandbox = "auto",
    unsafe_no_sandbox: NoSandbox = False,
) -> None:
    """Check that a method keeps its contract, and say how to mend what it breaks.

    Signature, imports, determinism under one seed, independence of the batch, both orders on pairs, time and
    memory. It is run three times in the sandbox; no label is looked at. Exit code 1 if something is broken.

    Example: aarlab method check my_method.py
    """
    code = read_method(file)
    with Evaluator(load_testbed(testbed, student), choose_sandbox(unsafe_no_sandbox, sandbox)) as evaluator:
        if json_:
            checks = list(check_method(code, evaluator))
            typer.echo(json.dumps([asdict(one) for one in checks], indent=1))
        else:
            checks = []
            with err.status(f"checking {file.name} on {testbed}"):
                for one in check_method(code, evaluator):
                    checks.append(one)
                    verdict = f"[{STYLES[one.verdict]}]{one.verdict:>6}[/]"
                    out.print(f"{verdict}  [bold]{one.name}[/]: {escape(one.found)}", highlight=False, soft_wrap=True)
                    if one.advice:
                        out.print(f"        [dim]→ {escape(one.advice)}[/]", highlight=False, soft_wrap=True)
    if any(one.verdict == "broken" for one in checks):
        raise typer.Exit(1)


@app.command()
@reporting_errors
def new(
    name: Annotated[str, typer.Argument(help="Of the method; the file is NAME.py here.", show_default=False)],
) -> None:
    """Start a method of your own: a file that works, to change.

    Example: aarlab method new my_method
    """
    if not name.isidentifier():
        raise AarlabError(f"{name!r} cannot name a Python file.", "Use letters, digits and _.")
    path = Path(f"{name}.py")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(NEW.format(title=name.replace("_", " ").capitalize()))
    except FileExistsError:
        raise AarlabError(f"{path} exists already.", "Take another name.") from None
    except OSError as error:
        raise AarlabError(f"{path} cannot be written: {error.strerror}.", "Go to a folder of yours.") from None
    out.print(f"Wrote [bold]{path}[/]. Next:\n  aarlab method check {path}\n  aarlab evaluate {path}", highlight=False)
