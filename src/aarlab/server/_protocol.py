"""What the server needs of an evaluator."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aarlab.audits import Audits
from aarlab.evaluation import Evaluation
from aarlab.testbeds import Anchors, Split


class Evaluates(Protocol):
    """Scores and audits methods on one testbed; called from several threads at a time."""

    @property
    def testbed_name(self) -> str:
        """Name of the testbed."""

    def evaluate(self, code: str, split: Split, seeds: Sequence[int]) -> Evaluation:
        """Run a method with each seed and score it.

        Raises:
            MethodError: the method broke its contract.
            SandboxUnavailable: it could not be run, for no fault of its own.
        """

    def audit(self, code: str, claimed: Evaluation, seeds: Sequence[int]) -> Audits:
        """Put all audits to a method that has a public score.

        Raises:
            SandboxUnavailable: it could not be run, for no fault of its own.
        """

    def anchors(self, split: Split) -> Anchors:
        """Floor and ceiling, with standard errors by question."""

    def groups(self, split: Split) -> NDArray[np.int32]:
        """Question of each test example, shape (n,)."""

    def floor_correct(self, split: Split) -> NDArray[np.float32]:
        """Whether the weak supervisor is right, shape (n,)."""

    def guard_step(self) -> float:
        """Step in accuracy that the guard's answers on `public` should have."""

    def vanilla_code(self) -> str:
        """Code of the baseline."""


#: The evaluator of a study, by the name of its testbed and the study's secret, which draws the splits.
#: Raises KeyError or TestbedError if there is no such testbed.
Evaluators = Callable[[str, bytes], Evaluates]
