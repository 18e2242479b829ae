"""No guard at all, for demonstrations."""

from aarlab.evaluation.guards._types import Answer, Query, State


class ExactGuard:
    """Tells the exact accuracy of everything.

    What it protects: nothing. Whoever flips one prediction and asks again reads one label, and 0.6 n random questions
    solve for all n. It is there to show what the others are for; a study under it is marked.
    """

    name = "exact"
    trustworthy = False

    def __init__(self, examples: int) -> None:
        """Tell accuracies on that many examples."""
        self.resolution = 1 / examples

    def answer(self, query: Query, state: State, best: Query | None) -> tuple[Answer, State]:  # noqa: ARG002
        """The accuracy."""
        answer = Answer(query.accuracy)
        return answer, state.told(answer, query.content_hash)

    def describe(self, state: State) -> str:  # noqa: ARG002
        """That it does not limit."""
        return "Accuracy is told exactly. Labels can be read off such answers, so public scores here prove nothing."
