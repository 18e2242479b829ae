"""Run methods on testbeds through the sandboxed evaluation, in parallel, and compare them with vanilla."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aarlab.bench import _cache
from aarlab.evaluation import Evaluation, Evaluator, MethodError, library_method
from aarlab.sandbox import Sandbox
from aarlab.stats import Comparison, PGREstimate, compare_accuracy, holm
from aarlab.testbeds import Part, Split, Testbed

BASELINE = "vanilla"


@dataclass(frozen=True)
class Cell:
    """One method on one testbed."""

    method: str
    testbed: str


@dataclass(frozen=True)
class Score:
    """What a cell came to.

    Attributes:
        accuracy: by seed, in [0, 1].
        estimate: PGR with interval; None without a ceiling.
        cpu_seconds: in the sandboxes, all seeds.
        peak_memory_bytes: the hungriest seed's.
        isolated: False if it ran unsandboxed.
        correct: whether each test example was right, shape (seeds, n).
    """

    accuracy: tuple[float, ...]
    estimate: PGREstimate | None
    cpu_seconds: float
    peak_memory_bytes: int
    isolated: bool
    correct: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True)
class Row:
    """One method on one testbed, beside the baseline.

    Attributes:
        method: its name.
        testbed: where.
        score: what it came to; None if it broke its contract.
        failure: how it failed; empty if it did not.
        gain: its accuracy minus vanilla's, paired by question; None for vanilla itself.
        p: of no gain, Holm-adjusted over the methods on this testbed.
    """

    method: str
    testbed: str
    score: Score | None
    failure: str
    gain: Comparison | None
    p: float | None


@dataclass(frozen=True)
class Bench:
    """All of it.

    Attributes:
        rows: by testbed, best PGR (else accuracy) first.
        split: what was scored.
        part: "id" or "ood".
        seeds: training seeds.
        floors: accuracy of the weak supervisor, by testbed.
        ceilings: accuracy of the student trained on ground truth, by testbed; None if it cannot be trained.
        resolved: whether the gap stands clear of its noise, by testbed.
        from_cache: cells that were computed before.
    """

    rows: tuple[Row, ...]
    split: Split
    part: Part
    seeds: tuple[int, ...]
    floors: Mapping[str, float]
    ceilings: Mapping[str, float | None]
    resolved: Mapping[str, bool]
    from_cache: int


def run_bench(
    methods: Mapping[str, str],
    testbeds: Sequence[Testbed],
    sandbox: Sandbox,
    seeds: Sequence[int],
    *,
    split: Split = "public",
    part: Part = "id",
    workers: int = 1,
    progress: Callable[[Cell | None, int, int], None] = lambda _cell, _done, _of: None,
) -> Bench:
    """Score methods on testbeds; what was scored before is not scored again.

    Args:
        methods: code by name; vanilla is added, since all are compared with it.
        testbeds: what to score on.
        sandbox: where to run.
        seeds: training seeds, the same for all.
        split: "public" or "private".
        part: "id" or "ood".
        workers: cells at a time.
        progress: told which cell was done, how many, out of how many.

    Raises:
        SandboxError: the sandbox itself did not work.
        KeyboardInterrupt: passed on; cells that were done stay stored.
    """
    codes = {BASELINE: library_method(BASELINE).code} | dict(methods)
    cells = [(Cell(method, testbed.name), testbed) for testbed in testbeds for method in codes]
    scores: dict[Cell, Score | str] = {}
    for cell, testbed in cells:
        known = _cache.load(_cache.key_of(codes[cell.method], testbed, split, part, seeds))
        if known is not None:
            scores[cell] = _score_of(testbed, split, part, *known)
    cached = len(scores)
    progress(None, len(scores), len(cells))
    todo = [(cell, testbed) for cell, testbed in cells if cell not in scores]
    wanted = {testbed.name: testbed for _, testbed in todo}
    evaluators = {name: Evaluator(testbed, sandbox) for name, testbed in wanted.items()}
    stop = threading.Event()

    def run(cell: Cell, testbed: Testbed) -> tuple[Cell, Score | str]:
        if stop.is_set():
            raise InterruptedError
        return cell, _run_cell(evaluators[testbed.name], codes[cell.method], split, part, seeds)

    try:
        with ThreadPoolExecutor(workers) as pool:
            try:
                for done in as_completed([pool.submit(run, cell, testbed) for cell, testbed in todo]):
                    cell, score = done.result()
                    scores[cell] = score
                    progress(cell, len(scores), len(cells))
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for evaluator in evaluators.values():
                    evaluator.close()
                raise
    finally:
        for evaluator in evaluators.values():
            evaluator.close()
    anchors = {testbed.name: testbed.anchors(split, part) for testbed in testbeds}
    return Bench(
        rows=tuple(row for testbed in testbeds for row in _rows(testbed, codes, scores, split, part)),
        split=split,
        part=part,
        seeds=tuple(seeds),
        floors={name: found.floor for name, found in anchors.items()},
        ceilings={name: found.ceiling for name, found in anchors.items()},
        resolved={testbed.name: _resolved(testbed, split, part) for testbed in testbeds},
        from_cache=cached,
    )


def _run_cell(evaluator: Evaluator, code: str, split: Split, part: Part, seeds: Sequence[int]) -> Score | str:
    try:
        result = evaluator.evaluate(code, split, seeds, part)
    except MethodError as error:
        return f"{error.kind}: {error.message.strip().splitlines()[-1] if error.message else ''}"
    if result.isolated:
        key = _cache.key_of(code, evaluator.testbed, split, part, seeds)
        facts = {"cpu_seconds": result.cpu_seconds, "peak_memory_bytes": result.peak_memory_bytes}
        _cache.store(key, facts, result.correct)
    return _score(result)


def _score(result: Evaluation) -> Score:
    return Score(
        accuracy=result.accuracy,
        estimate=result.estimate,
        cpu_seconds=result.cpu_seconds,
        peak_memory_bytes=result.peak_memory_bytes,
        isolated=result.isolated,
        correct=result.correct,
    )


def _score_of(
    testbed: Testbed, split: Split, part: Part, facts: Mapping[str, float], correct: NDArray[np.float32]
) -> Score:
    return Score(
        accuracy=tuple(float(a) for a in correct.mean(axis=1)),
        estimate=testbed.estimate(split, correct, part) if len(testbed.ceiling_predictions) else None,
        cpu_seconds=facts["cpu_seconds"],
        peak_memory_bytes=int(facts["peak_memory_bytes"]),
        isolated=True,
        correct=correct,
    )


def _resolved(testbed: Testbed, split: Split, part: Part) -> bool:
    if not len(testbed.ceiling_predictions):
        return False
    return testbed.estimate(split, testbed.floor_correct(split, part)[None], part).pgr is not None


def _rows(
    testbed: Testbed, methods: Mapping[str, str], scores: Mapping[Cell, Score | str], split: Split, part: Part
) -> list[Row]:
    """Rows of one testbed, best first; the baseline's comparison with itself is left out."""
    of_method = {method: scores[Cell(method, testbed.name)] for method in methods}
    baseline = of_method[BASELINE]
    groups = testbed.groups(split, part)
    gains = {
        method: compare_accuracy(score.correct, baseline.correct, groups)
        for method, score in of_method.items()
        if method != BASELINE and isinstance(score, Score) and isinstance(baseline, Score)
    }
    adjusted = dict(zip(gains, holm([gain.p for gain in gains.values()]), strict=True))
    rows = [
        Row(
            method=method,
            testbed=testbed.name,
            score=score if isinstance(score, Score) else None,
            failure="" if isinstance(score, Score) else score,
            gain=gains.get(method),
            p=adjusted.get(method),
        )
        for method, score in of_method.items()
    ]
    return sorted(rows, key=lambda row: -np.mean(row.score.accuracy) if row.score else 1.0)
