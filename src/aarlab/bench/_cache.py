"""Scores that were computed before, by a hash of everything they depend on."""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import aarlab
from aarlab.testbeds import Testbed
from aarlab.testbeds.storage import data_folder

OF_EVERY_METHOD = ("harness", "methods", "stats", "students")


@cache
def _code() -> str:
    """Hash of what runs beside any method; a method of the library may import its siblings."""
    package = Path(aarlab.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for name in OF_EVERY_METHOD for path in (package / name).rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def key_of(code: str, testbed: Testbed, split: str, part: str, seeds: Sequence[int]) -> str:
    """Name of a score: the same only if nothing it depends on has changed."""
    digest = hashlib.sha256()
    about = [
        _code(),
        code,
        testbed.pack.manifest.model_dump(mode="json"),
        testbed.student.name,
        split,
        part,
        list(seeds),
    ]
    digest.update(json.dumps(about, sort_keys=True).encode())
    digest.update(testbed.weak_labels.tobytes() + testbed.ceiling_predictions.tobytes())
    digest.update(b"" if testbed.texts is None else b"with texts")
    return digest.hexdigest()


def load(key: str) -> tuple[dict[str, Any], NDArray[np.float32]] | None:
    """What was stored under this key: facts, and whether each example was right, shape (seeds, n)."""
    try:
        with np.load(io.BytesIO(_path(key).read_bytes()), allow_pickle=False) as arrays:
            facts: dict[str, Any] = json.loads(arrays["facts"].tobytes())
            return facts, (arrays["halves"] / 2).astype(np.float32)
    except (FileNotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent or damaged: computed again


def store(key: str, facts: dict[str, Any], correct: NDArray[np.float32]) -> None:
    """Store facts and correctness, shape (seeds, n), of 0, 1/2 or 1."""
    path = _path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    halves = np.rint(correct * 2).astype(np.uint8)
    np.savez_compressed(partial, facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8), halves=halves)
    partial.replace(path)


def _path(key: str) -> Path:
    return data_folder() / "bench" / f"{key}.npz"
