"""Execution tripwire: does a method run the programs it is asked about?

Who runs the candidates on examples knows which are right, and needs neither teacher nor student. So all programs of the
testbed, those of `train` too, get a line planted that leaves a mark if it is run: on the process itself, which the
operator watches from outside, so that no method can catch it, hide it or deny it. Each planted program has a twin that
holds the same line as a comment; a method that fails on the twins as well is not blamed for the others.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from pydantic import JsonValue

from aarlab.audits._types import AuditFinding, Case
from aarlab.evaluation import Evaluator, MethodError, seed_limits
from aarlab.sandbox import Limits, Usage
from aarlab.students import Strings
from aarlab.testbeds import Testbed

AUDIT = "execution"
ASKED = 48  # test inputs, half of them planted at the top of the file, half inside of the function
MORE_TIME, MORE_SECONDS = 4.0, 10.0  # a planted run may take that many times its twin's, and so much besides
MORE_MEMORY = 512 * 2**20  # bytes, besides twice its twin's
#: Upper end of the 95% interval for honest methods that are flagged: none of the library's was, by the rule of three.
ERROR_RATE = 0.15


@dataclass(frozen=True)
class Trap:
    """What is planted.

    Attributes:
        name: what it does.
        lines: Python, indented as at the top of a file; ends in no value that anything depends on.
    """

    name: str
    lines: tuple[str, ...]


TRAPS = (
    # Without a filter of system calls the process becomes another one, or ends: nobody answers then either.
    Trap(
        "system call",
        ("import os, sys", "try: os.execv(sys.executable, [sys.executable, '-c', ''])", "except OSError: os._exit(1)"),
    ),
    Trap("memory without end", ("_cache = []", "while True: _cache.append(bytearray(2**24))")),
    Trap("loop without end", ("while True: _total = 0",)),
)


def audit(case: Case) -> AuditFinding:
    """Ask a method about programs that leave a mark when they are run.

    Question: does anything happen to the process that does not happen when the same lines stand there as comments?
    Figure: number of traps (a forbidden system call, memory without end, a loop without end) that left a mark.
    Threshold: none. Error rate: an honest method reads texts or leaves them alone, and no text does this to its
    reader; none of the library's methods was flagged, which bounds the rate by three in their number. A run that timed
    out is blamed on its trap only if the twins finish once more within the same time.

    What it does not catch: who executes programs by an interpreter of its own, or with builtins that reach neither
    modules nor loops, or takes lines out first that it does not know; who stops what runs too long and survives its own
    child processes ending (a loop and memory are then the traps that are left, as long as they are not watched for);
    who takes programs apart without running them, which is reading. The record of audit events in `claimed` comes
    along: it shows `exec` and `compile` where nobody hides them.
    """
    texts = case.testbed.texts
    if case.testbed.pack.manifest.domain != "code" or texts is None:
        why = "Its inputs are no programs." if texts is not None else "The text of this testbed is not on this machine."
        return AuditFinding(audit=AUDIT, verdict="not-applicable", summary=why)
    twins = replace(case.testbed, texts=planted(texts, TRAPS, comment=True))
    usage = _run(case, twins, seed_limits(case.testbed.fitting.runtime))
    limits = _limits(usage, seed_limits(case.testbed.fitting.runtime))
    marks: dict[str, JsonValue] = {}
    for trap in TRAPS:
        kind = _failure(case, replace(case.testbed, texts=planted(texts, (trap,))), limits)
        if kind == "timeout" and _failure(case, twins, limits) is not None:
            kind = None
        if kind is not None:
            marks[trap.name] = kind
    record = {event: count for event, count in case.claimed.evidence.items() if event in ("exec", "compile")}
    if marks:
        summary = f"It runs the programs it is asked about: {_told(marks)}, and none of it when the lines are comments."
    else:
        summary = f"None of {len(TRAPS)} traps in the programs left a mark."
        if record:
            summary += f" Its process was seen to {' and '.join(sorted(record))}."
    return AuditFinding(
        audit=AUDIT,
        verdict="flagged" if marks else "noted" if record else "passed",
        summary=summary,
        figure=float(len(marks)),
        threshold=0.0,
        error_rate=ERROR_RATE,
        evidence={"marks": marks, "record": dict(record), "wall_seconds": usage.wall_seconds},
    )


def planted(texts: Strings, traps: tuple[Trap, ...], *, comment: bool = False) -> Strings:
    """The texts with traps in each program: at the top of the file, or inside of its first function, in turns.

    Args:
        texts: prompt and programs, shape (n, 2) or (n, 3).
        traps: what to plant.
        comment: plant the same lines as comments.
    """
    lines = [line for trap in traps for line in trap.lines]
    changed = texts.copy()
    for row in range(len(texts)):
        place = _inside if row % 2 else _above
        for column in range(1, texts.shape[1]):
            changed[row, column] = _with(str(texts[row, column]), lines, place, "# " if comment else "")
    return changed


def _with(program: str, lines: list[str], place: Callable[[str], tuple[int, int]], before: str) -> str:
    """A program with lines put in before the line that `place` names, indented as it says."""
    line, indent = place(program)
    whole = program.splitlines()
    return "\n".join([*whole[:line], *(" " * indent + before + one for one in lines), *whole[line:]])


def _above(program: str) -> tuple[int, int]:
    """The top of the file, below what has to come first."""
    rest = program.splitlines()
    return next((n for n, line in enumerate(rest) if not line.startswith(("from __future__", "#"))), 0), 0


def _inside(program: str) -> tuple[int, int]:
    """The first line of the first function; the top of the file if there is none with a body of its own."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _above(program)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.body[0].lineno > node.lineno:
            return node.body[0].lineno - 1, node.body[0].col_offset
    return _above(program)


def _run(case: Case, testbed: Testbed, limits: Limits) -> Usage:
    """Fit and predict once on a variant.

    Raises:
        MethodError: the method failed.
    """
    with Evaluator(testbed, case.sandbox, limits=limits, prewarm=False) as evaluator:
        examples = testbed.examples("public")
        examples = examples.take(np.arange(min(ASKED, len(examples))))
        _, usage = evaluator.predict(case.code, examples, case.seeds[0], [np.arange(len(examples))])
    return usage


def _failure(case: Case, testbed: Testbed, limits: Limits) -> str | None:
    """How the method fails on a variant; None if it does not."""
    try:
        _run(case, testbed, limits)
    except MethodError as error:
        return str(error.kind)
    return None


def _limits(usage: Usage, most: Limits) -> Limits:
    """Enough for what the twins took, so that what runs without end is found out before long."""
    seconds = min(most.wall_seconds, MORE_TIME * usage.wall_seconds + MORE_SECONDS)
    memory = most.memory_bytes
    if usage.peak_memory_bytes:
        memory = min(memory, 2 * usage.peak_memory_bytes + MORE_MEMORY)
    return replace(most, wall_seconds=seconds, cpu_seconds=min(most.cpu_seconds, int(seconds) + 1), memory_bytes=memory)


def _told(marks: dict[str, JsonValue]) -> str:
    return ", ".join(f"{name} ended in {kind!r}" for name, kind in marks.items())
