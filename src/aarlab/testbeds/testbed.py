"""A testbed: a pack with its splits drawn, its weak labels made, its floor and ceiling measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aarlab.stats import PGREstimate, compare_accuracy, estimate_pgr
from aarlab.students import Examples, Problem, Strings, Student
from aarlab.testbeds.fitting import Fitting
from aarlab.testbeds.pack import Pack, Part, TestbedError

Split = Literal["teacher", "train", "public", "private"]
SPLITS: tuple[Split, ...] = ("teacher", "train", "public", "private")
SCORED: tuple[Split, ...] = ("public", "private")


def correctness(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Whether P(label = 1) is on the label's side: 1, 0, or 1/2 on an exact tie. Shapes (..., n) and (n,)."""
    guess = (np.sign(probabilities - 0.5) + 1) / 2
    return np.asarray(1 - np.abs(guess - labels), dtype=np.float32)


@dataclass(frozen=True)
class Anchors:
    """Floor and ceiling accuracy on one split, in [0, 1], and their standard errors by question.

    The ceiling is None with a student that cannot be trained.
    """

    floor: float
    floor_se: float
    ceiling: float | None
    ceiling_se: float | None


@dataclass(frozen=True)
class Testbed:
    """A research problem, ready to score methods on. Holds labels: operator zone only.

    Attributes:
        pack: inputs and labels.
        fitting: the student.
        texts: text of all rows as `Examples.texts`; None where it was not fetched.
        drawn: rows by split and part.
        weak_labels: P(label = 1) from the weak supervisor for every row, shape (n,).
        ceiling_predictions: P(label = 1) of the student trained on ground truth, by seed, for every
            row, shape (seeds, n); only `public` and `private` count. No seeds if it cannot be trained.
    """

    __test__ = False

    pack: Pack = field(repr=False)
    fitting: Fitting
    texts: Strings | None = field(repr=False)
    drawn: Mapping[tuple[Split, Part], NDArray[np.intp]] = field(repr=False)
    weak_labels: NDArray[np.float64] = field(repr=False)
    ceiling_predictions: NDArray[np.float64] = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the testbed."""
        return self.pack.manifest.name

    @property
    def student(self) -> Student:
        """The student."""
        return self.fitting.student

    def parts(self, split: Split) -> tuple[Part, ...]:
        """The parts of a split that have rows: "id", and "ood" where there is one."""
        return tuple(part for (of, part), rows in self.drawn.items() if of == split and len(rows))

    def rows(self, split: Split, part: Part = "id") -> NDArray[np.intp]:
        """Rows of the pack in one part of a split.

        Raises:
            TestbedError: there are none.
        """
        rows = self.drawn.get((split, part))
        if rows is None or not len(rows):
            raise TestbedError(
                f"{self.name} has no {part} part of `{split}`.", f"It has: {', '.join(self.parts(split)) or 'nothing'}."
            )
        return rows

    def examples(self, split: Split, part: Part = "id") -> Examples:
        """The unlabelled inputs; questions are numbered anew, and only on `train`."""
        groups = None
        if split == "train":
            groups = np.unique(self.groups(split), return_inverse=True)[1].astype(np.int32)
        return all_examples(self.pack, self.fitting, self.texts, groups, self.rows(split, part))

    def labels(self, split: Split, part: Part = "id") -> NDArray[np.int8]:
        """Ground truth, shape (n,)."""
        return self.pack.labels[self.rows(split, part)]

    def groups(self, split: Split, part: Part = "id") -> NDArray[np.int32]:
        """Question of each row, shape (n,)."""
        return self.pack.groups[self.rows(split, part)]

    def floor_correct(self, split: Split, part: Part = "id") -> NDArray[np.float32]:
        """Whether the weak supervisor is right, shape (n,)."""
        return correctness(self.weak_labels[self.rows(split, part)], self.labels(split, part))

    def ceiling_correct(self, split: Split, part: Part = "id") -> NDArray[np.float32]:
        """Whether the student trained on ground truth is right, shape (seeds, n)."""
        return correctness(self.ceiling_predictions[:, self.rows(split, part)], self.labels(split, part))

    def problem(self) -> Problem:
        """What a method is given."""
        weak = self.weak_labels[self.rows("train")]
        return Problem(self.student, self.examples("train"), weak, self.pack.manifest.domain)

    def anchors(self, split: Split, part: Part = "id") -> Anchors:
        """Floor and ceiling, with standard errors by question."""
        groups = self.groups(split, part)
        floor = self.floor_correct(split, part)[None]
        nothing = np.zeros_like(floor)
        below = compare_accuracy(floor, nothing, groups)
        if not len(self.ceiling_predictions):
            return Anchors(below.difference.estimate, below.standard_error, None, None)
        above = compare_accuracy(self.ceiling_correct(split, part), nothing, groups)
        return Anchors(
            floor=below.difference.estimate,
            floor_se=below.standard_error,
            ceiling=above.difference.estimate,
            ceiling_se=above.standard_error,
        )

    def estimate(self, split: Split, correct: NDArray[np.floating], part: Part = "id", seed: int = 0) -> PGREstimate:
        """PGR of predictions that were right where `correct` says, shape (seeds, n).

        Raises:
            TestbedError: the student has no ceiling.
        """
        if not len(self.ceiling_predictions):
            raise TestbedError(f"{self.student.name} cannot be trained, so it has no ceiling and no PGR.")
        return estimate_pgr(
            correct,
            self.floor_correct(split, part),
            self.ceiling_correct(split, part),
            self.groups(split, part),
            np.random.default_rng(seed),
        )


def all_examples(
    pack: Pack,
    fitting: Fitting,
    texts: Strings | None,
    groups: NDArray[np.int32] | None = None,
    rows: NDArray[np.intp] | None = None,
) -> Examples:
    """Rows of a pack, all unless named, as a student is given them."""
    index: Any = slice(None) if rows is None else rows
    return Examples(
        columns={name: column[index] for name, column in fitting.columns.items()},
        swap=np.zeros(len(pack.labels[index]), dtype=np.bool_),
        pairs=pack.pairs,
        groups=groups,
        texts=None if texts is None else texts[index],
    )
