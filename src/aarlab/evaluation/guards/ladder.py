"""The Ladder: only who climbs is told how high."""

from aarlab.evaluation.guards._draws import grid
from aarlab.evaluation.guards._types import Answer, Query, State
from aarlab.stats import compare_accuracy

MARGIN = 3.0


class LadderGuard:
    """Tells a new value only if a submission clearly beats the best so far; otherwise, the best.

    Blum and Hardt 2015, "The Ladder: A Reliable Leaderboard for Machine Learning Competitions", in its parameter-free
    form: the margin is in standard errors of the paired difference to the best. Theirs is one standard error over
    examples, which a single lucky flip passes exactly (its difference is 1/n, and so is its error). Here it is three,
    by question. The first to be compared with is the weak supervisor.

    What it protects: the public split as a leaderboard, against any number of adaptive questions. Most answers tell
    one and the same thing, and each new best costs three standard errors.

    What it does not protect: usefulness. A researcher learns nothing of a method that is not the best, and nothing of
    which of two worse ones is better. And whether a submission passed is exact: who hides a good method, submits a
    worse one, and then tries thousands of random changes of the good one may learn which of them is luckiest.
    """

    name = "ladder"
    trustworthy = True

    def __init__(self, step: float) -> None:
        """Tell new bests in steps of this, in accuracy."""
        self.resolution = step

    def answer(self, query: Query, state: State, best: Query | None) -> tuple[Answer, State]:
        """A new best, the best, or the floor."""
        against = query.floor_correct[None] if best is None else best.correct
        difference = compare_accuracy(
            query.correct.mean(axis=0, keepdims=True), against.mean(axis=0, keepdims=True), query.groups
        )
        if difference.difference.estimate > MARGIN * difference.standard_error:
            answer = Answer(grid(query.accuracy, self.resolution))
            return answer, _climbed(state, answer, query)
        floor = grid(query.floor, self.resolution)
        answer = Answer(floor, censored=True) if state.best is None else Answer(state.best, fresh=False)
        return answer, state.counted()

    def describe(self, state: State) -> str:
        """How it limits."""
        found = "None has yet." if state.best is None else f"The best so far was told {state.best:g}."
        return (
            f"Accuracy is told, in steps of {self.resolution:g}, only of a submission that beats the best so far "
            f"(at first, the floor) by {MARGIN:g} standard errors. {found} Answers do not run out."
        )


def _climbed(state: State, answer: Answer, query: Query) -> State:
    """The new best, even where rounding hides that it is better."""
    update = {"best": answer.accuracy, "best_hash": query.content_hash}
    return state.counted().model_copy(update=update)
