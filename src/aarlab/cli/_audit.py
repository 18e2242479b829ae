"""`aarlab audit`: put all audits to one method file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from aarlab.audits import AuditFinding
from aarlab.audits.auditor import AUDITS, Auditor
from aarlab.audits.review import review
from aarlab.cli._common import (
    InSandbox,
    Json,
    MethodFile,
    NoSandbox,
    SeedOfSeeds,
    Student,
    choose_sandbox,
    draw_seeds,
    err,
    method_failures,
    out,
    read_method,
    reporting_errors,
)
from aarlab.evaluation import default_workers
from aarlab.testbeds import PROBE, load_testbed

COLOURS = {"passed": "green", "flagged": "bold red", "noted": "yellow", "not-applicable": "dim"}


@reporting_errors
def audit(
    method: MethodFile,
    testbed: Annotated[str, typer.Option(help="What to audit it on.")] = "chat",
    seeds: Annotated[int, typer.Option(min=3, max=64, help="Training seeds of the score and of the audits.")] = 3,
    student: Student = PROBE,
    seed: SeedOfSeeds = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Ask a model for its opinion, too: remote:PROVIDER/MODEL. It decides nothing.")
    ] = None,
    transcript: Annotated[
        Path | None, typer.Option(help="For the reviewer: a text that tells how the method came about.")
    ] = None,
    json_: Json = False,
    sandbox: InSandbox = "auto",
    unsafe_no_sandbox: NoSandbox = False,
) -> None:
    """Score a method on public, then ask whether its gain is what it seems.

    Does it need its teacher and its student? Does it answer each input by itself? Does it hold without the
    testbed's shortcut, on perturbed inputs, on fresh seeds and a fresh split? What does its code do? Each finding
    has a figure and a threshold, which was set on honest methods (docs/audits.md). Takes about a minute. Exit code 1
    if an audit flags the method.

    Example: aarlab audit src/aarlab/methods/vanilla.py --testbed chat
    """
    code = read_method(method)
    scored, fresh = draw_seeds(seed, seeds), draw_seeds(None if seed is None else seed + 1, seeds)
    scored_on = load_testbed(testbed, student)
    auditor = Auditor(scored_on, choose_sandbox(unsafe_no_sandbox, sandbox), workers=default_workers())
    told = f"{method.name} on {testbed}: scoring, then {len(AUDITS)} audits"
    with auditor, method_failures(json_, method=str(method), testbed=testbed), err.status(told):
        claimed = auditor.evaluate(code, "public", scored)
        findings = auditor.audit(code, claimed, fresh).findings
        if reviewer is not None:
            findings = (*findings, review(code, None if transcript is None else read_method(transcript), reviewer))
    if json_:
        document: dict[str, Any] = {"method": str(method), "testbed": testbed, "student": scored_on.student.name}
        document["accuracy"] = claimed.mean_accuracy
        document["findings"] = [finding.model_dump(mode="json") for finding in findings]
        typer.echo(json.dumps(document, indent=1))
    else:
        out.print(
            f"{escape(method.name)} on {testbed}: accuracy {claimed.mean_accuracy:.3f} on public", highlight=False
        )
        print_findings(findings)
    if any(finding.verdict == "flagged" for finding in findings):
        raise typer.Exit(1)


def print_findings(findings: Sequence[AuditFinding]) -> None:
    """Two lines a finding: verdict, audit and figure; what was seen."""
    for finding in findings:
        figure = "" if finding.figure is None else f"  {finding.figure:.3g}"
        if finding.threshold is not None:
            figure += f" [dim](threshold {finding.threshold:.3g})[/]"
        colour = COLOURS[finding.verdict]
        out.print(f"[{colour}]{finding.verdict:<14}[/] [bold]{finding.audit}[/]{figure}", highlight=False)
        out.print(Padding(Text(finding.summary), (0, 0, 0, 15)))
