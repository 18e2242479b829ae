"""Thresholdout: one half of the questions answers, the other checks it."""

import numpy as np

from aarlab.evaluation.guards._draws import grid, laplace, outcome, uniform
from aarlab.evaluation.guards._types import Answer, Query, State

BUDGET = 40  # answers from the held half


class ThresholdoutGuard:
    """Answers with the accuracy on a reference half of the questions, for as long as the held half agrees.

    Dwork, Feldman, Hardt, Pitassi, Reingold, Roth 2015, "The reusable holdout". The secret splits the questions.
    If the two halves differ by more than a noisy threshold, the answer comes from the held half with Laplace noise, and
    that runs out; afterwards it is silence. Below the floor it is silent too.

    What it protects: labels of the held half, against any number of adaptive questions, and honest researchers
    against believing in what fits the reference half alone.

    What it does not protect: the reference half. Its accuracy is told (rounded to half a step), so its labels leak as
    with rounding, and half of the labels is half of the score. Either half has the noise of fewer questions:
    figures are coarser than those of the other guards. Whoever wants can use up the held half for everybody.
    """

    name = "thresholdout"
    trustworthy = True

    def __init__(self, secret: bytes, step: float) -> None:
        """Split and draw noise by a study's secret.

        Args:
            secret: known to the server only.
            step: two standard errors of the difference between methods; threshold and noise follow from it.
        """
        self._secret, self.resolution = secret, step
        self._threshold, self._noise = 3 * step, step / 4

    def answer(self, query: Query, state: State, best: Query | None) -> tuple[Answer, State]:  # noqa: ARG002
        """The reference half's accuracy, or the held half's with noise."""
        if state.spent >= BUDGET:
            told = grid(query.floor, self.resolution) if state.best is None else state.best
            return Answer(told, censored=state.best is None, fresh=False), state.counted()
        held = self._held(query)
        by_example = query.correct.mean(axis=0, dtype=np.float64)
        value, check = float(by_example[~held].mean()), float(by_example[held].mean())
        about = outcome(query)
        threshold = self._threshold + 2 * self._noise * laplace(self._secret, f"threshold:{state.spent}")
        spent = int(abs(value - check) > threshold + 4 * self._noise * laplace(self._secret, "compare", about))
        if spent:
            value = check + self._noise * laplace(self._secret, "answer", about)
        floor = grid(query.floor, self.resolution)
        answer = Answer(grid(value, self.resolution / 2))
        if answer.accuracy <= floor:
            answer = Answer(floor, censored=True)
        return answer, state.told(answer, query.content_hash, spent)

    def _held(self, query: Query) -> np.ndarray:
        """Which examples belong to the held half, shape (n,)."""
        questions, index = np.unique(query.groups, return_inverse=True)
        draws = [uniform(self._secret, "half", str(question).encode()) for question in questions.tolist()]
        held = np.zeros(len(questions), dtype=bool)
        held[np.argsort(draws)[: len(questions) // 2]] = True
        return held[index]

    def describe(self, state: State) -> str:
        """How it limits, and what is left of the held half."""
        return (
            "Accuracy is that on a secret half of the questions, as long as the other half agrees; else the other "
            f"half's, with noise. {max(0, BUDGET - state.spent)} of {BUDGET} such looks are left for the whole study; "
            "after the last one nothing more is told."
        )
