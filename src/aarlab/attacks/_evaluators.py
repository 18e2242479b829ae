"""What scores submissions in the arena: the real evaluator, which remembers; and one that counts ballots.

A ballot is a submission that is nothing but its predictions, for attacks on the guard that ask thousands of times. What
a guard answers depends on predictions alone, and no sandbox is under attack there: so our own attack code brings its
predictions as text. All else of the server is the real one.
"""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aarlab.audits.auditor import Auditor
from aarlab.evaluation import Evaluation, FailureKind, MethodError
from aarlab.sandbox import Sandbox
from aarlab.stats import diagnose, estimate_pgr
from aarlab.testbeds import Anchors, Part, Split, Testbed, correctness

#: Testbeds that are scored by ballots, by the testbed whose rows and labels they have.
BALLOTS = {"chat-ballots": "chat"}

RESAMPLES = 20  # nobody looks at the interval
SURE = 0.9


class Recorded(Auditor):
    """An evaluator that remembers what it gave, so that what an attack gained is measured exactly."""

    def __init__(self, testbed: Testbed, sandbox: Sandbox) -> None:
        super().__init__(testbed, sandbox)
        self.given: dict[tuple[str, Split], Evaluation] = {}
        self.looks: Counter[tuple[str, Split]] = Counter()

    def evaluate(self, code: str, split: Split, seeds: Sequence[int], part: Part = "id") -> Evaluation:
        """See `Evaluator.evaluate`."""
        self.looks[code, split] += 1
        result = super().evaluate(code, split, seeds, part)
        self.given[code, split] = result
        return result


def ballot(guess: NDArray[np.integer], salt: str = "") -> str:
    """A submission that predicts these labels of the public rows, shape (n,); `salt` is a comment in it."""
    packed = base64.b16encode(np.packbits(guess.astype(np.uint8)).tobytes()).decode()
    return f"# {salt}\nBALLOT = {packed!r}\n"


class Ballots(Recorded):
    """Counts ballots, and remembers none. For what is no ballot, such as the baseline, the weak supervisor answers."""

    def __init__(self, testbed: Testbed, sandbox: Sandbox) -> None:
        super().__init__(testbed, sandbox)
        self._anchors: dict[tuple[Split, Part], Anchors] = {}

    def anchors(self, split: Split, part: Part = "id") -> Anchors:
        """See `Evaluator.anchors`; asked at each of thousands of answers, so computed once."""
        if (split, part) not in self._anchors:
            self._anchors[split, part] = super().anchors(split, part)
        return self._anchors[split, part]

    def evaluate(self, code: str, split: Split, seeds: Sequence[int], part: Part = "id") -> Evaluation:
        """See `Evaluator.evaluate`; seeds change nothing."""
        testbed = self.testbed
        rows = testbed.rows(split, part)
        found = re.search(r"^BALLOT = '(.*)'$", code, re.MULTILINE)
        weak = testbed.weak_labels[rows]
        guess = weak > 0.5 if found is None else _unpacked(found[1], len(rows))
        predictions = np.tile(np.where(guess, SURE, 1 - SURE), (len(seeds), 1))
        correct = correctness(predictions, testbed.labels(split, part))
        anchors = self.anchors(split, part)
        return Evaluation(
            testbed=testbed.name,
            student=testbed.student.name,
            split=split,
            part=part,
            seeds=tuple(seeds),
            accuracy=tuple(float(a) for a in correct.mean(axis=1)),
            floor=anchors.floor,
            floor_se=anchors.floor_se,
            ceiling=anchors.ceiling,
            ceiling_se=anchors.ceiling_se,
            estimate=estimate_pgr(
                correct,
                testbed.floor_correct(split, part),
                testbed.ceiling_correct(split, part),
                testbed.groups(split, part),
                np.random.default_rng(0),
                resamples=RESAMPLES,
            ),
            diagnostics=diagnose(predictions, 1 - predictions, predictions, weak),
            correct=correct,
            predictions=predictions.astype(np.float32),
            wall_seconds=0.0,
            cpu_seconds=0.0,
            peak_memory_bytes=0,
            sandbox=self.sandbox.name,
            isolated=self.sandbox.trusted_isolation,
        )


def _unpacked(text: str, count: int) -> NDArray[np.bool_]:
    try:
        bits = np.unpackbits(np.frombuffer(base64.b16decode(text), dtype=np.uint8))
    except (ValueError, binascii.Error):
        bits = np.zeros(0, np.uint8)
    if len(bits) < count:
        raise MethodError(FailureKind.WRONG_SHAPE, "It is no ballot of this testbed.", "Send one bit a row.")
    return bits[:count].astype(bool)
