"""Stochastic rounding, and silence below the floor."""

import math

from aarlab.evaluation.guards._draws import grid, outcome, uniform
from aarlab.evaluation.guards._types import Answer, Query, State


class RoundedGuard:
    """Rounds accuracy to the step above or below, each with the probability that makes the mean right.

    What it protects: labels of the public split, against a few dozen questions of a team that pools its answers. One
    changed prediction moves the answer with a probability of 1 / (n * step), so single flips tell next to nothing.
    The random number is a keyed hash of which examples were right, so neither the same code nor a comment in it
    averages anything. Whatever is not above the floor is answered with the floor, so random predictions, which
    regression would turn into labels at any step, tell nothing at all.

    What it does not protect: it answers for ever. Flip a random few hundred predictions of a decent method at a time,
    and regress: a hundred answers give a little, two thousand give most labels (`docs/guards.md`). Only a
    budget stops that; `tapered` has one built in. A step with the truth just beside it is a border where one
    answer tells more than elsewhere. Slow over-fitting by honest questions is not stopped either.
    """

    name = "rounded"
    trustworthy = True

    def __init__(self, secret: bytes, step: float, *, censored: bool = True) -> None:
        """Round with a study's secret.

        Args:
            secret: known to the server only.
            step: of the grid, in accuracy; two standard errors of the difference between methods.
            censored: whether to be silent below the floor.
        """
        self._secret, self.resolution, self._censored = secret, step, censored

    def answer(self, query: Query, state: State, best: Query | None) -> tuple[Answer, State]:  # noqa: ARG002
        """The step below or above, or the floor."""
        share = uniform(self._secret, self.name, outcome(query))
        steps = math.floor(round(query.accuracy / self.resolution, 9) + share)
        answer = Answer(grid(steps * self.resolution, self.resolution))
        floor = grid(query.floor, self.resolution)
        if self._censored and answer.accuracy <= floor:
            answer = Answer(floor, censored=True)
        return answer, state.told(answer, query.content_hash)

    def describe(self, state: State) -> str:  # noqa: ARG002
        """How it limits."""
        silent = " What is not above the floor is told as the floor." if self._censored else ""
        return (
            f"Accuracy is rounded at random to steps of {self.resolution:g}, the same way for the same predictions."
            f"{silent} Answers do not run out, so a patient team can read labels off them: watch the budget."
        )
