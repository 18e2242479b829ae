"""`aarlab evaluate`: score one method file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

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
    interval,
    method_failures,
    out,
    read_method,
    reporting_errors,
)
from aarlab.evaluation import Evaluation, Evaluator, default_workers
from aarlab.testbeds import PROBE, Part, load_testbed


@reporting_errors
def evaluate(
    method: MethodFile,
    testbed: Annotated[str, typer.Option(help="What to score it on.")] = "chat",
    seeds: Annotated[int, typer.Option(min=1, max=64, help="Training seeds, each in a sandbox of its own.")] = 3,
    split: Annotated[
        Literal["public", "private"], typer.Option(help="Look at private once, at the very end.")
    ] = "public",
    part: Annotated[Part, typer.Option(help="In-distribution, or the out-of-distribution part of the split.")] = "id",
    student: Student = PROBE,
    seed: SeedOfSeeds = None,
    json_: Json = False,
    sandbox: InSandbox = "auto",
    unsafe_no_sandbox: NoSandbox = False,
) -> None:
    """Score a method file on a testbed, in the sandbox.

    Prints accuracy by seed, floor, ceiling and PGR with its 95% interval. You hold the labels here, so the
    figures are exact; researchers in a study see them through the leakage guard.

    Example: aarlab evaluate src/aarlab/methods/vanilla.py --testbed chat
    """
    code = read_method(method)
    drawn = draw_seeds(seed, seeds)
    scored_on = load_testbed(testbed, student)
    with Evaluator(scored_on, choose_sandbox(unsafe_no_sandbox, sandbox), workers=default_workers()) as evaluator:
        told = f"{method.name} on {testbed}: {seeds} seeds"
        with method_failures(json_, method=str(method), testbed=testbed), err.status(told):
            result = evaluator.evaluate(code, split, drawn, part)
    if json_:
        typer.echo(json.dumps(_document(method, result), indent=1))
    else:
        _print(method, result)


def _document(method: Path, result: Evaluation) -> dict[str, Any]:
    estimate = result.estimate
    pgr = None if estimate is None else estimate.pgr
    return {
        "method": str(method),
        "testbed": result.testbed,
        "student": result.student,
        "split": result.split,
        "part": result.part,
        "seeds": list(result.seeds),
        "accuracy": list(result.accuracy),
        "mean_accuracy": result.mean_accuracy,
        "floor": {"accuracy": result.floor, "se": result.floor_se},
        "ceiling": {"accuracy": result.ceiling, "se": result.ceiling_se},
        "pgr": None if pgr is None else pgr.estimate,
        "interval": None if pgr is None else [pgr.low, pgr.high],
        "level": None if pgr is None else pgr.level,
        "noise": {} if estimate is None else estimate.noise,
        "gap": None if estimate is None else estimate.gap,
        "gap_standard_errors": None if estimate is None else estimate.gap_standard_errors,
        "diagnostics": asdict(result.diagnostics),
        "wall_seconds": round(result.wall_seconds, 3),
        "cpu_seconds": round(result.cpu_seconds, 3),
        "peak_memory_mib": round(result.peak_memory_bytes / 2**20),
        "sandbox": result.sandbox,
        "isolated": result.isolated,
    }


def _print(method: Path, result: Evaluation) -> None:
    where = f"{result.testbed}, {result.split} split, {result.part} part, student {result.student}"
    table = Table(title=f"{method.name} on {where}", show_header=False, title_style="bold")
    table.add_column(style="dim")
    table.add_column()
    table.add_row("accuracy", f"{result.mean_accuracy:.3f}   by seed: {', '.join(f'{a:.3f}' for a in result.accuracy)}")
    table.add_row("floor", f"{result.floor:.3f} ± {result.floor_se:.3f} (SE by question)")
    if result.ceiling is not None:
        table.add_row("ceiling", f"{result.ceiling:.3f} ± {result.ceiling_se:.3f}")
    if result.estimate is None:
        table.add_row("PGR", "none: this student cannot be trained, so it has no ceiling")
    elif result.estimate.pgr is None:
        errors = result.estimate.gap_standard_errors
        table.add_row("PGR", f"not reported: the gap is only {errors:.1f} standard errors wide, 6 are needed")
    else:
        pgr, noise = result.estimate.pgr, result.estimate.noise
        table.add_row("PGR", f"[bold]{interval(pgr.estimate, pgr.low, pgr.high)}[/] (95%)")
        table.add_row("noise in PGR", ", ".join(f"{name.replace('_', ' ')} {sd:.3f}" for name, sd in noise.items()))
    diagnostics = result.diagnostics
    facts = [f"agrees with weak labels {diagnostics.agreement:.2f}", f"confidence {diagnostics.confidence:.2f}"]
    if diagnostics.swap_consistency is not None:
        facts.append(f"swap-consistent {diagnostics.swap_consistency:.2f}")
    facts.append(f"seeds disagree {diagnostics.seed_disagreement:.2f}")
    table.add_row("label-free", ", ".join(facts))
    memory = result.peak_memory_bytes / 2**20
    table.add_row("cost", f"{result.wall_seconds:.1f} s wall, {result.cpu_seconds:.1f} s CPU, {memory:.0f} MiB")
    ran_in = result.sandbox if result.isolated else f"[bold red]{result.sandbox}: not isolated, proves nothing[/]"
    table.add_row("sandbox", ran_in)
    out.print(table)
