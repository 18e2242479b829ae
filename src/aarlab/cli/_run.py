"""`aarlab run` and `aarlab resume`: a team on a study, with live progress and the confirmed leaderboard."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from aarlab.cli._common import (
    INTERRUPTED,
    InSandbox,
    Json,
    NoSandbox,
    Student,
    choose_sandbox,
    err,
    reporting_errors,
)
from aarlab.cli._live import Display
from aarlab.cli._outcome import document, print_outcome
from aarlab.evaluation import default_workers
from aarlab.evaluation.guards import DEFAULT, GUARDS
from aarlab.sandbox import UnsafeSandbox
from aarlab.server import StudyEvaluators
from aarlab.studies import Progress, Settings, StudyError, StudyFolder, Team, write_report
from aarlab.testbeds import PROBE, load_testbed

Folder = Annotated[Path, typer.Argument(help="The study's folder, as `aarlab run` printed it.", show_default=False)]


@reporting_errors
def run(
    testbed: Annotated[str, typer.Argument(help="What to do research on.")] = "chat",
    researchers: Annotated[int, typer.Option(min=1, max=100, help="How many; each has a direction of its own.")] = 9,
    evaluations: Annotated[int, typer.Option(min=1, max=10_000, help="Scored submissions for each researcher.")] = 12,
    seeds: Annotated[int, typer.Option(min=3, max=64, help="Training seeds of each evaluation.")] = 3,
    confirm: Annotated[int, typer.Option(min=1, max=100, help="How many of the best to score on private.")] = 5,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Scored submissions of all researchers together.", show_default="no limit")
    ] = None,
    guard: Annotated[
        str,
        typer.Option(help=f"How feedback is limited: {', '.join(GUARDS)}. `exact` leaks labels and marks the study."),
    ] = DEFAULT,
    student: Student = PROBE,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the researchers' random choices.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Evaluations at a time; default: one a core.")] = None,
    output: Annotated[Path, typer.Option(help="Where studies are kept.")] = Path("studies"),
    json_: Json = False,
    sandbox: InSandbox = "auto",
    unsafe_no_sandbox: NoSandbox = False,
) -> None:
    """Let a team of scripted researchers improve PGR on a testbed, then audit the best and confirm them on private.

    Needs no model and no key. Each researcher starts from its own direction, reads the others' findings, and
    submits methods until its evaluations are spent. Everything stays in the study's folder; after Ctrl-C or a
    crash, `aarlab resume FOLDER` goes on.

    Example: aarlab run chat --researchers 3 --evaluations 4
    """
    if guard not in GUARDS:
        raise StudyError(f"There is no guard {guard!r}.", f"There are: {', '.join(GUARDS)}.")
    settings = Settings(
        testbed=testbed,
        student=student,
        researchers=researchers,
        evaluations=evaluations,
        seeds=seeds,
        confirm=confirm,
        budget=budget,
        guard=guard,
        seed=seed,
        workers=workers or default_workers(),
        sandbox=sandbox,
        unsafe=unsafe_no_sandbox,
    )
    if not len(load_testbed(testbed, student).ceiling_predictions):  # before anything is written
        raise StudyError(
            f"{student} cannot be trained, so it has no ceiling and a study on it no PGR.",
            "Run the study on another student, and score what it finds on this one with `aarlab evaluate`.",
        )
    choose_sandbox(unsafe_no_sandbox, sandbox)
    _carry_through(StudyFolder.create(output, settings), as_json=json_)


@reporting_errors
def resume(folder: Folder, json_: Json = False) -> None:
    """Go on with a study that was interrupted; a finished one is only shown again.

    What is recorded is not done again, and no budget is spent twice.

    Example: aarlab resume studies/chat-20260101-120000
    """
    _carry_through(StudyFolder.open(folder), as_json=json_)


def _carry_through(folder: StudyFolder, *, as_json: bool) -> None:
    settings = folder.settings
    started = time.monotonic()
    sandbox = UnsafeSandbox() if settings.unsafe else choose_sandbox(unsafe=False, name=settings.sandbox)
    with folder.locked(), StudyEvaluators(sandbox, settings.student) as evaluators:
        try:
            with _terminable(), _display(settings, quiet=as_json) as show:
                outcome = Team(folder, evaluators).run(show, _announce)
        except KeyboardInterrupt:
            err.print(
                f"Stopped; what is recorded is kept. Go on with: [bold]aarlab resume {folder.path}[/]", soft_wrap=True
            )
            raise typer.Exit(INTERRUPTED) from None
        if outcome.best_code is not None:
            folder.write(folder.best_method, outcome.best_code)
        report: dict[str, Any] = document(folder, outcome, time.monotonic() - started)
        folder.write(folder.leaderboard, json.dumps(report, indent=1))
        write_report(folder, outcome, evaluators)
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    else:
        print_outcome(folder, outcome, time.monotonic() - started)


def _announce(link: str) -> None:
    """Where to watch the study; on standard error, so that --json stays one document."""
    err.print(f"Watch and steer it live: [bold]{link}[/]", highlight=False, soft_wrap=True)


@contextmanager
def _display(settings: Settings, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    if quiet:
        yield lambda _: None
        return
    with Display(settings) as display:
        yield display.show


@contextmanager
def _terminable() -> Iterator[None]:
    """Take a polite SIGTERM like Ctrl-C, so that a scheduler's stop is a clean one."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
