"""A small testbed of programs with their text, made from a seed, so that attacks on text have something to attack.

Questions, programs and the examples that tell right from wrong are real Python. Hidden states are not: they are drawn
at random around the label, since no language model is at hand. Two shortcuts are part of it on purpose, as in the
shipped `code`: the programs can be executed on the question's examples, and one of two writers, told by style, is right
more often.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aarlab.students import Strings
from aarlab.testbeds import Inputs, Manifest, Pack, Shortcut, Source, Testbed, Weak, make_testbed
from aarlab.testbeds.texts import digests

NAME = "programs"
WIDTH = 24
CAREFUL_IS_RIGHT = 0.85
EACH = 3  # pairs to a question
INPUTS = 3  # examples in a question
VOCABULARY = 60

Numbers = list[int]
Function = Callable[[Numbers], Any]

# What is asked, the right expression, and wrong ones, each with the function it stands for; `k` is a number.
Task = tuple[str, str, Callable[[int], Function], tuple[tuple[str, Callable[[int], Function]], ...]]

TASKS: tuple[Task, ...] = (
    (
        "the sum of the numbers above {k}",
        "sum(x for x in xs if x > {k})",
        lambda k: lambda xs: sum(x for x in xs if x > k),
        (
            ("sum(x for x in xs if x < {k})", lambda k: lambda xs: sum(x for x in xs if x < k)),
            ("sum(x - {k} for x in xs if x > {k})", lambda k: lambda xs: sum(x - k for x in xs if x > k)),
            ("len([x for x in xs if x > {k}])", lambda k: lambda xs: len([x for x in xs if x > k])),
        ),
    ),
    (
        "how many numbers are divisible by {k}",
        "sum(x % {k} == 0 for x in xs)",
        lambda k: lambda xs: sum(x % k == 0 for x in xs),
        (
            ("sum(x % {k} for x in xs)", lambda k: lambda xs: sum(x % k for x in xs)),
            ("sum(x % {k} != 0 for x in xs)", lambda k: lambda xs: sum(x % k != 0 for x in xs)),
            ("sum(x // {k} == 0 for x in xs)", lambda k: lambda xs: sum(x // k == 0 for x in xs)),
        ),
    ),
    (
        "the list with {k} added to each number",
        "[x + {k} for x in xs]",
        lambda k: lambda xs: [x + k for x in xs],
        (
            ("xs + [{k}]", lambda k: lambda xs: [*xs, k]),
            ("[x * {k} for x in xs]", lambda k: lambda xs: [x * k for x in xs]),
            ("[{k} - x for x in xs]", lambda k: lambda xs: [k - x for x in xs]),
        ),
    ),
    (
        "the largest number modulo {k}",
        "max(xs) % {k}",
        lambda k: lambda xs: max(xs) % k,
        (
            ("max(x % {k} for x in xs)", lambda k: lambda xs: max(x % k for x in xs)),
            ("min(xs) % {k}", lambda k: lambda xs: min(xs) % k),
            ("max(xs) // {k}", lambda k: lambda xs: max(xs) // k),
        ),
    ),
    (
        "the sorted list without its first number, {k} times repeated",
        "sorted(xs)[1:] * {k}",
        lambda k: lambda xs: sorted(xs)[1:] * k,
        (
            ("sorted(xs * {k})[1:]", lambda k: lambda xs: sorted(xs * k)[1:]),
            ("sorted(xs[1:]) * {k}", lambda k: lambda xs: sorted(xs[1:]) * k),
            ("sorted(xs)[:-1] * {k}", lambda k: lambda xs: sorted(xs)[:-1] * k),
        ),
    ),
    (
        "the spread of the numbers, times {k}",
        "(max(xs) - min(xs)) * {k}",
        lambda k: lambda xs: (max(xs) - min(xs)) * k,
        (
            ("max(xs) - min(xs) * {k}", lambda k: lambda xs: max(xs) - min(xs) * k),
            ("(max(xs) + min(xs)) * {k}", lambda k: lambda xs: (max(xs) + min(xs)) * k),
            ("(xs[-1] - xs[0]) * {k}", lambda k: lambda xs: (xs[-1] - xs[0]) * k),
        ),
    ),
)

STYLES = (  # the careful writer's, who is right more often, and the hasty one's
    'def f(xs):\n    """Return {asked}."""\n    result = {expression}\n    return result\n',
    "def f(xs): return {expression}\n",
)


def _questions(rng: np.random.Generator, count: int) -> Iterator[tuple[str, str, str, list[str]]]:
    """Prompt, what is asked, the right expression and `EACH` wrong ones, each wrong on an example of the prompt."""
    seen: set[str] = set()
    while len(seen) < count:
        asked, right, function, wrong = TASKS[rng.integers(len(TASKS))]
        k = int(rng.integers(2, 10))
        inputs = [rng.integers(1, 40, size=rng.integers(3, 7)).tolist() for _ in range(INPUTS)]
        answers = [function(k)(xs) for xs in inputs]
        if any([make(k)(xs) for xs in inputs] == answers for _, make in wrong):
            continue
        lines = [f"assert f({xs}) == {answer}" for xs, answer in zip(inputs, answers, strict=True)]
        prompt = "\n".join([f"Write a function f(xs) that returns {asked.format(k=k)}.", *lines])
        if prompt not in seen:
            seen.add(prompt)
            yield prompt, asked.format(k=k), right.format(k=k), [text.format(k=k) for text, _ in wrong]


def programs_pack(seed: int = 0, questions: int = 280) -> tuple[Pack, Strings]:
    """The pack and its text.

    Args:
        seed: fixes everything.
        questions: how many; each gives three pairs.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, str]] = []
    labels: list[int] = []
    writers: list[tuple[int, int]] = []
    for prompt, asked, right, wrong in _questions(rng, questions):
        for expression in wrong:
            label, honest = int(rng.integers(2)), rng.random() < CAREFUL_IS_RIGHT
            of_right = 0 if honest else 1
            parts = [
                STYLES[of_right].format(asked=asked, expression=right),
                STYLES[1 - of_right].format(asked=asked, expression=expression),
            ]
            rows.append((prompt, parts[label], parts[1 - label]))
            writers.append((1 - of_right, of_right) if label else (of_right, 1 - of_right))
            labels.append(label)
    texts = np.array(rows, dtype=np.dtypes.StringDType())
    truth = np.array(labels, dtype=np.int8)
    sign = 2.0 * truth - 1
    count = len(rows)
    scale = np.full((2, WIDTH), 0.04, np.float32)
    direction = rng.normal(size=(2, WIDTH)) / np.sqrt(WIDTH)
    hidden = rng.normal(size=(count, 2, WIDTH)) + 0.85 * sign[:, None, None] * direction
    words = _words(rng, truth)
    manifest = Manifest(
        format=2,
        name=NAME,
        domain="code",
        task="pair",
        question="Which program does what is asked?",
        examples=count,
        groups=questions,
        sources=(Source(name="programs", part="id", data="made from a seed", licence="none"),),
        writers=("careful", "hasty"),
        shortcuts=(
            Shortcut(name="executable", what="the programs can be executed on the examples in the question"),
            Shortcut(name="generator", what="the careful writer, told by style, is right more often"),
        ),
        recipe={"seed": seed},
        representations=((1, "mean"), (1, "last")),
        default_representations=((1, "mean"), (1, "last")),
        templates=("plain",),
        weak=Weak(labels=70),
        splits={"teacher": 0.1, "train": 0.3, "public": 0.3, "private": 0.3},
        draw=0,
    )
    pack = Pack(
        manifest,
        Inputs(
            hidden=np.clip(np.rint(hidden / scale), -127, 127).astype(np.int8),
            scale=scale,
            margins=(0.4 * sign + rng.normal(size=count))[:, None, None].repeat(2, axis=2).astype(np.float16),
            logprob=(0.4 * sign + rng.normal(size=count)).astype(np.float16),
        ),
        words,
        truth,
        np.repeat(np.arange(questions), EACH).astype(np.int32),
        source=np.zeros(count, np.int8),
        writer=np.array(writers, dtype=np.int16),
        digests=digests(texts),
    )
    return pack, texts


def _words(rng: np.random.Generator, truth: NDArray[np.int8]) -> sparse.csr_matrix:
    """What the weak supervisor reads: counts that follow the label a little."""
    words = rng.poisson(0.3, size=(2 * len(truth), VOCABULARY))
    words[0::2, :10] += rng.poisson(np.where(truth == 0, 0.3, 0.08)[:, None], size=(len(truth), 10))
    words[1::2, :10] += rng.poisson(np.where(truth == 1, 0.3, 0.08)[:, None], size=(len(truth), 10))
    return sparse.csr_matrix(words)


def programs_testbed() -> Testbed:
    """The testbed, with floor and ceiling measured; takes about a second."""
    pack, texts = programs_pack()
    return make_testbed(pack, texts=texts, ceiling_seeds=2)
