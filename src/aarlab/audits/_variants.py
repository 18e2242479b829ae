"""Variants of a testbed that a counterfactual asks about. None of them puts a label where a method can read it."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aarlab.students import Examples, Strings
from aarlab.testbeds import Testbed

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]


def reversed_order(values: Floats) -> Floats:
    """The same values with their order turned round: who had the largest gets the smallest. Shape (n,).

    Of weak labels this keeps the marginal distribution exactly, and makes of every teacher one that is as wrong as the
    first was right. Of noise it makes the mirror image: what a chance sign did for a method in the first, it undoes in
    the second, so that the mean over both has a fraction of the noise.
    """
    order = np.argsort(values, kind="stable")
    turned = np.empty_like(values)
    turned[order] = values[order][::-1]
    return turned


def with_teacher(testbed: Testbed, train: Floats) -> Testbed:
    """The testbed with other weak labels on `train`, shape (n,); floor and ceiling stay."""
    weak = testbed.weak_labels.copy()
    weak[testbed.rows("train")] = train
    return replace(testbed, weak_labels=weak)


def shuffled_student(testbed: Testbed, rng: np.random.Generator) -> Testbed:
    """What the student reads of a row is that of another row of the same split; texts, questions, labels stay.

    Marginals of `train` and of test inputs stay as they are. A pair's states speak for one of its sides, which is
    side 1 for half of the pairs; so moving them to another pair moves no side along.
    """
    columns = {name: column.copy() for name, column in testbed.fitting.columns.items()}
    for rows in testbed.drawn.values():
        source = rng.permutation(rows)
        for name, column in testbed.fitting.columns.items():
            columns[name][rows] = column[source]
    return with_columns(testbed, columns)


def shuffled_inputs(examples: Examples, rng: np.random.Generator) -> Examples:
    """The same texts, with what the student reads of each shuffled over the inputs."""
    order = rng.permutation(len(examples))
    return replace(examples, columns={name: column[order] for name, column in examples.columns.items()})


def mirrored(examples: Examples) -> Examples:
    """The same texts of pairs, with candidates exchanged for the student alone: what it reads changes sign."""
    return replace(examples, columns={name: -column for name, column in examples.columns.items()})


def untrained_student(testbed: Testbed, rng: np.random.Generator) -> Testbed:
    """What the student reads is random, as large as it was; texts, questions, labels stay."""
    return with_columns(testbed, {name: _random_like(column, rng) for name, column in testbed.fitting.columns.items()})


def with_columns(testbed: Testbed, columns: Columns) -> Testbed:
    """The testbed with other things for the student to read."""
    return replace(testbed, fitting=replace(testbed.fitting, columns=columns))


def perturbed(examples: Examples, level: float, rng: np.random.Generator) -> Examples:
    """The same inputs, a little different, with the same labels.

    Args:
        examples: inputs, n of them.
        level: standard deviation of the noise on whatever the student reads, as a share of its own over the examples;
            0 for the least that shows: one step of the numbers' resolution.
        rng: source of the noise.

    Returns:
        Numbers with noise added; texts with each space of the prompt doubled and white space at the end of candidates,
        which changes neither what a reader reads nor what a program does.
    """
    texts = None if examples.texts is None else _respaced(examples.texts)
    columns = {name: _jittered(column, level, rng) for name, column in examples.columns.items()}
    return replace(examples, columns=columns, texts=texts)


def _jittered(column: NDArray[Any], level: float, rng: np.random.Generator) -> NDArray[Any]:
    whole = np.issubdtype(column.dtype, np.integer)
    values = column.astype(np.float32)
    noise = rng.standard_normal(values.shape, dtype=np.float32)
    step = 1.0 if whole else float(np.nanmean(np.abs(values))) * float(np.finfo(np.float16).eps)
    moved = values + noise * np.maximum(level * np.nanstd(values, axis=0), step)
    return _as_stored(moved, column)


def _random_like(column: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    values = column.astype(np.float32)
    return _as_stored(rng.standard_normal(values.shape, dtype=np.float32) * np.nanstd(values, axis=0), column)


def _as_stored(values: NDArray[np.float32], like: NDArray[Any]) -> NDArray[Any]:
    if not np.issubdtype(like.dtype, np.integer):
        return values.astype(like.dtype)
    largest = np.iinfo(like.dtype).max
    return np.clip(np.rint(values), -largest, largest).astype(like.dtype)


def _respaced(texts: Strings) -> Strings:
    spaced = texts.copy()
    spaced[:, 0] = np.strings.replace(texts[:, 0], " ", "  ")
    spaced[:, 1:] = np.strings.add(texts[:, 1:], " \n")
    return spaced
