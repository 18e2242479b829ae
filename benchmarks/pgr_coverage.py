"""How often intervals of PGR cover the truth, on simulated testbeds whose truth is known.

    python benchmarks/pgr_coverage.py --cells quick --output build/pgr_coverage.json

A cell is a kind of testbed; each trial draws one from it, with its questions, its seeds and its weak supervisor's
errors, and asks for the interval. An example is answered right if a latent normal variable stays below a threshold.
That variable is made of the question's difficulty, shared in part by floor, method and ceiling; of the example's; of
what a seed does on this example; and of what a seed shifts everywhere. So the accuracy over all questions and seeds
is known exactly.

Columns: `resolved` is the share of trials with a gap of at least six measured standard errors; the other columns are
about those. `covers` is the bootstrap's coverage, `below` and `above` the shares of intervals that miss the truth
on either side, `width` the median width, `fieller` the coverage of Fieller's set. Nominal is .95; with 1,000
trials the simulation itself has a standard error of .007. Cells that no accuracy can reach are left out. Finished
cells are read back from the output, so an interrupted run goes on where it was.
"""

import argparse
import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from aarlab.stats import compare_accuracy, estimate_pgr, fieller_interval

FLOOR, HIGHEST_CEILING = 0.55, 0.98
PILOT_QUESTIONS = 4000
SHARED = 0.5  # of what is latent, the part that floor, method and ceiling have in common
STEADY = 0.8  # of an example's own part, what all seeds agree on


@dataclass(frozen=True)
class Cell:
    """A kind of testbed.

    Attributes:
        questions: how many.
        rows: examples a question; 0: one to five, at random.
        correlation: of the latent variable between examples of one question.
        seeds: the method's.
        ceiling_seeds: the ceiling's.
        seed_noise: standard deviation of accuracy by training seed, method and ceiling alike.
        pgr: the truth.
        gap: ceiling minus floor, in standard errors.
    """

    questions: int = 200
    rows: int = 3
    correlation: float = 0.3
    seeds: int = 3
    ceiling_seeds: int = 16
    seed_noise: float = 0.01
    pgr: float = 0.3
    gap: float = 8.0


def quick() -> Iterator[Cell]:
    """One cell in the middle, each figure varied by itself, and corners where trouble is likely."""
    middle = Cell()
    yield middle
    for name, values in {
        "seed_noise": (0.0, 0.03, 0.06),
        "gap": (6.0, 7.0, 12.0, 20.0),
        "pgr": (0.0, 0.7, 1.0),
        "seeds": (1, 2, 5, 16),
        "ceiling_seeds": (3,),
        "questions": (100, 400, 800),
        "rows": (0, 1, 5),
        "correlation": (0.0, 0.7),
    }.items():
        yield from (replace(middle, **{name: value}) for value in values)  # type: ignore[arg-type]
    for pgr, gap in product((0.0, 0.7, 1.0), (6.0, 20.0)):
        yield replace(middle, pgr=pgr, gap=gap, questions=400)
    for pgr, seeds in product((0.0, 1.0), (3, 8, 16)):
        yield replace(middle, pgr=pgr, seeds=seeds, seed_noise=0.03)
    for pgr in (0.0, 0.7, 1.0):
        yield replace(middle, pgr=pgr, ceiling_seeds=3, seed_noise=0.03, questions=800)


def full() -> Iterator[Cell]:
    """The whole grid: hours."""
    for values in product(
        (100, 200, 400, 800),
        (1, 3, 5),
        (0.1, 0.5),
        (3, 5, 8, 16),
        (3, 16),
        (0.0, 0.01, 0.03),
        (0.0, 0.3, 0.7, 1.0),
        (6.0, 8.0, 12.0, 20.0),
    ):
        yield Cell(*values)


@dataclass(frozen=True)
class Trial:
    """One drawn testbed: whether floor, method and ceiling were right, as `estimate_pgr` takes them."""

    transfer: NDArray[np.float32]
    floor: NDArray[np.float32]
    ceiling: NDArray[np.float32]
    groups: NDArray[np.intp]


def draw(cell: Cell, ceiling: float, rng: np.random.Generator) -> Trial:
    """A testbed of that kind with that ceiling accuracy."""
    sizes = rng.integers(1, 6, size=cell.questions) if cell.rows == 0 else np.full(cell.questions, cell.rows)
    groups = np.repeat(np.arange(cell.questions), sizes)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32)

    question, example = normal(cell.questions), normal(len(groups))

    def right(accuracy: float, seeds: int, seed_noise: float) -> NDArray[np.float32]:
        threshold = float(ndtri(accuracy))
        # A shift by `seed_noise` in accuracy, on the scale of the latent variable.
        shift = seed_noise * np.sqrt(2 * np.pi) * np.exp(threshold**2 / 2)
        own_question, own_example = normal(cell.questions), normal(len(groups))
        by_question = np.sqrt(SHARED) * question + np.sqrt(1 - SHARED) * own_question
        steady = np.sqrt(SHARED) * example + np.sqrt((1 - SHARED) * STEADY) * own_example
        fixed = np.sqrt(cell.correlation) * by_question[groups] + np.sqrt(1 - cell.correlation) * steady
        moving = np.sqrt((1 - cell.correlation) * (1 - SHARED) * (1 - STEADY)) * normal(seeds, len(groups))
        latent = fixed + moving + shift * normal(seeds, 1)
        return np.asarray(latent < threshold * np.sqrt(1 + shift**2), dtype=np.float32)

    return Trial(
        transfer=right(FLOOR + cell.pgr * (ceiling - FLOOR), cell.seeds, cell.seed_noise),
        floor=right(FLOOR, 1, 0.0)[0],
        ceiling=right(ceiling, cell.ceiling_seeds, cell.seed_noise),
        groups=groups,
    )


def ceiling_of(cell: Cell) -> float | None:
    """The ceiling at which the gap is that many standard errors wide; None if there is none."""
    rng, gap = np.random.default_rng(0), 0.2
    pilot = replace(cell, questions=PILOT_QUESTIONS, seed_noise=0.0)
    for _ in range(4):  # the standard error hardly depends on the gap, so this settles at once
        trial = draw(pilot, FLOOR + gap, rng)
        question_sd = compare_accuracy(trial.ceiling, trial.floor, trial.groups).question_sd
        gap = cell.gap * float(np.sqrt(question_sd**2 / cell.questions + cell.seed_noise**2 / cell.ceiling_seeds))
        if FLOOR + gap > HIGHEST_CEILING:
            return None
    return FLOOR + gap


def run(cell: Cell, ceiling: float, trials: int, resamples: int) -> dict[str, Any]:
    """Coverage in one cell."""
    rng = np.random.default_rng(zlib.crc32(json.dumps(asdict(cell)).encode()))
    resolved, below, above, fieller, widths = 0, 0, 0, 0, []
    started = time.process_time()
    for _ in range(trials):
        trial = draw(cell, ceiling, rng)
        pgr = estimate_pgr(trial.transfer, trial.floor, trial.ceiling, trial.groups, rng, resamples=resamples).pgr
        if pgr is None:
            continue
        resolved += 1
        below += pgr.high < cell.pgr
        above += pgr.low > cell.pgr
        widths.append(pgr.high - pgr.low)
        fieller += cell.pgr in fieller_interval(trial.transfer - trial.floor, trial.ceiling - trial.floor, trial.groups)
    share = max(1, resolved)
    return {
        "cell": asdict(cell),
        "trials": trials,
        "ceiling": round(ceiling, 3),
        "resolved": resolved / trials,
        "covers": 1 - (below + above) / share,
        "below": below / share,
        "above": above / share,
        "width": float(np.median(widths)) if widths else None,
        "fieller": fieller / share,
        "cpu_seconds": round(time.process_time() - started, 1),
    }


HEADER = "questions rows corr seeds ceil.seeds seed noise  PGR  gap | resolved covers below above  width fieller"


def line(result: dict[str, Any]) -> str:
    """One line of the table."""
    cell = Cell(**result["cell"])
    width = "     -" if result["width"] is None else f"{result['width']:6.2f}"
    return (
        f"{cell.questions:9} {cell.rows or '1-5':>4} {cell.correlation:4.1f} {cell.seeds:5} {cell.ceiling_seeds:10} "
        f"{cell.seed_noise:10.2f} {cell.pgr:4.1f} {cell.gap:4.0f} | {result['resolved']:8.2f} {result['covers']:6.3f} "
        f"{result['below']:5.3f} {result['above']:5.3f} {width} {result['fieller']:7.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", choices=("quick", "full"), default="quick")
    parser.add_argument("--trials", type=int, default=1000, help="testbeds a cell")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples an interval")
    parser.add_argument("--output", type=Path, default=Path("build/pgr_coverage.json"))
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = json.loads(options.output.read_text()) if options.output.exists() else []
    done = {(Cell(**r["cell"]), r["trials"], r["resamples"]): r for r in results}
    print(HEADER)  # noqa: T201 - a benchmark's output
    for cell in quick() if options.cells == "quick" else full():
        result = done.get((cell, options.trials, options.resamples))
        if result is None:
            ceiling = ceiling_of(cell)
            if ceiling is None:
                continue
            result = run(cell, ceiling, options.trials, options.resamples) | {"resamples": options.resamples}
            results.append(result)
            unfinished = options.output.with_suffix(".part")
            unfinished.write_text(json.dumps(results, indent=1))
            unfinished.replace(options.output)
        print(line(result), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
