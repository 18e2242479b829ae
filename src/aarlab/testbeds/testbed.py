"""A testbed: a pack with its splits drawn, its weak labels made, its floor and ceiling measured."""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aarlab.stats import PGREstimate, compare_accuracy, estimate_pgr
from aarlab.students import Examples, ProbeAssets, ProbeStudent, Problem
from aarlab.testbeds.pack import Pack, TestbedError, pack_names, packs_folder, read_pack
from aarlab.testbeds.weak import weak_supervision

log = logging.getLogger(__name__)

Split = Literal["teacher", "train", "public", "private"]
SPLITS: tuple[Split, ...] = ("teacher", "train", "public", "private")
SCORED: tuple[Split, ...] = ("public", "private")
CEILING_SEEDS = 16
CALIBRATION = "calibration.npz"


def correctness(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Whether P(label = 1) is on the label's side: 1, 0, or 1/2 on an exact tie. Shapes (..., n) and (n,)."""
    guess = (np.sign(probabilities - 0.5) + 1) / 2
    return np.asarray(1 - np.abs(guess - labels), dtype=np.float32)


@dataclass(frozen=True)
class Anchors:
    """Floor and ceiling accuracy on one split, in [0, 1], and their standard errors by question."""

    floor: float
    floor_se: float
    ceiling: float
    ceiling_se: float


@dataclass(frozen=True)
class Testbed:
    """A research problem, ready to score methods on. Holds labels: operator zone only.

    Attributes:
        pack: inputs and labels.
        rows: rows by split.
        weak_labels: P(label = 1) from the weak supervisor for every row, shape (n,).
        ceiling_predictions: P(label = 1) of the student trained on ground truth, by seed, for every
            row, shape (seeds, n); rows of `train` are its own training data.
    """

    __test__ = False

    pack: Pack = field(repr=False)
    rows: dict[Split, NDArray[np.intp]] = field(repr=False)
    weak_labels: NDArray[np.float64] = field(repr=False)
    ceiling_predictions: NDArray[np.float64] = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the testbed."""
        return self.pack.manifest.name

    @cached_property
    def assets(self) -> ProbeAssets:
        """What the probe student knows of its language model."""
        manifest = self.pack.manifest
        return ProbeAssets(
            representations=manifest.representations,
            default=manifest.default_representations,
            scale=self.pack.inputs.scale,
            templates=manifest.templates,
        )

    def examples(self, split: Split) -> Examples:
        """The unlabelled inputs of a split; questions are numbered anew, and only on `train`."""
        groups = None
        if split == "train":
            groups = np.unique(self.groups(split), return_inverse=True)[1].astype(np.int32)
        return _examples(self.pack, self.rows[split], groups)

    def labels(self, split: Split) -> NDArray[np.int8]:
        """Ground truth of a split, shape (n,)."""
        return self.pack.labels[self.rows[split]]

    def groups(self, split: Split) -> NDArray[np.int32]:
        """Question of each row of a split, shape (n,)."""
        return self.pack.groups[self.rows[split]]

    def floor_correct(self, split: Split) -> NDArray[np.float32]:
        """Whether the weak supervisor is right, shape (n,)."""
        return correctness(self.weak_labels[self.rows[split]], self.labels(split))

    def ceiling_correct(self, split: Split) -> NDArray[np.float32]:
        """Whether the student trained on ground truth is right, shape (seeds, n)."""
        return correctness(self.ceiling_predictions[:, self.rows[split]], self.labels(split))

    def problem(self) -> Problem:
        """What a method is given."""
        weak = self.weak_labels[self.rows["train"]]
        return Problem(ProbeStudent(self.assets), self.examples("train"), weak, self.pack.manifest.domain)

    def anchors(self, split: Split) -> Anchors:
        """Floor and ceiling of a split, with standard errors by question."""
        groups = self.groups(split)
        floor, ceiling = self.floor_correct(split)[None], self.ceiling_correct(split)
        nothing = np.zeros_like(floor)
        floor_difference = compare_accuracy(floor, nothing, groups)
        ceiling_difference = compare_accuracy(ceiling, nothing, groups)
        return Anchors(
            floor=floor_difference.difference.estimate,
            floor_se=floor_difference.standard_error,
            ceiling=ceiling_difference.difference.estimate,
            ceiling_se=ceiling_difference.standard_error,
        )

    def estimate(self, split: Split, correct: NDArray[np.floating], seed: int = 0) -> PGREstimate:
        """PGR of predictions that were right where `correct` says, shape (seeds, n)."""
        return estimate_pgr(
            correct,
            self.floor_correct(split),
            self.ceiling_correct(split),
            self.groups(split),
            np.random.default_rng(seed),
        )


def _examples(pack: Pack, rows: NDArray[np.intp], groups: NDArray[np.int32] | None) -> Examples:
    inputs = pack.inputs
    return Examples(
        columns={
            "hidden": inputs.hidden[rows],
            "margins": inputs.margins[rows],
            "logprob": inputs.logprob[rows],
        },
        swap=np.zeros(len(rows), dtype=np.bool_),
        pairs=pack.manifest.task == "pair",
        groups=groups,
    )


def draw_splits(pack: Pack, rng: np.random.Generator) -> dict[Split, NDArray[np.intp]]:
    """Assign questions to splits at random, by the manifest's shares; no question crosses a split."""
    questions = rng.permutation(np.unique(pack.groups))
    shares = np.array([pack.manifest.splits[split] for split in SPLITS])
    ends = np.rint(np.cumsum(shares / shares.sum()) * len(questions)).astype(int)[:-1]
    parts = np.split(questions, ends)
    return {split: np.flatnonzero(np.isin(pack.groups, part)) for split, part in zip(SPLITS, parts, strict=True)}


def make_testbed(pack: Pack, draw: int | None = None, *, ceiling_seeds: int = CEILING_SEEDS) -> Testbed:
    """Draw splits, train the weak supervisor, and measure floor and ceiling.

    Args:
        pack: inputs and labels.
        draw: seed of the draw; default the manifest's.
        ceiling_seeds: training seeds of the ceiling.
    """
    rng = np.random.default_rng(pack.manifest.draw if draw is None else draw)
    rows = draw_splits(pack, rng)
    if pack.manifest.weak_labels > len(rows["teacher"]):
        raise TestbedError(
            f"{pack.manifest.name} wants {pack.manifest.weak_labels} labels, `teacher` has {len(rows['teacher'])} rows."
        )
    labelled = rng.choice(rows["teacher"], pack.manifest.weak_labels, replace=False)
    weak = weak_supervision(pack, labelled)
    testbed = Testbed(pack, rows, weak, np.empty((0, len(weak))))
    student = ProbeStudent(testbed.assets)
    train, everything = testbed.examples("train"), _examples(pack, np.arange(len(weak)), None)
    ceilings = []
    for seed in range(ceiling_seeds):
        log.info("ceiling of %s: seed %d of %d", pack.manifest.name, seed + 1, ceiling_seeds)
        ceilings.append(student.finetune(train, testbed.labels("train"), seed=seed).predict(everything))
    return Testbed(pack, rows, weak, np.stack(ceilings))


def write_calibration(testbed: Testbed, folder: Path) -> None:
    """Keep weak labels and ceiling predictions of the manifest's own draw beside the pack."""
    np.savez_compressed(
        folder / CALIBRATION,
        weak_labels=testbed.weak_labels.astype(np.float32),
        ceiling_predictions=testbed.ceiling_predictions.astype(np.float16),
        pack=np.array(testbed.pack.manifest.checksums["operator.npz"]),
    )


def load_testbed(name: str) -> Testbed:
    """A testbed that comes with aarlab, with its stored floor and ceiling.

    Raises:
        TestbedError: there is no such testbed, or its pack is damaged.
    """
    if name not in pack_names():
        raise TestbedError(f"There is no testbed {name!r}.", f"There are: {', '.join(pack_names()) or 'none'}.")
    folder = packs_folder() / name
    pack = read_pack(folder)
    rows = draw_splits(pack, np.random.default_rng(pack.manifest.draw))
    try:
        with np.load(folder / CALIBRATION) as arrays:
            if str(arrays["pack"]) != pack.manifest.checksums["operator.npz"]:
                raise TestbedError(f"{folder / CALIBRATION} belongs to another pack.", "Run its recipe again.")
            weak, ceiling = arrays["weak_labels"], arrays["ceiling_predictions"]
    except FileNotFoundError:
        raise TestbedError(f"{folder / CALIBRATION} is missing.", "Restore it (git checkout).") from None
    return Testbed(pack, rows, weak.astype(np.float64), ceiling.astype(np.float64))
