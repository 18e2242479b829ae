"""Batch independence: is each input answered by itself?"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aarlab.audits._gains import rng_of, seed_of
from aarlab.audits._types import AuditFinding, Case
from aarlab.evaluation import Evaluator
from aarlab.evaluation.contract import TOLERANCE, differ
from aarlab.evaluation.evaluator import shuffled
from aarlab.students import Examples, concatenate

NAME = "batch-independence"
SAMPLE = 240
ALONE = 60
SMALL = 7
BATCH = 64
ERROR_RATE = 0.0

Batches = list[NDArray[np.intp]]


def audit(case: Case) -> AuditFinding:
    """Ask about the same inputs in other company, and compare.

    Question: a method may learn from `train` only. Statistics of a batch, memory of earlier batches and clustering of
    test inputs make of the test set a training set, and of a score something that no single input would get.

    Figure: the largest difference in P(label = 1) between the same inputs, asked about after the same training: in
    small batches and reversed order; alone, before anything else was asked; and amid the whole test set in both orders,
    with duplicates, in one batch. The rule is that of the contract's checker, `contract.differ`.

    Threshold: 1e-5; where no verdict differs, a hundred times as much, since linear algebra in single precision depends
    a little on the shape of a batch.

    Error rate: none by chance; a method that is not deterministic under one seed is flagged here, too.

    What it does not catch: who learns from test inputs in a way that leaves these few as they are; who behaves only
    while few inputs have been asked about. `fit` gets no test inputs, so this concerns prediction alone.

    Raises:
        MethodError: the method broke its contract on such batches.
        SandboxError: the sandbox itself did not work.
    """
    testbed, rng, seed = case.testbed, rng_of(case, NAME), seed_of(case, 0)
    everything = testbed.examples("public")
    chosen = rng.permutation(len(everything))[:SAMPLE]
    sample = everything.take(chosen)
    with Evaluator(testbed, case.sandbox, workers=case.workers) as evaluator:
        usual, _ = evaluator.predict(case.code, sample, seed, shuffled(len(sample), seed, BATCH))
        found = {}
        for name, asked, batches in _company(sample, everything, chosen, rng):
            answers, _ = evaluator.predict(case.code, asked, seed, batches)
            found[name] = differ(usual, answers[: len(sample)])
    worst = max(found, key=lambda name: (not found[name].same, found[name].largest))
    flagged = not found[worst].same
    return AuditFinding(
        audit=NAME,
        verdict="flagged" if flagged else "passed",
        summary=(
            f"The same inputs {worst}: {found[worst].found}."
            + (" It does not answer each input by itself." if flagged else "")
        ),
        figure=float(f"{found[worst].largest:.3g}"),
        threshold=TOLERANCE,
        error_rate=ERROR_RATE,
        evidence={name: difference.found for name, difference in found.items()},
    )


def _company(
    sample: Examples, everything: Examples, chosen: NDArray[np.intp], rng: np.random.Generator
) -> Iterator[tuple[str, Examples, Batches]]:
    """Name, inputs of which the sample comes first, and how they are presented."""
    count = len(sample)
    backwards = np.arange(count)[::-1]
    yield "in small batches, in reversed order", sample, np.array_split(backwards, count // SMALL + 1)
    rest = np.arange(min(ALONE, count), count)
    singles = [np.array([place]) for place in range(min(ALONE, count))]
    yield "alone", sample, [*singles, *([rest] if len(rest) else [])]
    others = everything.take(np.setdiff1d(np.arange(len(everything)), chosen))
    parts = [sample, sample] + ([others] if len(others) else [])
    parts += [part.swapped() for part in parts[1:]] if sample.pairs else []
    larger = concatenate(parts)
    yield "amid a larger test set with duplicates", larger, [rng.permutation(len(larger))]
