"""Activation packs: a data set reduced to numbers, for a student that never runs the language model.

A pack is a folder:

    manifest.json      what it is: source, licence, recipe, weights, checksums of the other files
    inputs.npz         what a student reads: hidden states (int8), zero-shot margins; no labels
    weak_inputs.npz    what the weak supervisor reads: hashed n-gram counts
    operator.npz       labels and questions; never leaves the operator zone

Rows are in one order throughout. Packs hold no text and no ids of their source.
"""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy import sparse

from aarlab.errors import AarlabError
from aarlab.students import Representation

FORMAT = 1
FILES = ("inputs.npz", "weak_inputs.npz", "operator.npz")


class TestbedError(AarlabError):
    """A testbed or pack is missing, damaged, or unresolved."""

    __test__ = False  # the name is the field's; it is no pytest class


class Manifest(BaseModel):
    """What a pack is and how it was made.

    Attributes:
        format: version of the pack format.
        name: name of the testbed.
        domain: chat, math or code.
        task: what one example is.
        question: what the label answers, for people.
        examples: number of rows.
        groups: number of questions.
        source: data set, citation, licence and checksum of the source file.
        recipe: script, seed, weights and versions that computed the numbers.
        representations: the (layer, pooling) in `hidden`, in order.
        default_representations: those a head reads unless told otherwise.
        templates: names of the zero-shot templates in `margins`, in order.
        weak_labels: labels of `teacher` that the weak supervisor is trained on.
        splits: share of the questions by split; sums to 1.
        draw: seed that assigns questions to splits and picks the weak supervisor's labels.
        checksums: sha256 by file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    name: str
    domain: Literal["chat", "math", "code"]
    task: Literal["pair", "pointwise"]
    question: str
    examples: int
    groups: int
    source: dict[str, str]
    recipe: dict[str, Any]
    representations: tuple[Representation, ...]
    default_representations: tuple[Representation, ...]
    templates: tuple[str, ...]
    weak_labels: int
    splits: dict[str, float]
    draw: int
    checksums: dict[str, str] = {}


@dataclass(frozen=True)
class Inputs:
    """What a student reads; label-free.

    Attributes:
        hidden: hidden states in steps of `scale`, of the second candidate minus the first on pairs,
            shape (n, representations, d), int8.
        scale: size of one step, shape (representations, d), float32.
        margins: zero-shot margins, shape (n, templates, 2), float16.
        logprob: mean log-probability per token, shape (n,), float16.
    """

    hidden: NDArray[np.int8]
    scale: NDArray[np.float32]
    margins: NDArray[np.float16]
    logprob: NDArray[np.float16]


@dataclass(frozen=True)
class Pack:
    """A pack in memory.

    Attributes:
        manifest: what it is.
        inputs: the student's.
        weak_inputs: hashed n-gram counts; on pairs row 2i is the first candidate of pair i, row
            2i + 1 the second.
        labels: shape (n,), int8, 0 or 1.
        groups: question of each row, shape (n,), int32.
    """

    manifest: Manifest
    inputs: Inputs
    weak_inputs: sparse.csr_matrix
    labels: NDArray[np.int8]
    groups: NDArray[np.int32]


def quantise(hidden: NDArray[np.floating], clip: float = 99.9) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round hidden states to int8, each dimension with its own step.

    Language models have a few dimensions hundreds of times larger than the rest, so a step shared by
    a whole vector would round the others to nothing.

    Args:
        hidden: shape (n, representations, d).
        clip: percentile of the magnitude that maps to the largest int8.

    Returns:
        Steps of shape (n, representations, d) and their sizes, shape (representations, d).
    """
    largest = np.percentile(np.abs(hidden), clip, axis=0)
    scale = (np.maximum(largest, 1e-6) / 127).astype(np.float32)
    return np.clip(np.rint(hidden / scale), -127, 127).astype(np.int8), scale


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_pack(pack: Pack, folder: Path) -> None:
    """Write a pack; the folder appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        np.savez_compressed(made / "inputs.npz", **asdict(pack.inputs))
        counts = pack.weak_inputs
        np.savez_compressed(
            made / "weak_inputs.npz",
            data=counts.data.astype(np.uint8),
            indices=counts.indices.astype(np.uint16 if counts.shape[1] <= 2**16 else np.int32),
            indptr=counts.indptr.astype(np.int32),
            shape=np.array(counts.shape),
        )
        np.savez_compressed(made / "operator.npz", labels=pack.labels, groups=pack.groups)
        checksums = {name: _sha256(made / name) for name in FILES}
        manifest = pack.manifest.model_copy(update={"checksums": checksums})
        (made / "manifest.json").write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            old = Path(scratch) / "old"
            folder.replace(old)
        made.replace(folder)


def read_pack(folder: Path) -> Pack:
    """Read a pack and check it against its manifest.

    Raises:
        TestbedError: a file is missing, or is not the one the manifest names.
    """
    try:
        manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    except FileNotFoundError:
        raise TestbedError(f"There is no pack in {folder}.", "`aarlab doctor` lists the testbeds there are.") from None
    except (ValidationError, json.JSONDecodeError) as error:
        raise TestbedError(f"{folder / 'manifest.json'} is damaged: {error}", "Restore the folder.") from None
    if manifest.format != FORMAT:
        raise TestbedError(f"{folder} has pack format {manifest.format}, this version reads {FORMAT}.")
    for name in FILES:
        path = folder / name
        if not path.is_file() or _sha256(path) != manifest.checksums.get(name):
            raise TestbedError(
                f"{path} is missing or differs from its checksum.",
                "Restore it (git checkout), or compute the pack again with its recipe.",
            )
    with np.load(folder / "inputs.npz") as arrays:
        inputs = Inputs(**{name: arrays[name] for name in ("hidden", "scale", "margins", "logprob")})
    with np.load(folder / "weak_inputs.npz") as arrays:
        parts = (arrays["data"].astype(np.float64), arrays["indices"].astype(np.int32), arrays["indptr"])
        counts = sparse.csr_matrix(parts, shape=tuple(arrays["shape"]))
    with np.load(folder / "operator.npz") as arrays:
        labels, groups = arrays["labels"], arrays["groups"]
    return Pack(manifest, inputs, counts, labels, groups)


def packs_folder() -> Path:
    """Where the packs that come with aarlab lie."""
    return Path(str(resources.files("aarlab.testbeds"))) / "packs"


def pack_names() -> list[str]:
    """Names of the packs that come with aarlab."""
    return sorted(path.parent.name for path in packs_folder().glob("*/manifest.json"))
