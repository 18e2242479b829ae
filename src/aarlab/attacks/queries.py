"""Attacks by questions: ask often, and read labels off what is told.

Each starts from what anybody may have (nothing, or a public method's predictions) and ends with a guess at the labels.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aarlab.evaluation.guards import Answer, Guard, Query, State
from aarlab.stats import compare_accuracy
from aarlab.testbeds import Testbed

Guess = NDArray[np.int8]
Floats = NDArray[np.float64]

#: "nothing", or the P(label = 1) of a method that everybody knows.
Knowledge = Literal["nothing", "a method"]

SURE = 0.995  # as sure of a label as a method may make an attacker
RUN = 60  # equal answers in a row after which an attacker takes the guard to be silent


class Oracle(Protocol):
    """Whoever answers: a guard in this process, or a server.

    Attributes:
        n: examples of the public split.
    """

    @property
    def n(self) -> int:
        """Examples of the public split."""

    def ask(self, guess: Guess, salt: str = "") -> float:
        """The accuracy that is told of these predictions.

        Args:
            guess: predictions, 0 or 1, shape (n,).
            salt: another one is other code with the same predictions.
        """


Attack = Callable[[Oracle, Floats, int, np.random.Generator], Guess]


def single_flips(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Flip one prediction at a time, and see whether more is told."""
    rows = rng.permutation(oracle.n)[: queries - 1]
    return _one_by_one(oracle, _hard(base), rows, _right(oracle, base), repeats=1)


def resubmission_averaging(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Flip one prediction at a time, and ask eight times with another comment each, to average noise away."""
    rows = rng.permutation(oracle.n)[: (queries - 1) // 8]
    return _one_by_one(oracle, _hard(base), rows, _right(oracle, base), repeats=8)


def random_subset_boosting(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Ask about random predictions, and let those that are told to be better than most vote (Blum and Hardt 2015)."""
    asked = rng.integers(2, size=(queries, oracle.n)).astype(np.int8)
    told = np.array([oracle.ask(guess) for guess in asked])
    signs = np.sign(told - np.median(told))
    votes = signs @ (2.0 * asked - 1)
    return np.where(votes == 0, _hard(base), votes > 0).astype(np.int8)


def linear_programming(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Ask about random predictions, and find the labels that fit best (Dinur and Nissim 2003), by a linear program."""
    from scipy import sparse
    from scipy.optimize import linprog

    n = oracle.n
    queries = min(queries, n)  # 0.6 n exact answers are enough, and more make the program slow
    asked = rng.integers(2, size=(queries, n)).astype(np.int8)
    told = np.array([oracle.ask(guess) for guess in asked])
    if np.ptp(told) == 0:
        return _hard(base)
    # Accuracy is the mean of guess * label + (1 - guess) * (1 - label): linear in the labels.
    left = np.eye(queries)
    solved: Any = linprog(  # type: ignore[call-overload]  # its stubs know no sparse matrices
        np.concatenate([np.zeros(n), np.ones(2 * queries)]),
        A_eq=sparse.csr_matrix(np.hstack([2.0 * asked - 1, left, -left])),
        b_eq=told * n - (n - asked.sum(axis=1)),
        bounds=[(0, 1)] * n + [(0, None)] * (2 * queries),
        method="highs-ipm",
    )
    return _hard(base) if solved.x is None else (solved.x[:n] > 0.5).astype(np.int8)


def least_squares(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Ask about random predictions, and regress what is told on them."""
    asked = rng.integers(2, size=(queries, oracle.n)).astype(np.int8)
    told = np.array([oracle.ask(guess) for guess in asked])
    if np.ptp(told) == 0:
        return _hard(base)
    belief = _posterior(asked.astype(np.float64), told * oracle.n, np.full(oracle.n, 0.5))
    return np.where(belief == 0, _hard(base), belief > 0).astype(np.int8)


def base_flips_regression(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Flip a random eighth of a method's predictions at a time, and regress, knowing only how good it is."""
    guess = _hard(base)
    right = float(np.clip(oracle.ask(guess), 0.5, SURE))
    return _regress(oracle, guess, np.full(oracle.n, right), np.arange(oracle.n), 0.125, queries - 1, rng)


def informed_regression(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Flip a random half of the predictions that a method is least sure of, and regress, weighing how sure it was."""
    count = int(np.clip(2.5 * queries, 0.2 * oracle.n, 0.5 * oracle.n))
    return _regress(oracle, _hard(base), _right(oracle, base), _unsure(base)[:count], 0.5, queries - 1, rng)


def border_search(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Flip more and more until another step is told, halve to the border, and flip single predictions there."""
    guess = _hard(base)
    order = rng.permutation(oracle.n)
    start = oracle.ask(guess)

    def at(count: int) -> Guess:
        return _flip(guess, order[:count])

    low, high = 0, oracle.n // 4
    asked = 1
    while high - low > 1 and asked < queries // 2:
        middle = (low + high) // 2
        low, high = (middle, high) if oracle.ask(at(middle)) == start else (low, middle)
        asked += 1
    border, right = at(low), _right(oracle, base)
    right[order[:low]] = 1 - right[order[:low]]
    rows = rng.permutation(oracle.n)[: queries - asked]
    return _one_by_one(oracle, border, rows, right, repeats=1)


def greedy_hill_climbing(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Flip a few of the predictions that a method is least sure of; go on from there if more is told."""
    guess, unsure = _hard(base), _unsure(base)[: oracle.n // 2]
    best = oracle.ask(guess)
    for _ in range(queries - 1):
        size = int(rng.choice([1, 1, 3, 10, 30, 100]))
        changed = _flip(guess, rng.choice(unsure, min(size, len(unsure)), replace=False))
        told = oracle.ask(changed)
        if told > best:
            guess, best = changed, told
    return guess


def sandbagging(oracle: Oracle, base: Floats, queries: int, rng: np.random.Generator) -> Guess:
    """Spend what runs out on rubbish, set a low best, then try changes of a better method that was held back."""
    guess = _hard(base)
    rubbish = min(queries // 4, 150)
    for _ in range(rubbish):
        oracle.ask(rng.integers(2, size=oracle.n).astype(np.int8))
    oracle.ask(_flip(guess, rng.choice(oracle.n, oracle.n // 16, replace=False)))
    rows, right = _unsure(base)[: int(0.3 * oracle.n)], np.full(oracle.n, 0.55)  # whoever asks about it, shows it
    return _regress(oracle, guess, right, rows, 0.5, queries - rubbish - 1, rng, patient=True)


@dataclass(frozen=True)
class Plan:
    """An attack and what it starts from.

    Attributes:
        attack: the function.
        knows: what an attacker has beforehand.
    """

    attack: Attack
    knows: Knowledge

    @property
    def what(self) -> str:
        """One line."""
        return (self.attack.__doc__ or "").partition("\n")[0].rstrip(".")


#: By name, the simplest first.
ATTACKS: dict[str, Plan] = {
    "single-flips": Plan(single_flips, "a method"),
    "resubmission-averaging": Plan(resubmission_averaging, "a method"),
    "random-subset-boosting": Plan(random_subset_boosting, "nothing"),
    "linear-programming": Plan(linear_programming, "nothing"),
    "least-squares": Plan(least_squares, "nothing"),
    "border-search": Plan(border_search, "a method"),
    "greedy-hill-climbing": Plan(greedy_hill_climbing, "a method"),
    "base-flips-regression": Plan(base_flips_regression, "a method"),
    "informed-regression": Plan(informed_regression, "a method"),
    "sandbagging": Plan(sandbagging, "a method"),
}


class GuardedOracle:
    """A guard in this process, over real labels: what a server does with a submission, without running any."""

    def __init__(self, guard: Guard, testbed: Testbed) -> None:
        """Answer about the public split of a testbed."""
        self.guard, self.state = guard, State()
        self.labels, self.groups = testbed.labels("public"), testbed.groups("public")
        self.floor_correct = testbed.floor_correct("public")
        self.n = len(self.labels)
        self._best: Query | None = None
        self._told: dict[str, Answer] = {}

    def ask(self, guess: Guess, salt: str = "") -> float:
        """The accuracy that is told of these predictions; the same code is told the same."""
        code = hashlib.sha256(guess.tobytes() + salt.encode()).hexdigest()
        correct = (guess == self.labels).astype(np.float32)[None]
        return self.tell(code, correct, guess.astype(np.float32)[None]).accuracy

    def tell(self, code: str, correct: NDArray[np.float32], predictions: NDArray[np.float32]) -> Answer:
        """The answer to a submission with this content hash; arrays of shape (seeds, n)."""
        if code not in self._told:
            floor = float(self.floor_correct.mean())
            query = Query(correct, self.groups, floor, self.floor_correct, code, predictions)
            self._told[code], self.state = self.guard.answer(query, self.state, self._best)
            if self.state.best_hash == code:
                self._best = query
        return self._told[code]


@dataclass(frozen=True)
class Leak:
    """What an attack got out of an oracle. Holds labels' traces: operator only.

    Attributes:
        attack: its name.
        queries: how many it was allowed.
        n: examples.
        knew: labels right in what it started from: a method's predictions, or coin tosses.
        right: labels that it has right at the end.
        departed: labels in which its guess differs from what it started with.
        chance: by how much `gained` is off zero, at most, in 95% of cases, if each departure is right by a coin's toss.
        inflation_se: standard error of what it started from, public minus private accuracy, by question.
    """

    attack: str
    queries: int
    n: int
    knew: int
    right: int
    departed: int
    chance: float
    inflation_se: float

    @property
    def gained(self) -> int:
        """Labels right at the end, less those that were known."""
        return self.right - self.knew

    @property
    def inflation(self) -> float:
        """`gained` as accuracy.

        So much more does the guess score, if submitted, than the same method where it has no labels to recite, as on
        `private`.
        """
        return self.gained / self.n


def leak(
    name: str,
    oracle: Oracle,
    base: Floats,
    labels: NDArray[np.integer],
    groups: NDArray[np.integer],
    queries: int,
    rng: np.random.Generator,
) -> Leak:
    """Run an attack and count what it got.

    Args:
        name: of `ATTACKS`.
        oracle: whom to ask.
        base: P(label = 1) of a public method, shape (n,); an attack that knows nothing is given coin tosses instead.
        labels: the truth, shape (n,).
        groups: question of each example, shape (n,).
        queries: how many it may ask.
        rng: decides everything random.
    """
    plan = ATTACKS[name]
    start = base if plan.knows == "a method" else rng.random(len(labels))
    guess = plan.attack(oracle, start, queries, rng)
    before = (_hard(start) == labels).astype(np.float32)[None]
    departed = int((guess != _hard(start)).sum())
    return Leak(
        attack=name,
        queries=queries,
        n=len(labels),
        knew=int(before.sum()),
        right=int((guess == labels).sum()),
        departed=departed,
        chance=1.96 * math.sqrt(departed),
        inflation_se=math.sqrt(2) * compare_accuracy(before, np.zeros_like(before), groups).standard_error,
    )


def _hard(base: Floats) -> Guess:
    return (base > 0.5).astype(np.int8)


def _flip(guess: Guess, rows: NDArray[np.intp] | np.intp) -> Guess:
    flipped = guess.copy()
    flipped[rows] ^= 1
    return flipped


def _right(oracle: Oracle, base: Floats) -> Floats:
    """How likely a method is right on each example: as often as is told, and the more likely the surer it is."""
    accuracy = float(np.clip(oracle.ask(_hard(base)), 0.55, 0.95))
    rank = np.argsort(_unsure(base)) / max(1, oracle.n - 1)
    return np.asarray(np.clip(0.5 + (2 * accuracy - 1) * rank, 0.51, SURE))


def _unsure(base: Floats) -> NDArray[np.intp]:
    """Examples, the one that a method is least sure of first."""
    return np.argsort(np.abs(base - 0.5), kind="stable")


def _one_by_one(oracle: Oracle, guess: Guess, rows: NDArray[np.intp], right: Floats, repeats: int) -> Guess:
    """Flip single predictions; flip for good what is then more likely wrong than right."""
    told = [float(np.mean([oracle.ask(_flip(guess, row), f"comment {i}") for i in range(repeats)])) for row in rows]
    said = _before_silence(told)
    wrong = right < 0.5
    if len(set(told[:said])) > 1:
        gain = _posterior(np.eye(said), np.array(told[:said]) * oracle.n, right[rows[:said]])
        wrong[rows[:said]] = gain > 0
    return _flip(guess, np.flatnonzero(wrong))


def _before_silence(told: list[float]) -> int:
    """How many answers there were before one was repeated to the end, if that was long."""
    tail = next((i for i, value in enumerate(reversed(told)) if value != told[-1]), len(told))
    return len(told) - tail if tail >= RUN else len(told)


def _regress(
    oracle: Oracle,
    guess: Guess,
    right: Floats,
    rows: NDArray[np.intp],
    share: float,
    queries: int,
    rng: np.random.Generator,
    *,
    patient: bool = False,
) -> Guess:
    """Flip a random share of some rows at a time; flip for good what is then more likely wrong than right."""
    flips, told = [], []
    for _ in range(queries):
        flips.append(rng.random(len(rows)) < share)
        told.append(oracle.ask(_flip(guess, rows[flips[-1]])))
    said = len(told) if patient else _before_silence(told)
    if len(set(told[:said])) < 2:
        return guess
    gain = _posterior(np.array(flips[:said], dtype=np.float64), np.array(told[:said]) * oracle.n, right[rows])
    return _flip(guess, rows[gain > 0])


def _posterior(flips: Floats, told: Floats, right: Floats) -> Floats:
    """Expected gain of each flip, in labels, given how many labels each set of flips was told to get right.

    Bayesian linear regression: a flip loses a label where the guess was right and gains one where it was not.

    Args:
        flips: shape (queries, rows).
        told: labels right, shape (queries,).
        right: how likely each guess is right beforehand, shape (rows,).
    """
    before, variance = 1 - 2 * right, 4 * right * (1 - right)
    centred = flips - flips.mean(axis=0)
    surprise = told - told.mean() - centred @ before
    signal = centred * variance
    covariance = signal @ centred.T
    noise = max(float(np.var(surprise)) - float(np.trace(covariance)) / len(told), 0.01)
    weights = np.linalg.solve(covariance + noise * np.eye(len(told)), surprise)
    return np.asarray(before + signal.T @ weights)
