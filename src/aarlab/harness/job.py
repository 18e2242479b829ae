"""The files of a job, as the sandbox mounts them: written by the evaluation, read by the harness."""

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aarlab.students import Examples, Problem, Strings, make_student

PROBLEM = "problem.npz"
METHOD = "method.py"


def write_problem(path: Path, problem: Problem) -> None:
    """Write what `fit` is given: unlabelled train examples, weak labels, what makes the student."""
    about, arrays = problem.student.to_job()
    groups = problem.train.groups
    content = {
        "about": _as_bytes({"domain": problem.domain, "student": about}),
        "weak_labels": problem.weak_labels,
        "groups": np.zeros(0, np.int32) if groups is None else groups,
        **{f"student:{name}": array for name, array in arrays.items()},
        **_packed(problem.train),
    }
    np.savez(path, **content)  # type: ignore[arg-type]


def read_problem(path: Path) -> Problem:
    """The problem that `write_problem` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        about: dict[str, Any] = json.loads(arrays["about"].tobytes())
        groups = arrays["groups"]
        train = replace(_unpacked(arrays), groups=groups if len(groups) else None)
        student = make_student(about["student"], _named(arrays, "student:"))
        return Problem(student, train, arrays["weak_labels"], about["domain"])


def pack_batch(examples: Examples) -> bytes:
    """Examples as bytes, without their questions."""
    buffer = io.BytesIO()
    np.savez(buffer, **_packed(examples))  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack_batch(payload: bytes) -> Examples:
    """The examples that `pack_batch` packed."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        return _unpacked(arrays)


def _packed(examples: Examples) -> dict[str, NDArray[Any]]:
    texts = {} if examples.texts is None else {"texts": pack_strings(examples.texts)}
    return {
        "swap": examples.swap,
        "pairs": np.array(examples.pairs),
        **texts,
        **{f"column:{name}": column for name, column in examples.columns.items()},
    }


def _unpacked(arrays: Any) -> Examples:
    texts = None
    pairs = bool(arrays["pairs"])
    if "texts" in arrays.files:
        texts = unpack_strings(arrays["texts"], (len(arrays["swap"]), 3 if pairs else 2))
    return Examples(_named(arrays, "column:"), arrays["swap"], pairs, texts=texts)


def _named(arrays: Any, prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}


def _as_bytes(document: object) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)


def pack_strings(texts: Strings) -> NDArray[np.uint8]:
    """Strings as JSON in bytes: numpy itself stores variable-width ones only by pickling."""
    return _as_bytes(texts.ravel().tolist())


def unpack_strings(packed: NDArray[np.uint8], shape: tuple[int, ...]) -> Strings:
    """The strings that `pack_strings` packed.

    Raises:
        ValueError: they are not strings, or not as many as `shape` wants.
    """
    return np.array(json.loads(packed.tobytes()), dtype=np.dtypes.StringDType()).reshape(shape)


@dataclass(frozen=True)
class Failure:
    """What the harness says when the method fails; `kind` is a value of `evaluation.FailureKind`."""

    kind: str
    message: str
