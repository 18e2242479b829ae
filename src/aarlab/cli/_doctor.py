"""`aarlab doctor`: what this machine can do, and how to mend what it cannot."""

import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from aarlab.cli._common import Json, out, reporting_errors
from aarlab.errors import AarlabError
from aarlab.sandbox import Check, Sandbox, SandboxName, SandboxUnavailable, choose_sandbox, self_test
from aarlab.testbeds import load_testbed, pack_names

FREE_GIB = 1.0
MEMORY_GIB = 2.0
EXTRAS = {
    "torch": (("torch", "transformers", "peft", "accelerate", "gguf"), "the student lora, and testbeds of your own"),
    "data": (("pyarrow", "datasets"), "testbeds of your own from Parquet files or the Hugging Face hub"),
}


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at.

    Attributes:
        what: what it is.
        state: "ok", "missing" (something will not work) or "optional" (not installed, seldom needed).
        found: what was found.
        mend: what to do about it.
    """

    what: str
    state: str
    found: str
    mend: str = ""


@reporting_errors
def doctor(
    name: Annotated[
        SandboxName, typer.Argument(help="With --sandbox: which to attack; auto is the one that would be used.")
    ] = "auto",
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Attack the sandbox alone, and print what holds and what does not.")
    ] = False,
    json_: Json = False,
) -> None:
    """Check this machine: Python, sandbox, disk, memory, cores, testbeds, optional parts.

    The sandbox is tested by attacks on it; --sandbox shows each. Exit code 1 if something that `aarlab run` needs is
    missing, or if an attack got through.

    Example: aarlab doctor --sandbox landlock
    """
    if sandbox:
        _attack(choose_sandbox(name), as_json=json_)
        return
    if name != "auto":
        raise AarlabError(f"{name} is a sandbox.", f"Attack it: aarlab doctor --sandbox {name}")
    facts: list[Fact] = []
    with nullcontext() if json_ else out.status("checking"):
        facts.extend(_facts())
    if json_:
        typer.echo(json.dumps([asdict(fact) for fact in facts], indent=1))
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        styles = {"ok": "[green]ok[/]", "missing": "[bold red]missing[/]", "optional": "[yellow]optional[/]"}
        for fact in facts:
            table.add_row(styles[fact.state], fact.what, fact.found)
        out.print(table)
        for fact in facts:
            if fact.mend:
                out.print(f"[bold]{fact.what}[/]: {fact.mend}", highlight=False)
    if any(fact.state == "missing" for fact in facts):
        raise typer.Exit(1)


def _facts() -> Iterator[Fact]:
    yield Fact("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield _cores()
    yield _memory()
    yield _disk()
    yield from _testbeds()
    yield from _sandbox()
    yield from _extras()


def _cores() -> Fact:
    count = len(os.sched_getaffinity(0))
    return Fact("cores", "ok", f"{count}: {count} evaluations at a time")


def _memory() -> Fact:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if gib < MEMORY_GIB:
        return Fact(
            "memory", "missing", f"{gib:.1f} GiB", f"An evaluation may use {MEMORY_GIB:g} GiB; use a larger machine."
        )
    return Fact("memory", "ok", f"{gib:.1f} GiB")


def _disk() -> Fact:
    gib = shutil.disk_usage(Path.cwd()).free / 2**30
    if gib < FREE_GIB:
        return Fact("disk", "missing", f"{gib:.1f} GiB free here", f"Free {FREE_GIB:g} GiB, or run in another folder.")
    return Fact("disk", "ok", f"{gib:.1f} GiB free here")


def _testbeds() -> Iterator[Fact]:
    for name in pack_names():
        try:
            testbed = load_testbed(name)
        except AarlabError as error:
            yield Fact(f"testbed {name}", "missing", error.message, error.advice)
        else:
            anchors = testbed.anchors("public")
            yield Fact(
                f"testbed {name}", "ok", f"floor {anchors.floor:.3f}, ceiling {anchors.ceiling or 0:.3f} on public"
            )


def _sandbox() -> Iterator[Fact]:
    try:
        sandbox = choose_sandbox()
    except SandboxUnavailable as error:
        yield Fact("sandbox", "missing", "; ".join(error.tried), error.advice)
        return
    checks = self_test(sandbox)
    failed = [check for check in checks if not check.holds]
    for check in failed:
        yield Fact(f"sandbox: {check.name}", "missing", check.detail, check.mend)
    if not failed:
        yield Fact("sandbox", "ok", f"{sandbox.name}: {len(checks)} attacks got nowhere")


def _attack(sandbox: Sandbox, *, as_json: bool) -> None:
    """Attack a sandbox and print each check; exit code 1 if one does not hold."""
    with nullcontext() if as_json else out.status(f"attacking {sandbox.name}"):
        checks = self_test(sandbox)
    if as_json:
        document = {"sandbox": sandbox.name, "isolated": sandbox.trusted_isolation, "checks": list(map(asdict, checks))}
        typer.echo(json.dumps(document, indent=1))
    else:
        _print_checks(sandbox, checks)
    if not all(check.holds for check in checks):
        raise typer.Exit(1)


def _print_checks(sandbox: Sandbox, checks: Sequence[Check]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for check in checks:
        verdict = "[green]holds[/]" if check.holds else "[bold red]does not hold[/]"
        table.add_row(verdict, check.name, escape(check.detail))
    out.print(table)
    failed = [check for check in checks if not check.holds]
    out.print(f"{sandbox.name}: {len(checks) - len(failed)} of {len(checks)} hold.", highlight=False)
    for mend in dict.fromkeys(check.mend for check in failed):
        names = ", ".join(check.name for check in failed if check.mend == mend)
        out.print(f"[bold]{names}[/]: {escape(mend)}", highlight=False)
    if not sandbox.trusted_isolation:
        out.print(f"[bold]{sandbox.name}[/] is weaker than the others: every result from it is marked as not isolated.")


def _extras() -> Iterator[Fact]:
    for extra, (packages, use) in EXTRAS.items():
        absent = [name for name in packages if importlib.util.find_spec(name) is None]
        if absent:
            yield Fact(f"extra `{extra}`", "optional", f"not installed: {', '.join(absent)}; for {use}")
        else:
            yield Fact(f"extra `{extra}`", "ok", "installed")
