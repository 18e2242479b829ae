"""What a method sees: a problem, its unlabelled examples, and a student to train.

This is the contract between a method and any student. A method found on one student runs
unchanged on another, as long as it asks only for what both can do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

#: Text as numpy's variable-width strings (`numpy.dtypes.StringDType`), for which there is no narrower type.
Strings: TypeAlias = NDArray[Any]

#: A loss by name ("cross_entropy", "squared") or a function of logits (n,) and targets (n,)
#: that returns each example's loss (n,) and its derivative by the logit (n,).
Loss: TypeAlias = str | Callable[[Floats, Floats], tuple[Floats, Floats]]

#: One place to read hidden states from: (layer, pooling), pooling being "mean" or "last".
Representation: TypeAlias = tuple[int, str]


@dataclass(frozen=True)
class Examples:
    """Inputs without labels, as a student stores them. Treat them as opaque: select, swap, pass on.

    Attributes:
        columns: the student's own arrays, first axis = example.
        swap: whether a pair is presented with its two candidates exchanged, shape (n,).
        pairs: True if each example is a pair of candidates and the label says which is better
            (1 = the second); False if it is one candidate and the label says whether it is right.
        groups: number of the question each example belongs to, shape (n,); None on test inputs.
        texts: as stored, whatever `swap` says: prompt, first, second candidate, shape (n, 3), or prompt,
            candidate, shape (n, 2); None where the testbed's text is not on this machine. `read` gives it.
    """

    columns: Mapping[str, NDArray[Any]]
    swap: NDArray[np.bool_]
    pairs: bool
    groups: NDArray[np.int32] | None = None
    texts: Strings | None = None

    def __len__(self) -> int:
        return len(self.swap)

    def read(self) -> Strings:
        """The text as presented: prompt, first, second candidate, shape (n, 3), or prompt, candidate, shape (n, 2).

        Raises:
            Unsupported: there is no text here.
        """
        if self.texts is None:
            raise Unsupported("read texts here: the operator has to `aarlab testbed fetch` them first")
        if not self.pairs:
            return self.texts
        return np.where(self.swap[:, None], self.texts[:, [0, 2, 1]], self.texts)

    def take(self, which: ArrayLike) -> "Examples":
        """The examples at integer positions, or where a boolean mask of shape (n,) is True."""
        index = np.asarray(which)
        return replace(
            self,
            columns={name: column[index] for name, column in self.columns.items()},
            swap=self.swap[index],
            groups=None if self.groups is None else self.groups[index],
            texts=None if self.texts is None else self.texts[index],
        )

    def swapped(self) -> "Examples":
        """The same pairs with their candidates exchanged: a target t becomes 1 - t.

        Raises:
            ValueError: the examples are single candidates.
        """
        if not self.pairs:
            raise ValueError("only pairs can be swapped; check problem.pairs first")
        return replace(self, swap=~self.swap)


def concatenate(parts: Sequence[Examples]) -> Examples:
    """Examples of several parts, one after the other (for example the train pairs in both orders)."""
    groups = [part.groups for part in parts if part.groups is not None]
    texts = [part.texts for part in parts if part.texts is not None]
    return Examples(
        columns={name: np.concatenate([p.columns[name] for p in parts]) for name in parts[0].columns},
        swap=np.concatenate([p.swap for p in parts]),
        pairs=parts[0].pairs,
        groups=np.concatenate(groups) if len(groups) == len(parts) else None,
        texts=np.concatenate(texts) if len(texts) == len(parts) else None,
    )


@dataclass(frozen=True)
class Margins:
    """The student's zero-shot opinion, before any training. Positive speaks for label 1.

    Attributes:
        templates: log p(1) - log p(0) by template and order of its options, shape (n, templates, 2).
        logprob: mean log-probability per token of the candidate (of the second minus the first,
            on pairs), shape (n,).
    """

    templates: Floats
    logprob: Floats


class Classifier(Protocol):
    """A trained student."""

    def logits(self, examples: Examples) -> Floats:
        """Log-odds of label 1, shape (n,)."""

    def predict(self, examples: Examples) -> Floats:
        """P(label = 1), shape (n,), in [0, 1]. Give this to the evaluation as the predictor."""


class Student(Protocol):
    """The strong model. What it cannot do raises `Unsupported`."""

    @property
    def name(self) -> str:
        """Which student this is: "probe", "lora:MODEL", "remote:PROVIDER/MODEL"."""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it can do, of "finetune", "hidden", "margins"; "texts" where it always comes with text."""

    @property
    def representations(self) -> tuple[Representation, ...]:
        """All (layer, pooling) that `hidden` offers."""

    def hidden(self, examples: Examples, layer: int, pooling: str) -> Floats:
        """Hidden states, shape (n, d); of the second candidate minus the first, on pairs."""

    def margins(self, examples: Examples) -> Margins:
        """Zero-shot margins."""

    def finetune(
        self,
        examples: Examples,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        loss: Loss = "cross_entropy",
        start: Classifier | None = None,
        seed: int = 0,
        representations: Sequence[Representation] | None = None,
        l2: float | None = None,
        hidden_units: int = 0,
        max_steps: int | None = None,
    ) -> Classifier:
        """Train the student.

        Args:
            examples: what to train on, n of them.
            targets: P(label = 1), shape (n,), in [0, 1]; hard labels are 0 and 1.
            weights: weight of each example, shape (n,), non-negative; default all 1.
            loss: see `Loss`.
            start: go on from this classifier instead of from scratch.
            seed: fixes everything random in training.
            representations: what the head reads; default the student's own choice.
            l2: strength of the L2 penalty; default the student's own choice.
            hidden_units: 0 for a linear head, else the width of one hidden layer.
            max_steps: stop early after this many steps.

        Raises:
            ValueError: shapes differ, or targets or weights are out of range.
            Unsupported: the student cannot do what an argument asks for.
        """

    def to_job(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What the sandbox needs to make this student again: JSON with its `kind`, and arrays. No label, no key."""

    @classmethod
    def from_job(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The student that `to_job` told of."""


#: Maps examples that `fit` never saw to P(label = 1), shape (n,), in [0, 1].
Predictor: TypeAlias = Callable[[Examples], ArrayLike]


@dataclass(frozen=True)
class Problem:
    """All that a method is given: `fit(problem: Problem, seed: int) -> Predictor`.

    Attributes:
        student: the strong model.
        train: unlabelled examples, n of them.
        weak_labels: P(label = 1) from the weak supervisor, shape (n,), in [0, 1].
        domain: "chat", "math" or "code".
    """

    student: Student
    train: Examples
    weak_labels: Floats
    domain: str = field(default="chat")

    @property
    def pairs(self) -> bool:
        """True if each example is a pair of candidates."""
        return self.train.pairs


class Unsupported(Exception):
    """The student lacks a capability that a method asked for."""

    def __init__(self, capability: str, capabilities: Sequence[str] = ()) -> None:
        can = f"; it can: {', '.join(capabilities)}" if capabilities else ""
        super().__init__(f"this student cannot {capability}{can}")
        self.capability = capability
        self.capabilities = tuple(capabilities)
