"""Noisy answers while they last, then a ladder."""

from aarlab.evaluation.guards._draws import changed, grid, normal, outcome
from aarlab.evaluation.guards._types import Answer, Query, State

ANSWERS = 110  # nine researchers with twelve evaluations each, the baseline, and one to spare
NOISE = 0.25  # standard deviation, in steps
SAME = 0.5  # in steps
MARGIN = 2.0  # in steps
SHOWN = 0.005


class TaperedGuard:
    """Tells every submission's accuracy with noise until a study had its share; then only clear new bests.

    What it protects: labels of the public split, against a whole team that pools its answers and asks adaptively for
    as long as it likes. All answers are made from accuracy plus normal noise, keyed by which examples were right.
    (1) The first 110 are told. (2) Whatever is, with its noise, not above the floor is answered with the floor: random
    predictions tell nothing. (3) What hardly differs from the best is told as the best: single flips and comments tell
    nothing, nor do repetitions. (4) From the 111th on a submission is told only if it beats the best, noise
    included, by two steps: a ladder (Blum and Hardt 2015) whose rungs are noisy, so that hiding a good method
    and trying thousands of changes of it finds luck in the noise, not in the labels.

    What it does not protect: the first 110 answers have to tell honest methods apart, and so they tell something to
    anyone. The best attack known to us flips random halves of the predictions that a method itself is least
    sure of, and regresses; what it gains is in `docs/guards.md`, with what less noise or more answers would
    cost. Nor does it protect against one good method in 110 being chosen for its luck: that is what `private` is for.
    After the 110th answer an honest researcher hardly learns anything more.
    """

    name = "tapered"
    trustworthy = True

    def __init__(self, secret: bytes, step: float, *, noise: float = NOISE, answers: int = ANSWERS) -> None:
        """Answer with a study's secret.

        Args:
            secret: known to the server only.
            step: two standard errors of the difference between methods, in accuracy.
            noise: standard deviation, in steps.
            answers: how many are told before the ladder.
        """
        self._secret, self.resolution, self._noise, self._answers = secret, step, noise * step, answers

    def answer(self, query: Query, state: State, best: Query | None) -> tuple[Answer, State]:
        """A noisy accuracy, the best, or the floor."""
        if best is not None and state.best is not None and self._same(query, best):
            return Answer(state.best, fresh=False), state
        noisy = query.accuracy + self._noise * normal(self._secret, self.name, outcome(query))
        answer, floor = Answer(grid(noisy, SHOWN)), grid(query.floor, SHOWN)
        if state.answers < self._answers:
            answer = answer if answer.accuracy > floor else Answer(floor, censored=True)
        elif answer.accuracy < self._next(state, floor):
            # One answer for all, below the floor too: else the floor would be a border to read labels at.
            answer = Answer(floor, censored=True) if state.best is None else Answer(state.best, fresh=False)
        return answer, state.told(answer, query.content_hash)

    def _same(self, query: Query, best: Query) -> bool:
        return bool(changed(query, best) <= SAME * self.resolution * query.correct.shape[1])

    def _next(self, state: State, floor: float) -> float:
        return (floor if state.best is None else state.best) + MARGIN * self.resolution

    def describe(self, state: State) -> str:
        """How it limits, and how many answers are left."""
        left = max(0, self._answers - state.answers)
        return (
            f"Accuracy is told with noise (standard deviation {self._noise:.2g}), the same for the same predictions. "
            "What is not above the floor is told as the floor; what hardly differs from the study's best, as the best. "
            f"{left} of {self._answers} answers are left for the whole study. Afterwards only a submission that beats "
            f"the best by {MARGIN * self.resolution:.2g} is told anything new."
        )
