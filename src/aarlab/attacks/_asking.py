"""Attacks on the guard, driven over HTTP: ask the live server thousands of times, and read labels off its answers."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from aarlab.api import BudgetExceeded, ResearcherClient
from aarlab.api.schemas import Status, Submission, SubmissionCreate
from aarlab.attacks._evaluators import ballot
from aarlab.attacks._types import Attack, Outcome, Recovered
from aarlab.attacks.live import Arena
from aarlab.attacks.queries import ATTACKS, leak
from aarlab.errors import AarlabError
from aarlab.testbeds import Testbed

TESTBED = "chat-ballots"
SEED = 7
STANDARD_ERRORS = 2.0  # of inflation, beyond which an attack got through
EXACT_QUERIES = 1000  # a little more than there are rows: `exact` then has nothing left to give away
SPEAK = 100  # queries between two words of progress


def query_attacks() -> tuple[Attack, ...]:
    """All attacks by questions, and the budget that stops them by default."""
    asked = tuple(
        Attack(name, "queries", f"{plan.what}.", partial(_ask, name), contrast=True) for name, plan in ATTACKS.items()
    )
    return (
        *asked,
        Attack("over-budget", "queries", "Goes on asking when a default study's budget is spent.", _over_budget),
    )


class HttpOracle:
    """The live server, asked as a researcher asks: one submission after the other."""

    def __init__(self, arena: Arena, client: ResearcherClient, name: str, n: int) -> None:
        """Ask in a researcher's name about `n` rows."""
        self.n, self.asked = n, 0
        self._arena, self._client, self._name = arena, client, name

    def submit(self, guess: NDArray[np.int8], salt: str = "") -> Submission:
        """One scored submission.

        Raises:
            BudgetExceeded: nothing is left.
        """
        self._arena.check()
        wanted = SubmissionCreate(name=self._name, code=ballot(guess, salt))
        submission = self._client.submit(wanted)
        if submission.status not in (Status.SCORED, Status.FAILED):
            submission = self._client.wait(submission.id)
        self.asked += 1
        if self.asked % SPEAK == 0:
            self._arena.say(f"{self._name}: {self.asked} of {self._arena.queries} queries")
        return submission

    def ask(self, guess: NDArray[np.int8], salt: str = "") -> float:
        """The accuracy that is told; see `queries.Oracle`."""
        submission = self.submit(guess, salt)
        if submission.feedback is None:
            raise AarlabError(f"The server could not score submission {submission.id}.", "Its log says why.")
        return submission.feedback.accuracy


def _ask(name: str, arena: Arena, guard: str | None) -> Outcome:
    queries = min(arena.queries, EXACT_QUERIES) if guard == "exact" else arena.queries
    study = arena.new_study(TESTBED, guard, queries)
    testbed = arena.evaluator(study).testbed
    labels = testbed.labels("public")
    oracle = HttpOracle(arena, arena.admit(study, name), name, len(labels))
    leaked = leak(
        name,
        oracle,
        public_method(testbed),
        labels,
        testbed.groups("public"),
        queries,
        np.random.default_rng(SEED),
    )
    recovered = Recovered(
        gained=round(leaked.gained), out_of=leaked.n, low=-round(leaked.chance), high=round(leaked.chance)
    )
    through = not recovered.within_chance or leaked.inflation >= STANDARD_ERRORS * leaked.inflation_se
    informed = arena.operator.study(study)
    flags = ["flagged: probing"] if arena.operator.probing(study) else []
    return Outcome(
        through=through,
        gained=f"{recovered.gained:+d} labels of {leaked.n} in {oracle.asked} queries",
        blocked_by="; ".join(([] if through else [f"guard: {informed.guard}"]) + flags),
        recovered=recovered,
        inflation=leaked.inflation,
        inflation_se=leaked.inflation_se,
        evidence={
            "queries": oracle.asked,
            "knew": leaked.knew,
            "right": leaked.right,
            "departed": leaked.departed,
            "guard_says": informed.guard_says,
        },
    )


def public_method(testbed: Testbed) -> NDArray[np.float64]:
    """P(label = 1) of vanilla on the public rows: what an attacker may have that knows nothing of the labels.

    Whoever has the pack can train it; so can each submission, which is how an attack would run it.
    """
    problem = testbed.problem()
    trained = problem.student.finetune(problem.train, (problem.weak_labels > 0.5).astype(float))
    test = testbed.examples("public")
    return np.asarray(
        (trained.predict(test) + 1 - trained.predict(test.swapped())) / 2 if test.pairs else trained.predict(test)
    )


def _over_budget(arena: Arena, guard: str | None) -> Outcome:
    study = arena.new_study(TESTBED, guard)
    oracle = HttpOracle(
        arena, arena.admit(study, "over-budget"), "over-budget", len(arena.evaluator(study).testbed.rows("public"))
    )
    limit = arena.operator.study(study).evaluations_per_researcher
    rng = np.random.default_rng(SEED)
    guesses = rng.integers(2, size=(2 * limit, oracle.n)).astype(np.int8)
    stopped: BudgetExceeded | None = None
    try:
        for guess in guesses:
            oracle.submit(guess)
    except BudgetExceeded as error:
        stopped = error
    again = oracle.submit(guesses[0])  # what was asked before is answered, and costs nothing
    used = arena.operator.researchers(study)[0].evaluations_used
    through = stopped is None or used > limit
    return Outcome(
        through=through,
        gained=f"{used} answers of {limit} granted",
        blocked_by="" if through else f"budget: query {limit + 1} was refused",
        evidence={"repeated": again.status.value, "spent": None if stopped is None else stopped.spent},
    )
