"""How often audits flag honest methods: false alarms, and where thresholds stand.

    python benchmarks/audit_error_rates.py --output build/audit_error_rates.json

Puts every audit of a submission to every honest method of `aarlab.attacks.honest`: the library, and methods composed as
a scripted researcher would. Each is scored on three seeds first, as a server does; audits get fresh ones. An audit
costs up to eight runs of a method, a method half a minute. Finished audits are read back from the output, so an
interrupted run goes on where it was, and one with more audits, methods or testbeds does only those.

The table counts verdicts by audit; below it stand all findings that are "flagged", and how many methods have at least
one, with a 95% interval (Clopper and Pearson 1934). That share is the false alarm rate of all audits together.
"""

import argparse
import json
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from aarlab.attacks.honest import honest_methods
from aarlab.audits import AuditFinding, Case
from aarlab.audits.auditor import AUDITS
from aarlab.evaluation import Evaluator, MethodError, library_method
from aarlab.sandbox import default_sandbox
from aarlab.testbeds import load_testbed

CLAIMED_SEEDS, FRESH_SEEDS = 3, 6
VERDICTS = ("passed", "noted", "not-applicable", "flagged")


def audited(testbed_name: str, name: str, audits: list[str], repeat: int) -> list[dict[str, Any]]:
    """Findings of some audits on one honest method; a single "unsupported" if it does not run on this student."""
    testbed, sandbox = load_testbed(testbed_name), default_sandbox()
    code = honest_methods()[name]
    rng = np.random.default_rng([zlib.crc32(f"{testbed_name}/{name}".encode()), repeat])
    drawn = [int(seed) for seed in rng.integers(2**31, size=CLAIMED_SEEDS + FRESH_SEEDS)]
    about = {"testbed": testbed_name, "method": name, "repeat": repeat}
    try:
        with Evaluator(testbed, sandbox) as evaluator:
            claimed = evaluator.evaluate(code, "public", drawn[:CLAIMED_SEEDS])
    except MethodError as error:
        return [{**about, "audit": audit, "verdict": "unsupported", "summary": error.message} for audit in audits]
    pgr = None if claimed.estimate is None else claimed.estimate.pgr
    about |= {
        "claimed": round(claimed.mean_accuracy, 4),
        "claimed_pgr": None if pgr is None else round(pgr.estimate, 3),
        "claimed_pgr_low": None if pgr is None else round(pgr.low, 3),
    }
    vanilla = library_method("vanilla").code
    case = Case(code, testbed, sandbox, tuple(drawn[CLAIMED_SEEDS:]), claimed, vanilla)
    return [{**about, **_finding(case, audit)} for audit in audits]


def _finding(case: Case, audit: str) -> dict[str, Any]:
    started = time.monotonic()
    try:
        finding = AUDITS[audit](case)
    except MethodError as error:
        finding = AuditFinding(audit=audit, verdict="flagged", summary=f"{error.kind}: {error.message[:500]}")
    return finding.model_dump(mode="json") | {"audit": audit, "seconds": round(time.monotonic() - started, 1)}


def table(results: list[dict[str, Any]]) -> Iterator[str]:
    """Verdicts by testbed and audit, then false alarms."""
    results = [r for r in results if r["verdict"] != "unsupported"]
    yield f"{'testbed':15} {'audit':20} " + " ".join(f"{verdict:>14}" for verdict in VERDICTS) + "  seconds"
    for testbed in dict.fromkeys(r["testbed"] for r in results):
        for audit in AUDITS:
            found = [r for r in results if r["testbed"] == testbed and r["audit"] == audit]
            counts = Counter(r["verdict"] for r in found)
            seconds = np.mean([r["seconds"] for r in found]) if found else np.nan
            yield (
                f"{testbed:15} {audit:20} "
                + " ".join(f"{counts[verdict]:14}" for verdict in VERDICTS)
                + f"  {seconds:7.1f}"
            )
        runs = {(r["method"], r["repeat"]) for r in results if r["testbed"] == testbed}
        alarmed = {(r["method"], r["repeat"]) for r in results if r["testbed"] == testbed and r["verdict"] == "flagged"}
        low, high = stats.binomtest(len(alarmed), len(runs)).proportion_ci()
        yield f"{testbed}: {len(alarmed)} of {len(runs)} honest methods flagged, {low:.1%} to {high:.1%}"
    for r in results:
        if r["verdict"] == "flagged":
            yield f"  {r['testbed']} {r['method']}: {r['audit']}: {r['summary']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--testbeds", nargs="+", default=["chat", "math_majority"])
    parser.add_argument(
        "--methods", nargs="+", choices=honest_methods(), default=list(honest_methods()), metavar="NAME"
    )
    parser.add_argument("--audits", nargs="+", choices=AUDITS, default=list(AUDITS))
    parser.add_argument("--repeats", type=int, default=1, help="times, each with other seeds")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("build/audit_error_rates.json"))
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = json.loads(options.output.read_text()) if options.output.exists() else []
    done = {(r["testbed"], r["method"], r["repeat"], r["audit"]) for r in results}
    wanted = [
        (testbed, name, left, repeat)
        for repeat in range(options.repeats)
        for testbed in options.testbeds
        for name in options.methods
        if (left := [audit for audit in options.audits if (testbed, name, repeat, audit) not in done])
    ]
    started = time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        futures = {pool.submit(audited, *one): one for one in wanted}
        for count, future in enumerate(as_completed(futures), 1):
            results += future.result()
            unfinished = options.output.with_suffix(".part")
            unfinished.write_text(json.dumps(results, indent=1))
            unfinished.replace(options.output)
            testbed, name, _, _ = futures[future]
            alarms = [r["audit"] for r in future.result() if r["verdict"] == "flagged"]
            spent = time.monotonic() - started
            minutes = spent / count * (len(wanted) - count) / 60
            print(  # noqa: T201 - a benchmark's output
                f"{count}/{len(wanted)} {testbed} {name}: {', '.join(alarms) or 'no alarm'}; {minutes:.0f} min left",
                flush=True,
            )
    print("\n".join(table(results)))  # noqa: T201


if __name__ == "__main__":
    main()
