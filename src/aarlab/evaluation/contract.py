"""Check a method against its contract, for authors: what an evaluation asks of it, and what audits will look for.

Nothing here looks at a label, so it may be run as often as one likes.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aarlab.evaluation._result import MethodError
from aarlab.evaluation.evaluator import Evaluator, shuffled
from aarlab.students import concatenate

Verdict = Literal["holds", "note", "broken"]

IMPORTABLE = {"numpy", "scipy", "sklearn", "joblib", "threadpoolctl", *sys.stdlib_module_names}
OF_AARLAB = ("aarlab.students", "aarlab.methods")
# They can be imported, but what they do cannot be done in the sandbox.
IN_VAIN = {"subprocess", "socket", "multiprocessing", "http", "urllib", "ctypes", "asyncio", "ssl", "webbrowser"}
SAMPLE = 200  # test inputs asked for
TOLERANCE = 1e-5  # of a probability: linear algebra in float32 depends a little on the shape of a batch
ORDER_CONSISTENT = 0.95


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what the contract asks.
        verdict: "holds", "note" (allowed, but look at it) or "broken".
        found: what was seen, with figures.
        advice: how to mend it; empty if there is nothing to mend.
    """

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def check_method(code: str, evaluator: Evaluator, seed: int = 0) -> Iterator[Check]:
    """Check a method file, the cheap things first; ends early where nothing after makes sense.

    Args:
        code: the method file.
        evaluator: of the testbed and student to try it on.
        seed: training seed.

    Raises:
        SandboxError: the sandbox itself did not work.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as error:
        yield Check("is Python", "broken", str(error), "Mend the line it names.")
        return
    yield _signature(tree)
    yield _imports(tree)
    yield from _behaviour(code, evaluator, seed)


def _signature(tree: ast.Module) -> Check:
    name = "defines fit(problem, seed)"
    found = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "fit"), None)
    advice = "Define `def fit(problem: Problem, seed: int) -> Predictor` at the top level."
    if found is None:
        return Check(name, "broken", "there is no function `fit`", advice)
    arguments = found.args
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    accepted = len(arguments.posonlyargs) + len(arguments.args)
    if accepted < 2 or required > 2 or any(default is None for default in arguments.kw_defaults):
        return Check(name, "broken", f"`fit` on line {found.lineno} cannot be called with two arguments", advice)
    return Check(name, "holds", f"line {found.lineno}")


def _imports(tree: ast.Module) -> Check:
    name = "imports what the sandbox has"
    modules: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append(("." * node.level + (node.module or ""), node.lineno))
    missing = [f"{module} (line {line})" for module, line in modules if not _importable(module)]
    if missing:
        allowed = "numpy, scipy, sklearn, the standard library, aarlab.students, aarlab.methods"
        return Check(name, "broken", f"not there: {', '.join(missing)}", f"Use {allowed} only.")
    in_vain = [f"{module} (line {line})" for module, line in modules if module.partition(".")[0] in IN_VAIN]
    if in_vain:
        return Check(name, "note", ", ".join(in_vain), "The sandbox has no network and starts no programs; do without.")
    return Check(name, "holds", f"{len(modules)} imports")


def _importable(module: str) -> bool:
    root = module.partition(".")[0]
    return root in IMPORTABLE or any(module == name or module.startswith(f"{name}.") for name in OF_AARLAB)


def _behaviour(code: str, evaluator: Evaluator, seed: int) -> Iterator[Check]:
    test = evaluator.testbed.examples("public")
    test = test.take(np.random.default_rng(seed).permutation(len(test))[:SAMPLE])
    count = len(test)
    asked = concatenate([test, test.swapped()]) if test.pairs else test
    try:
        first, usage = evaluator.predict(code, asked, seed, shuffled(len(asked), 0, 64))
    except MethodError as error:
        yield Check("runs and predicts", "broken", f"{error.kind}: {error.message}", error.advice)
        return
    constant = float(np.ptp(first[:count])) == 0
    yield Check(
        "runs and predicts",
        "note" if constant else "holds",
        f"{count} test inputs"
        + (f", each {first[0]:.3g}" if constant else f", mean P(label = 1) {first[:count].mean():.2f}"),
        "The answer does not depend on the input." if constant else "",
    )
    again, _ = evaluator.predict(code, asked, seed, shuffled(len(asked), 0, 64))
    yield _same("is deterministic under one seed", first, again, "Draw all random numbers from `seed`.")
    batched, _ = evaluator.predict(code, asked, seed, shuffled(len(asked), 1, 7))
    yield _same(
        "answers each input by itself",
        first,
        batched,
        "Predict from the input alone: no statistics of the batch, no memory of earlier ones.",
    )
    if test.pairs:
        yield _orders(first[:count], first[count:])
    limits = evaluator.limits
    share = usage.wall_seconds / limits.wall_seconds
    memory = usage.peak_memory_bytes >> 20
    yield Check(
        "keeps to time and memory",
        "note" if share > 0.5 else "holds",
        f"{usage.wall_seconds:.1f} of {limits.wall_seconds:g} s a seed, {memory} of {limits.memory_bytes >> 20} MiB",
        "A slower machine may cut it off: make it faster." if share > 0.5 else "",
    )


@dataclass(frozen=True)
class Difference:
    """How two answers to the same inputs differ.

    Attributes:
        largest: difference in P(label = 1).
        flipped: inputs whose verdict differs.
        of: inputs.
    """

    largest: float
    flipped: int
    of: int

    @property
    def same(self) -> bool:
        """Whether it is no more than linear algebra does by itself."""
        return self.largest <= TOLERANCE or (self.flipped == 0 and self.largest <= 100 * TOLERANCE)

    @property
    def found(self) -> str:
        """In words, with figures."""
        return f"largest difference {self.largest:.1g}, {self.flipped} of {self.of} verdicts differ"


def differ(first: np.ndarray, second: np.ndarray) -> Difference:
    """Compare P(label = 1) of the same inputs, shapes (n,), asked about in two ways."""
    flipped = int(((first > 0.5) != (second > 0.5)).sum())
    return Difference(float(np.abs(first - second).max()), flipped, len(first))


def _same(name: str, first: np.ndarray, second: np.ndarray, advice: str) -> Check:
    difference = differ(first, second)
    same = difference.same
    return Check(name, "holds" if same else "broken", difference.found, "" if same else advice)


def _orders(given: np.ndarray, swapped: np.ndarray) -> Check:
    consistent = float(np.mean((given > 0.5) == (swapped < 0.5)))
    verdict: Verdict = "holds" if consistent >= ORDER_CONSISTENT else "note"
    advice = "" if verdict == "holds" else "Average both orders: (p(x) + 1 - p(x.swapped())) / 2."
    return Check("answers pairs in both orders", verdict, f"the same verdict on {consistent:.0%} of pairs", advice)
