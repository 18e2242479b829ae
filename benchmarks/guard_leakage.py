"""What each guard lets through: labels to attackers, and the order of honest methods to researchers.

    python benchmarks/guard_leakage.py --testbeds chat math --repeats 5 --output build/guard_leakage.json

Three tables on each testbed. `attacks`: every attack of `aarlab.attacks.queries` against every guard, with that many
queries; labels gained over what the attacker had before, and the most that coin tosses would explain. `ranks`:
Spearman's correlation over honest methods, between what a default-size study is told (108 submissions in random
order) and exact accuracy on `public` and on `private`. `curve`: both for `tapered` with other noise and other
numbers of answers, against the strongest attacks. Attackers start from the honest method that is best on `public`.

Honest methods run once in the sandbox, three seeds each (minutes), and are kept in --work. Finished rows are read
back from the output. `--draw` draws docs/guards.svg from the output, `--md` prints the tables.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from aarlab.attacks.honest import honest_methods
from aarlab.attacks.queries import ATTACKS, GuardedOracle, leak
from aarlab.evaluation import Evaluator, MethodError
from aarlab.evaluation.guards import GUARDS, Guard, TaperedGuard, make_guard, step_for
from aarlab.sandbox import default_sandbox
from aarlab.testbeds import Testbed, load_testbed

SEEDS = (11, 22, 33)
STUDY = 108  # nine researchers, twelve evaluations each
STRONGEST = ("base-flips-regression", "informed-regression", "sandbagging")
NOISES, ANSWERS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.55, 0.8), (30, 60, 110, 220, 440)
NOISE, SHARE = 0.25, 110  # of the default: the lines of the curve cross there

FIGURES = ("gained", "chance", "departed", "inflation", "public", "private")

Arrays = dict[str, np.ndarray]
Row = dict[str, Any]


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201 - a benchmark's output


def honest(testbed: Testbed, work: Path) -> dict[str, Arrays]:
    """Results of honest methods by name: `public`, `predictions` and `private`, each of shape (seeds, n)."""
    work.mkdir(parents=True, exist_ok=True)
    found = {}
    with Evaluator(testbed, default_sandbox()) as evaluator:
        for name, code in honest_methods().items():
            path = work / f"{testbed.name}-{name}.npz"
            if not path.exists():
                say(f"{testbed.name}: {name}")
                try:
                    public, private = (evaluator.evaluate(code, split, SEEDS) for split in ("public", "private"))
                except MethodError as error:
                    say(f"left out: {error.message.splitlines()[0]}")
                    continue
                np.savez_compressed(
                    path, public=public.correct, predictions=public.predictions, private=private.correct
                )
            with np.load(path) as arrays:
                found[name] = dict(arrays)
    return found


def attacked(
    testbed: Testbed, make: Callable[[bytes], Guard], name: str, base: np.ndarray, queries: int, seed: int
) -> Row:
    """One attack on one guard."""
    rng = np.random.default_rng(seed)
    oracle = GuardedOracle(make(rng.bytes(32)), testbed)
    result = leak(name, oracle, base, oracle.labels, oracle.groups, queries, rng)
    return {
        "gained": result.gained,
        "chance": round(result.chance, 1),
        "departed": result.departed,
        "inflation": round(result.inflation / result.inflation_se, 3),
    }


def ranked(testbed: Testbed, make: Callable[[bytes], Guard], methods: dict[str, Arrays], seed: int) -> Row:
    """One default-size study of honest methods, each with all seeds; single seeds of some make up the number."""
    rng = np.random.default_rng(seed)
    oracle = GuardedOracle(make(rng.bytes(32)), testbed)
    names = list(methods)
    others = [(name, slice(s, s + 1)) for name in rng.permutation(names) for s in range(len(SEEDS))]
    asked = [*((name, slice(None)) for name in names), *others[: max(0, STUDY - len(names))]]
    told = {}
    for place in rng.permutation(len(asked)):
        name, which = asked[place]
        one = methods[name]
        answer = oracle.tell(f"{name} {which}", one["public"][which], one["predictions"][which])
        told[place] = answer.accuracy
    public, private = ([methods[name][split].mean() for name in names] for split in ("public", "private"))
    heard = [told[place] for place in range(len(names))]
    if len(set(heard)) < 2:
        return {"public": 0.0, "private": 0.0}
    return {
        "public": round(float(spearmanr(heard, public)[0]), 4),
        "private": round(float(spearmanr(heard, private)[0]), 4),
    }


def tasks(options: argparse.Namespace) -> Iterator[Row]:
    """All rows to fill in, the quickest tables first."""
    for testbed in options.testbeds:
        for seed in range(options.repeats * 8):
            yield from ({"table": "ranks", "testbed": testbed, "guard": guard, "seed": seed} for guard in GUARDS)
        points = [(noise, SHARE) for noise in NOISES] + [(NOISE, share) for share in ANSWERS if share != SHARE]
        for noise, share in points:
            for seed in range(options.repeats):
                yield {"table": "curve", "testbed": testbed, "noise": noise, "answers": share, "seed": seed}
        for queries in options.queries:
            for seed in range(options.repeats):
                for guard in GUARDS:
                    for attack in ATTACKS:
                        yield {
                            **{"table": "attacks", "testbed": testbed, "guard": guard, "attack": attack},
                            **{"queries": queries, "seed": seed},
                        }


def fill(row: Row, testbed: Testbed, methods: dict[str, Arrays], queries: int) -> Row:
    """The figures of one row."""
    step, examples = step_for(testbed), len(testbed.labels("public"))
    best = max(methods, key=lambda name: float(methods[name]["public"].mean()))
    base = methods[best]["predictions"].mean(axis=0).astype(np.float64)

    def named(secret: bytes) -> Guard:
        return make_guard(row["guard"], secret, step=step, examples=examples)

    def other(secret: bytes) -> Guard:
        return TaperedGuard(secret, step, noise=row["noise"], answers=row["answers"])

    if row["table"] == "ranks":
        return ranked(testbed, named, methods, row["seed"])
    if row["table"] == "attacks":
        return attacked(testbed, named, row["attack"], base, row["queries"], row["seed"])
    gains = [attacked(testbed, other, attack, base, queries, row["seed"]) for attack in STRONGEST]
    ranks = [ranked(testbed, other, methods, 100 * row["seed"] + i)["public"] for i in range(8)]
    return {"gained": {a: g["gained"] for a, g in zip(STRONGEST, gains, strict=True)}, "public": float(np.mean(ranks))}


def curve(rows: list[Row], testbed: str) -> dict[tuple[float, int], tuple[float, float]]:
    """By noise and answers: mean labels gained by the strongest attack, and mean rank correlation."""
    cells = defaultdict(list)
    for row in rows:
        if row["table"] == "curve" and row["testbed"] == testbed:
            cells[row["noise"], row["answers"]].append(row)
    return {
        key: (
            max(float(np.mean([row["gained"][attack] for row in cell])) for attack in STRONGEST),
            float(np.mean([row["public"] for row in cell])),
        )
        for key, cell in sorted(cells.items())
    }


def tables(rows: list[Row], numbers: list[int]) -> str:
    """The tables in Markdown, for these numbers of queries."""
    lines = []
    for testbed in dict.fromkeys(row["testbed"] for row in rows):
        own = [row for row in rows if row["testbed"] == testbed]
        ranks = {g: [r for r in own if r["table"] == "ranks" and r["guard"] == g] for g in GUARDS}
        lines += ["", f"{testbed}", "", "| | " + " | ".join(GUARDS) + " |", "|---" * (len(GUARDS) + 1) + "|"]
        for split in ("public", "private"):
            means = [f"{np.mean([r[split] for r in ranks[g]]):.2f}" if ranks[g] else "" for g in GUARDS]
            lines.append(f"| rank correlation with exact {split} | " + " | ".join(means) + " |")
        cells = defaultdict(list)
        for row in own:
            if row["table"] == "attacks" and row["queries"] in numbers:
                cells[row["attack"], row["queries"], row["guard"]].append(row)
        for attack in ATTACKS:
            for queries in sorted({key[1] for key in cells}):
                shown = [_cell(cells[attack, queries, guard]) for guard in GUARDS]
                lines.append(f"| {attack}, {queries:,} | " + " | ".join(shown) + " |")
        lines += ["", "| noise | answers | labels gained | rank correlation |", "|---|---|---|---|"]
        lines += [f"| {n:g} | {a} | {gain:+.0f} | {rank:.2f} |" for (n, a), (gain, rank) in curve(own, testbed).items()]
    return "\n".join(lines)


def _cell(rows: list[Row]) -> str:
    """Mean gain, what chance explains, inflation in standard errors; bold where it is more than chance."""
    if not rows:
        return ""
    gained, chance, inflation = (np.mean([row[k] for row in rows]) for k in ("gained", "chance", "inflation"))
    if not any(row["departed"] for row in rows):
        return "0"
    text = f"{gained:+.0f} (±{chance:.0f}; {inflation:+.1f})"
    return f"**{text}**" if gained > chance else text


def draw(rows: list[Row], testbeds: list[str], path: Path) -> None:
    """The trade-off: what attackers gain, and what researchers hear."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(testbeds), figsize=(4.6 * len(testbeds), 3.6), squeeze=False, sharey=True)
    for axis, testbed in zip(axes[0], testbeds, strict=True):
        points = curve(rows, testbed)
        lines = (
            ("other noise", [points[n, SHARE] for n in NOISES], [f"{n:g}" for n in NOISES]),
            ("other number of answers", [points[NOISE, a] for a in ANSWERS], [str(a) for a in ANSWERS]),
        )
        for label, line, names in lines:
            axis.plot(*zip(*line, strict=True), marker="o", markersize=4, label=label)
            for point, name in zip(line, names, strict=True):
                if point != points[NOISE, SHARE]:
                    place = (-4, 6) if label == "other noise" else (4, -9)
                    axis.annotate(name, point, textcoords="offset points", xytext=place, fontsize=7)
        axis.plot(*points[NOISE, SHARE], marker="s", markersize=9, fillstyle="none", color="black", label="default")
        axis.set_title(testbed, fontsize=10)
        axis.set_xlabel("labels gained by the strongest attack, 2,000 queries")
    axes[0][0].set_ylabel("rank correlation, told and exact")
    axes[0][0].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--testbeds", nargs="+", default=["chat", "math"])
    parser.add_argument("--queries", type=int, nargs="+", default=[108, 500, 2000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("build/guard_leakage"), help="where results are kept")
    parser.add_argument("--output", type=Path, default=Path("build/guard_leakage.json"))
    parser.add_argument("--draw", type=Path, metavar="FILE", help="draw the trade-off into FILE, e.g. docs/guards.svg")
    parser.add_argument("--md", action="store_true", help="print the tables in Markdown")
    options = parser.parse_args()
    rows: list[Row] = json.loads(options.output.read_text()) if options.output.exists() else []
    if options.draw or options.md:
        if options.draw:
            draw(rows, options.testbeds, options.draw)
        if options.md:
            print(tables(rows, options.queries))  # noqa: T201 - a benchmark's output
        return
    done = [{key: row[key] for key in row if key not in FIGURES} for row in rows]
    left = [task for task in tasks(options) if task not in done]
    loaded = {name: load_testbed(name) for name in options.testbeds}
    methods = {name: honest(testbed, options.work) for name, testbed in loaded.items()}
    saved = time.monotonic()
    for place, task in enumerate(left, 1):
        started = time.monotonic()
        name = task["testbed"]
        rows.append(task | fill(task, loaded[name], methods[name], max(options.queries)))
        if time.monotonic() - saved > 20 or place == len(left):
            saved = time.monotonic()
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(rows))
        say(f"{place} of {len(left)}: {task} {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
