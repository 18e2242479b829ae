"""How well a team of scripted researchers searches, beside random search with the same budget.

    python benchmarks/team_search.py --draws 101 102 103 --output build/team_search.json

Runs the search of `aarlab.researchers.scripted` offline, in this process and without a sandbox (its methods
are our own code), on draws of `chat` other than the shipped one. Scores pass through the same leakage guard.
As in a study, the best of each researcher by public score, and of those the best five, are then looked at on
`private`.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aarlab.evaluation.guards import DEFAULT, Query, State, make_guard, step_for
from aarlab.methods import vanilla
from aarlab.researchers.directions import DIRECTIONS
from aarlab.researchers.scripted._compose import compose
from aarlab.researchers.scripted._genome import Genome
from aarlab.researchers.scripted._search import Observation, Proposal, _child, _fresh, propose
from aarlab.testbeds import Split, Testbed, correctness, make_testbed, packs_folder, read_pack

CONFIRMED = 5


def outcomes(testbed: Testbed, fit: Any, seed: int) -> dict[Split, Query]:
    """What a method gets right on both splits."""
    predict = fit(testbed.problem(), seed)
    found: dict[Split, Query] = {}
    for split in ("public", "private"):
        predictions = np.asarray(predict(testbed.examples(split)), dtype=np.float32)
        found[split] = Query(
            correct=correctness(predictions, testbed.labels(split))[None],
            groups=testbed.groups(split),
            floor=testbed.anchors(split).floor,
            floor_correct=testbed.floor_correct(split),
            content_hash=f"{id(predict)}-{seed}",
            predictions=predictions[None],
        )
    return found


def fit_of(genome: Genome) -> Any:
    """The `fit` of a composed method."""
    space: dict[str, Any] = {}
    exec(compile(compose(genome, "benchmark", ""), "method.py", "exec"), space)  # noqa: S102 - our own code
    return space["fit"]


def at_random(seen: list[Observation], rng: np.random.Generator) -> Proposal:
    """Random search: any ideas, whatever the scores."""
    known = {o.genome for o in seen}
    while True:
        genome = _fresh(DIRECTIONS[int(rng.integers(len(DIRECTIONS)))].name, known, rng)
        for _ in range(int(rng.integers(4))):
            genome = _child(genome, genome, DIRECTIONS[int(rng.integers(len(DIRECTIONS)))].name, rng)
        if genome.valid() and genome not in known:
            return Proposal(genome, None)


def _as_seen_by(researcher: int, researchers: int, seen: list[Observation]) -> list[Observation]:
    return [replace(o, own=place % researchers == researcher) for place, o in enumerate(seen)]


def simulate(testbed: Testbed, search: str, researchers: int, evaluations: int, seed: int) -> dict[str, Any]:
    """One team: its confirmed methods by public rank, and how its best public score grew."""
    rng = np.random.default_rng(seed)
    guard = make_guard(DEFAULT, rng.bytes(32), step=step_for(testbed), examples=len(testbed.rows("public")))
    state, known = State(), {}
    seen: list[Observation] = []
    truth: list[dict[Split, float]] = []
    for tried in range(evaluations):
        for researcher in range(researchers):
            family = DIRECTIONS[researcher % len(DIRECTIONS)].name
            proposal = (
                propose(_as_seen_by(researcher, researchers, seen), tried, family, rng)
                if search == "team"
                else at_random(seen, rng)
            )
            found = outcomes(testbed, fit_of(proposal.genome), int(rng.integers(2**31)))
            truth.append({split: query.accuracy for split, query in found.items()})
            best = None if state.best_hash is None else known[state.best_hash]
            answer, state = guard.answer(found["public"], state, best)
            known[found["public"].content_hash] = found["public"]
            seen.append(Observation(len(truth), proposal.genome, answer.accuracy, own=False))
    public = np.array([t["public"] for t in truth])
    leaders = [max(range(r, len(truth), researchers), key=public.__getitem__) for r in range(researchers)]
    chosen = sorted(leaders, key=lambda i: -public[i])[:CONFIRMED]

    def pgr(accuracy: float, split: Split) -> float:
        anchors = testbed.anchors(split)
        return round((accuracy - anchors.floor) / (anchors.ceiling - anchors.floor), 3)

    return {
        "search": search,
        "seed": seed,
        "public": [pgr(truth[i]["public"], "public") for i in chosen],
        "private": [pgr(truth[i]["private"], "private") for i in chosen],
        "ideas": [seen[i].genome.line() for i in chosen],
        "mean_by_quarter": [pgr(float(part.mean()), "public") for part in np.array_split(public, 4)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--searches", nargs="+", choices=("team", "random"), default=["team", "random"])
    parser.add_argument("--seeds", type=int, default=1, help="teams a draw")
    parser.add_argument("--researchers", type=int, default=9)
    parser.add_argument("--evaluations", type=int, default=12)
    parser.add_argument("--output", type=Path, default=Path("build/team_search.json"))
    options = parser.parse_args()
    pack = read_pack(packs_folder() / "chat")
    if pack.manifest.draw in options.draws:
        parser.error("the shipped draw is not for tuning")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = json.loads(options.output.read_text()) if options.output.exists() else []
    done = {(r["draw"], r["search"], r["seed"]) for r in results}
    for draw in options.draws:
        testbed = make_testbed(pack, draw, ceiling_seeds=1)
        baseline = outcomes(testbed, vanilla.fit, 0)
        anchors = testbed.anchors("private")
        reference = (baseline["private"].accuracy - anchors.floor) / (anchors.ceiling - anchors.floor)
        for seed in range(options.seeds):
            for search in options.searches:
                if (draw, search, seed) in done:
                    continue
                started = time.monotonic()
                result = simulate(testbed, search, options.researchers, options.evaluations, seed)
                result |= {"draw": draw, "vanilla_private": round(reference, 3)}
                results.append(result)
                options.output.write_text(json.dumps(results, indent=1))
                print(  # noqa: T201 - a benchmark's output
                    f"draw {draw} {search:6} public {result['public']} private {result['private']} "
                    f"vanilla {reference:.2f} quarters {result['mean_by_quarter']} {time.monotonic() - started:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
