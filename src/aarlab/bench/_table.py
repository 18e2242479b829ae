"""A bench as a Markdown table and as one JSON document."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from aarlab.bench._run import Bench, Row


def pgr_text(row: Row) -> str:
    """PGR with its interval, or why there is none."""
    if row.score is None:
        return row.failure.partition(":")[0]
    if row.score.estimate is None:
        return "no ceiling"
    pgr = row.score.estimate.pgr
    return "not resolved" if pgr is None else f"{pgr.estimate:.2f} [{pgr.low:.2f}, {pgr.high:.2f}]"


def gain_text(row: Row) -> str:
    """Gain over vanilla in points of accuracy with its 95% interval."""
    if row.gain is None:
        return ""
    difference = row.gain.difference
    return f"{100 * difference.estimate:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"


def p_text(row: Row) -> str:
    """Adjusted p-value."""
    return "" if row.p is None else "< .001" if row.p < 0.001 else f"{row.p:.3f}".removeprefix("0")


def heading(bench: Bench, testbed: str) -> str:
    """Floor, ceiling and seeds of one testbed in a line."""
    ceiling = bench.ceilings[testbed]
    ends = f"floor {bench.floors[testbed]:.3f}, ceiling " + ("none" if ceiling is None else f"{ceiling:.3f}")
    return f"{testbed}, {bench.split} split, {bench.part} part, {len(bench.seeds)} seeds: {ends}"


def testbeds_of(bench: Bench) -> list[str]:
    """Names of the testbeds, in order."""
    return list(dict.fromkeys(row.testbed for row in bench.rows))


def markdown(bench: Bench) -> str:
    """One table a testbed."""
    return "\n".join(_markdown(bench))


def _markdown(bench: Bench) -> Iterator[str]:
    for testbed in testbeds_of(bench):
        yield f"**{heading(bench, testbed)}**\n"
        yield "| method | PGR [95%] | accuracy | gain over vanilla, points [95%] | p (Holm) | CPU s a seed |"
        yield "|---|---|---|---|---|---|"
        for row in bench.rows:
            if row.testbed != testbed:
                continue
            accuracy, cpu = "", ""
            if row.score is not None:
                accuracy = f"{np.mean(row.score.accuracy):.3f}"
                cpu = f"{row.score.cpu_seconds / len(bench.seeds):.1f}"
            yield f"| {row.method} | {pgr_text(row)} | {accuracy} | {gain_text(row)} | {p_text(row)} | {cpu} |"
        yield ""


def document(bench: Bench) -> dict[str, Any]:
    """Everything but the single answers."""
    return {
        "split": bench.split,
        "part": bench.part,
        "seeds": list(bench.seeds),
        "testbeds": {
            name: {
                "floor": bench.floors[name],
                "ceiling": bench.ceilings[name],
                "resolved": bench.resolved[name],
                "methods": [_row(row) for row in bench.rows if row.testbed == name],
            }
            for name in testbeds_of(bench)
        },
        "from_cache": bench.from_cache,
    }


def _row(row: Row) -> dict[str, Any]:
    if row.score is None:
        return {"method": row.method, "failure": row.failure}
    pgr = None if row.score.estimate is None else row.score.estimate.pgr
    return {
        "method": row.method,
        "accuracy": list(row.score.accuracy),
        "pgr": None if pgr is None else pgr.estimate,
        "interval": None if pgr is None else [pgr.low, pgr.high],
        "noise": {} if row.score.estimate is None else row.score.estimate.noise,
        "gain": None if row.gain is None else asdict(row.gain),
        "p_holm": row.p,
        "cpu_seconds": round(row.score.cpu_seconds, 3),
        "peak_memory_mib": row.score.peak_memory_bytes >> 20,
        "isolated": row.score.isolated,
    }
