"""A small testbed of programs with their text."""

from dataclasses import replace

import numpy as np
import pytest

from aarlab.testbeds import Testbed

OPERATIONS = ("a + {n}", "a - {n}", "a * {n}", "max(a, {n})", "a % {n}", "abs(a - {n})")
BODIES = (
    "def work(a):\n    return {right}",
    "def work(a):\n    # {n}\n    result = {right}\n    return result",
    'def work(a):\n    """Work."""\n    return {right}',
)


def program_texts(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A question with examples in it and two programs, of which the one that the label names is right."""
    rows = []
    for row, (label, group) in enumerate(zip(labels, groups, strict=True)):
        n = 2 + int(group) % 7
        expression = OPERATIONS[int(group) % len(OPERATIONS)].format(n=n)
        value = eval(expression, {"a": 5, "max": max, "abs": abs})
        right = BODIES[row % len(BODIES)].format(right=expression, n=n)
        wrong = BODIES[(row + 1) % len(BODIES)].format(right=f"({expression}) + 1", n=n)
        prompt = f"Write a function work.\n\nExamples:\n>>> work(5)\n{value}"
        rows.append((prompt, wrong, right) if label else (prompt, right, wrong))
    return np.array(rows, dtype=np.dtypes.StringDType())


@pytest.fixture(scope="session")
def programs(small_testbed: Testbed) -> Testbed:
    """The small testbed, its inputs being programs with text."""
    pack = small_testbed.pack
    coded = replace(pack, manifest=pack.manifest.model_copy(update={"name": "programs", "domain": "code"}))
    return replace(small_testbed, pack=coded, texts=program_texts(pack.labels, pack.groups))
