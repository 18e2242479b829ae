"""What a guard is asked, what it answers, and what it remembers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Query:
    """A submission's result on the public split, before anyone is told. Operator only.

    Attributes:
        correct: whether each example was answered right (1/2 on a tie), shape (seeds, n).
        groups: question of each example, shape (n,).
        floor: accuracy of the weak supervisor, in [0, 1].
        floor_correct: whether the weak supervisor is right, shape (n,).
        content_hash: of the code.
        predictions: P(label = 1), shape (seeds, n).
    """

    correct: NDArray[np.float32]
    groups: NDArray[np.int32]
    floor: float
    floor_correct: NDArray[np.float32]
    content_hash: str
    predictions: NDArray[np.float32]

    @property
    def accuracy(self) -> float:
        """Exact accuracy, mean over seeds."""
        return float(self.correct.mean(dtype=np.float64))


@dataclass(frozen=True)
class Answer:
    """What researchers are told of a submission.

    Attributes:
        accuracy: as told, in [0, 1].
        censored: True: not above the floor; `accuracy` is then the floor's, whatever the submission's is.
        fresh: False: nothing new is said of this submission, since it does not clearly beat the study's best, or
            hardly differs from it; `accuracy` is then the best's. Not a score of its own: do not rank by it.
    """

    accuracy: float
    censored: bool = False
    fresh: bool = True


class State(BaseModel):
    """What a guard remembers of a study between answers. Kept by the server; the operator's.

    Attributes:
        answers: how many submissions were answered that could have told something.
        spent: how much is gone of what runs out, in the guard's own unit.
        best: highest accuracy told so far.
        best_hash: code that it was told of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: int = 0
    spent: int = 0
    best: float | None = None
    best_hash: str | None = None

    def counted(self, spent: int = 0) -> "State":
        """After one more answer that was not a new best."""
        return self.model_copy(update={"answers": self.answers + 1, "spent": self.spent + spent})

    def told(self, answer: Answer, content_hash: str, spent: int = 0) -> "State":
        """After one more answer, which is the best if none was better."""
        state = self.counted(spent)
        if answer.censored or not answer.fresh or (self.best is not None and answer.accuracy <= self.best):
            return state
        return state.model_copy(update={"best": answer.accuracy, "best_hash": content_hash})


class Guard(Protocol):
    """Decides what a study's researchers learn of a public score; one for all of them, since they share answers.

    Answers are pure functions of their arguments and the study's secret. The caller keeps the state, and keeps every
    answer, so that the same code is never asked about twice.

    Attributes:
        name: in `GUARDS`.
        resolution: the difference in accuracy that an answer can be trusted to show.
        trustworthy: False if answers are exact: then public scores of the study prove nothing.
    """

    @property
    def name(self) -> str:
        """In `GUARDS`."""

    @property
    def resolution(self) -> float:
        """The difference in accuracy that an answer can be trusted to show."""

    @property
    def trustworthy(self) -> bool:
        """False if answers are exact: then public scores of the study prove nothing."""

    def answer(self, query: Query, state: State, best: Query | None) -> tuple[Answer, State]:
        """What is told of a submission, and what to remember.

        Args:
            query: the submission's result.
            state: as the last answer left it; `State()` at first.
            best: the query of `state.best_hash`; None if that is None.
        """

    def describe(self, state: State) -> str:
        """How it limits, and what is left of what runs out, in words for researchers."""
