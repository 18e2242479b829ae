"""How much of a gain is left in a variant: what several audits measure."""

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from aarlab.audits._types import Case
from aarlab.evaluation import Evaluator
from aarlab.evaluation.evaluator import shuffled
from aarlab.stats import compare_accuracy, fieller_interval
from aarlab.students import Examples, concatenate
from aarlab.testbeds import Testbed, correctness

Floats = NDArray[np.float64]

#: Standard errors that a gain must stand above chance, or there is nothing to ask what it is made of.
CLEAR = 3.0


@dataclass(frozen=True)
class Gain:
    """What a method has over chance, on `public`.

    Attributes:
        accuracy: as claimed, mean over seeds.
        chance: of who knows nothing but which label is more frequent.
        standard_error: of their difference, by question and seed.
    """

    accuracy: float
    chance: float
    standard_error: float

    @property
    def size(self) -> float:
        """Accuracy above chance."""
        return self.accuracy - self.chance

    @property
    def clear(self) -> bool:
        """Whether there is a gain to explain."""
        return self.size > CLEAR * self.standard_error

    @property
    def nothing(self) -> str:
        """What to say where there is none."""
        return (
            f"Its accuracy of {self.accuracy:.3f} does not stand clear of chance ({self.chance:.3f}, "
            f"standard error {self.standard_error:.3f}), so there is no gain to explain."
        )


def chance(testbed: Testbed) -> float:
    """Accuracy on `public` without any knowledge: 1/2 on pairs, asked in both orders; else the majority's share."""
    if testbed.pack.pairs:
        return 0.5
    ones = float(testbed.labels("public").mean())
    return max(ones, 1 - ones)


def gain(case: Case) -> Gain:
    """The claimed gain over chance."""
    level = chance(case.testbed)
    compared = compare_accuracy(
        case.claimed.correct, np.full_like(case.claimed.correct[:1], level), case.testbed.groups("public")
    )
    return Gain(case.claimed.mean_accuracy, level, compared.standard_error)


def share_left(case: Case, correct: NDArray[np.floating]) -> tuple[float, dict[str, JsonValue]]:
    """Share of the claimed gain over chance that a variant leaves.

    Args:
        case: the submission; its gain must be clear of chance.
        correct: whether it was right on the variant, mean over runs, shape (n,), in [0, 1].

    Returns:
        The share, 1 where nothing is lost, and its 95% interval (Fieller), None where unbounded: it carries the draw of
        questions and the claim's seeds, not how variants of one kind differ, which two of them do not show.
    """
    level = chance(case.testbed)
    found = fieller_interval(correct[None] - level, case.claimed.correct - level, case.testbed.groups("public"))
    bounded = found.kind == "bounded" and math.isfinite(found.low) and math.isfinite(found.high)
    return found.estimate, {
        "share_low": round(found.low, 4) if bounded else None,
        "share_high": round(found.high, 4) if bounded else None,
    }


def ask(
    case: Case, code: str, seed: int, versions: Callable[[Examples], Sequence[Examples]]
) -> tuple[NDArray[np.float32], Floats]:
    """Train once, and ask about several versions of the public test inputs in one run.

    Args:
        case: the submission.
        code: the method file; the submission's, or another's on the same testbed.
        seed: training seed; shuffles the batches, too.
        versions: makes them of the test inputs.

    Returns:
        Whether each version was answered right, shape (versions, n), and P(label = 1), both orders of a pair
        combined, shape (versions, n).

    Raises:
        MethodError: the method broke its contract.
        SandboxError: the sandbox itself did not work.
    """
    with Evaluator(case.testbed, case.sandbox, workers=case.workers) as evaluator:
        return ask_on(evaluator, code, seed, versions)


def ask_on(
    evaluator: Evaluator, code: str, seed: int, versions: Callable[[Examples], Sequence[Examples]]
) -> tuple[NDArray[np.float32], Floats]:
    """`ask` on a variant of the testbed; arguments and returns as there."""
    testbed = evaluator.testbed
    asked = list(versions(testbed.examples("public")))
    orders = [part for version in asked for part in ((version, version.swapped()) if version.pairs else (version,))]
    everything = concatenate(orders)
    flat, _ = evaluator.predict(code, everything, seed, shuffled(len(everything), seed))
    answers = flat.reshape(len(asked), -1, len(asked[0]))
    combined = answers[:, 0] if answers.shape[1] == 1 else 0.5 + (answers[:, 0] - answers[:, 1]) / 2
    return correctness(combined, testbed.labels("public")), np.asarray(combined)


def seed_of(case: Case, place: int) -> int:
    """One of the case's fresh seeds; they are used in turn."""
    return case.seeds[place % len(case.seeds)]


def rng_of(case: Case, audit: str) -> np.random.Generator:
    """Randomness of an audit: fixed by the case's seeds, which nobody could choose."""
    return np.random.default_rng([*case.seeds, *audit.encode()])


def claims_elicitation(code: str) -> bool:
    """Whether a method says of itself that it does without its teacher: `ELICITATION = True` at the top level.

    The code is read, never run. Raises nothing: what cannot be read claims nothing.
    """
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "ELICITATION" for target in node.targets)
        and isinstance(node.value, ast.Constant)
        and node.value.value is True
        for node in body
    )
