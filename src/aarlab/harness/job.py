"""The files of a job, as the sandbox mounts them: written by the evaluation, read by the harness."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aarlab.students import Examples, ProbeAssets, ProbeStudent, Problem

PROBLEM = "problem.npz"
METHOD = "method.py"


def write_problem(path: Path, problem: Problem) -> None:
    """Write what `fit` is given: unlabelled train examples, weak labels, the student's assets.

    Raises:
        TypeError: the student is no `ProbeStudent`.
    """
    if not isinstance(problem.student, ProbeStudent):
        raise TypeError(f"no file format for {type(problem.student).__name__}")
    assets = problem.student.assets
    about = {
        "domain": problem.domain,
        "pairs": problem.pairs,
        "representations": assets.representations,
        "default": assets.default,
        "templates": assets.templates,
    }
    groups = problem.train.groups
    np.savez(
        path,
        about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
        scale=assets.scale,
        weak_labels=problem.weak_labels,
        groups=np.zeros(0, np.int32) if groups is None else groups,
        **{f"column:{name}": column for name, column in problem.train.columns.items()},  # type: ignore[arg-type]
    )


def read_problem(path: Path) -> Problem:
    """The problem that `write_problem` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        about: dict[str, Any] = json.loads(arrays["about"].tobytes())
        columns = _columns(arrays)
        groups = arrays["groups"]
        scale, weak_labels = arrays["scale"], arrays["weak_labels"]
    count = len(weak_labels)
    assets = ProbeAssets(
        representations=tuple((int(layer), str(pooling)) for layer, pooling in about["representations"]),
        default=tuple((int(layer), str(pooling)) for layer, pooling in about["default"]),
        scale=scale,
        templates=tuple(about["templates"]),
    )
    train = Examples(columns, np.zeros(count, np.bool_), about["pairs"], groups if len(groups) else None)
    return Problem(ProbeStudent(assets), train, weak_labels, about["domain"])


def pack_batch(examples: Examples) -> bytes:
    """Examples as bytes, without their questions."""
    buffer = io.BytesIO()
    columns: dict[str, NDArray[Any]] = {f"column:{name}": column for name, column in examples.columns.items()}
    np.savez(buffer, swap=examples.swap, pairs=np.array(examples.pairs), **columns)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack_batch(payload: bytes) -> Examples:
    """The examples that `pack_batch` packed."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        return Examples(_columns(arrays), arrays["swap"], bool(arrays["pairs"]))


def _columns(arrays: Any) -> dict[str, NDArray[Any]]:
    return {name.removeprefix("column:"): arrays[name] for name in arrays.files if name.startswith("column:")}


@dataclass(frozen=True)
class Failure:
    """What the harness says when the method fails; `kind` is a value of `evaluation.FailureKind`."""

    kind: str
    message: str
