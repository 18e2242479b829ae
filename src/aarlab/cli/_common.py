"""What the commands share: consoles, the sandbox option, errors as people read them."""

import functools
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from aarlab import sandbox as sandboxes
from aarlab.errors import AarlabError
from aarlab.evaluation import MethodError
from aarlab.sandbox import Sandbox, SandboxName, UnsafeSandbox

P = ParamSpec("P")
R = TypeVar("R")

out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
NoSandbox = Annotated[
    bool,
    typer.Option(
        "--unsafe-no-sandbox",
        help="Run submitted code as you, unprotected. Every result is marked: it proves nothing.",
    ),
]
InSandbox = Annotated[
    SandboxName,
    typer.Option(
        "--sandbox",
        help="Where submitted code runs; auto takes the first of bubblewrap, podman, docker that works. landlock is "
        "weaker, and marks every result.",
    ),
]
Student = Annotated[
    str,
    typer.Option(help="What is trained: probe, lora:MODEL, remote:openai/MODEL or remote:anthropic/MODEL."),
]

MethodFile = Annotated[Path, typer.Argument(help="The method file: it defines fit(problem, seed).", show_default=False)]
SeedOfSeeds = Annotated[
    int | None, typer.Option("--seed", help="Draw the training seeds from this, to repeat a run; default: at random.")
]

WORDS = 40  # characters of a direction in a table
MAX_METHOD_BYTES = 1_000_000
INTERRUPTED = 130  # 128 + SIGINT, as shells expect


def choose_sandbox(unsafe: bool, name: SandboxName = "auto") -> Sandbox:
    """The sandbox that the user names, or that of this machine; without one only if the user insists."""
    if unsafe:
        err.print("[bold red]No sandbox:[/] submitted code runs as you and can read the labels. Results are marked.")
        return UnsafeSandbox()
    return sandboxes.choose_sandbox(name)


def draw_seeds(seed: int | None, count: int) -> list[int]:
    """Training seeds, from a seed to repeat a run, or at random."""
    import numpy as np

    rng = np.random.default_rng(secrets.randbits(64) if seed is None else seed)
    return [int(s) for s in rng.integers(2**31, size=count)]


@contextmanager
def method_failures(json_: bool, **about: str) -> Iterator[None]:
    """Tell a method's broken contract as JSON, if that is wanted, with exit code 1.

    Args:
        json_: whether it is.
        about: what else the document says.
    """
    try:
        yield
    except MethodError as error:
        if not json_:
            raise
        failure = {"kind": error.kind, "message": error.message, "advice": error.advice}
        typer.echo(json.dumps({**about, "failure": failure}, indent=1))
        raise typer.Exit(1) from None


def read_method(path: Path) -> str:
    """The text of a method file.

    Raises:
        AarlabError: it cannot be read, or is too large to be one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AarlabError(f"{path} cannot be read: {error.strerror}.", "Name a Python file.") from None
    if len(content) > MAX_METHOD_BYTES:
        raise AarlabError(f"{path} is larger than {MAX_METHOD_BYTES} bytes.", "A method is one file of code.")
    return content.decode("utf-8", errors="replace")


def reporting_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the package's own errors into a message, advice and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except AarlabError as error:
            err.print(f"[bold red]{type(error).__name__}:[/] {escape(error.message)}", soft_wrap=True)
            if error.advice:
                err.print(f"[dim]→[/] {escape(error.advice)}", soft_wrap=True)
            sys.exit(1)

    return wrapped


def short_direction(direction: str) -> str:
    """A direction in few words; it may begin with its name and a colon."""
    name = direction.partition(":")[0]
    return name if len(name) <= WORDS else name[: WORDS - 1] + "…"


def interval(estimate: float, low: float, high: float) -> str:
    """An estimate with its bounds, as the tables print it."""
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"
