"""What sandboxes that wait for their job save: `python benchmarks/warm_pool.py`.

Latency of one evaluation (three seeds of vanilla on `chat`, one after the other, then on two workers) with a pause
before each, as when a researcher thinks; throughput of twenty evaluations without a pause; and what waiting costs in
memory. With and without the pool take turns in one run, so that the machine's load falls on both.
"""

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from aarlab.evaluation import Evaluator
from aarlab.sandbox import default_sandbox
from aarlab.testbeds import Testbed, load_testbed

SEEDS = (1, 2, 3)
FULL_SECONDS = 60.0


def seconds(evaluator: Evaluator) -> float:
    """Wall time of one evaluation."""
    started = time.monotonic()
    evaluator.evaluate(evaluator.vanilla_code(), "public", SEEDS)
    return time.monotonic() - started


def filled(evaluator: Evaluator, count: int) -> None:
    """Wait until so many sandboxes wait, or as many as this machine keeps."""
    end = time.monotonic() + FULL_SECONDS
    while evaluator.waiting < count and time.monotonic() < end:
        time.sleep(0.05)


def proportional_kib() -> int:
    """Memory of all that this process started, pages that they share counted once in all (PSS)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    total, found = 0, list(children.get(os.getpid(), ()))
    while found:
        pid = found.pop()
        found += children.get(pid, ())
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def latency(testbed: Testbed, workers: int, rounds: int) -> dict[str, float]:
    """Median seconds of one evaluation, by turns without and with waiting sandboxes."""
    with ExitStack() as stack:
        without, pooled = (
            stack.enter_context(Evaluator(testbed, default_sandbox(), workers=workers, prewarm=prewarm))
            for prewarm in (False, True)
        )
        seconds(without), seconds(pooled)
        times: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(rounds):
            filled(pooled, len(SEEDS))
            times["without"].append(seconds(without))
            times["with"].append(seconds(pooled))
        filled(pooled, len(SEEDS))
        waiting, memory = pooled.waiting, proportional_kib()
    figures = {name: round(median(found), 3) for name, found in times.items()}
    return {
        "workers": workers,
        **figures,
        "ratio": round(figures["without"] / figures["with"], 2),
        "waiting": waiting,
        "waiting_mib": round(memory / 1024, 1),
    }


def throughput(testbed: Testbed, workers: int, evaluations: int) -> dict[str, float]:
    """Evaluations a minute in a row, by turns: half of them, all of the others, the other half."""
    used = {"without": 0.0, "with": 0.0}
    peak = 0
    with ExitStack() as stack:
        evaluators = {
            name: stack.enter_context(Evaluator(testbed, default_sandbox(), workers=workers, prewarm=name == "with"))
            for name in used
        }
        for name in ("without", "with", "with", "without"):
            started = time.monotonic()
            for _ in range(evaluations // 2):
                result = evaluators[name].evaluate(evaluators[name].vanilla_code(), "public", SEEDS)
                peak = max(peak, result.peak_memory_bytes)
            used[name] += time.monotonic() - started
    figures = {name: round(60 * evaluations / spent, 1) for name, spent in used.items()}
    return {
        "workers": workers,
        **figures,
        "ratio": round(figures["with"] / figures["without"], 2),
        "peak_mib_a_seed": round(peak / 2**20, 1),
    }


def main() -> None:
    """Measure and tell, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=20)
    asked = parser.parse_args()
    testbed = load_testbed("chat")
    figures = {
        "latency_seconds": [latency(testbed, workers, asked.rounds) for workers in (1, 2)],
        "evaluations_a_minute": [throughput(testbed, workers, asked.evaluations) for workers in (1, 2)],
    }
    json.dump(figures, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
