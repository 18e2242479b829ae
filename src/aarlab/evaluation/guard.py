"""The leakage guard: what a researcher learns of its score on the public split.

Exact scores leak labels: flip one prediction, look whether the score moved, and after n queries all n labels
are known. A guard stands between the exact accuracy and everybody who submits.
"""

import hashlib
import hmac
import math
from typing import Protocol


class Guard(Protocol):
    """Limits what a score reveals.

    Attributes:
        resolution: smallest difference in accuracy that an answer can show.
    """

    @property
    def resolution(self) -> float:
        """Smallest difference in accuracy that an answer can show."""

    def answer(self, accuracy: float, content_hash: str) -> float:
        """Accuracy as the researcher is told it, in [0, 1]; always the same for the same code."""

    def describe(self) -> str:
        """How it limits, in words for researchers."""


class RoundedGuard:
    """Stochastic rounding of accuracy to a grid, keyed by the code.

    What it protects: the labels of the public split, and with them the meaning of the public score,
    against a whole team that pools its answers. On n examples one changed prediction moves the answer
    with a probability of 1 / (n * resolution), and then by a whole step, so a single flip tells next to
    nothing. The random number is a keyed hash of the code: without the study's secret it cannot be
    predicted, and asking again with the same code gives the same answer, so repeating averages nothing.

    What it does not protect: a change of the code that changes no prediction (a comment, say) draws
    anew, so many submissions of one method do average the rounding out. That costs an evaluation each;
    the budget bounds it, not the guard. Nor does it stop slow over-fitting by many honest queries. The
    private split, which answers no one, is for both.
    """

    def __init__(self, secret: bytes, resolution: float = 0.02) -> None:
        """Round with a study's secret.

        Args:
            secret: known to the server only.
            resolution: step of the grid, in accuracy; in (0, 1].
        """
        if not 0 < resolution <= 1:
            raise ValueError(f"resolution must be in (0, 1], not {resolution}")
        self._secret = secret
        self._resolution = resolution

    @property
    def resolution(self) -> float:
        """Step of the grid, in accuracy."""
        return self._resolution

    def answer(self, accuracy: float, content_hash: str) -> float:
        """The grid point below or above, each with the probability that makes the mean right."""
        digest = hmac.new(self._secret, f"guard:{content_hash}".encode(), hashlib.sha256).digest()
        uniform = int.from_bytes(digest[:6], "big") / 2**48  # in [0, 1), exactly
        steps = math.floor(round(accuracy / self._resolution, 9) + uniform)
        return min(1.0, round(steps * self._resolution, 10))

    def describe(self) -> str:
        """How it limits, in words for researchers."""
        return (
            f"Accuracy is rounded at random to steps of {self._resolution:g}, always the same way for the same code. "
            "Exact figures and the private split stay with the operator."
        )
