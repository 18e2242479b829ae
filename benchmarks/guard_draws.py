"""How the strongest attack on the default guard fares from draw to draw, and with how much noise.

    python benchmarks/guard_draws.py --draws 101 102 103 104 105 106

`guard_leakage.py` measures all guards and attacks on few draws; this, `informed-regression` on many.
It starts from the predictions of `confident`, asks until the guard's answers are used up, and guesses the labels.
"""

import argparse
import json

import numpy as np

from aarlab.attacks.queries import GuardedOracle, leak
from aarlab.evaluation.guards import TaperedGuard, step_for
from aarlab.methods import confident
from aarlab.testbeds import make_testbed
from aarlab.testbeds.catalog import load_pack

ATTACK = "informed-regression"
NOISES = (0.25, 0.35, 0.5, 0.7)  # standard deviation, in steps
QUERIES = 200  # more than are answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--testbed", default="chat")
    parser.add_argument("--draws", type=int, nargs="+", default=list(range(101, 107)))
    parser.add_argument("--secrets", type=int, default=4, help="runs a draw")
    options = parser.parse_args()
    pack, _ = load_pack(options.testbed)
    for draw in options.draws:
        testbed = make_testbed(pack, draw, ceiling_seeds=1)
        inputs = testbed.examples("public")
        predict = confident.fit(testbed.problem(), 0)
        base = np.asarray(predict(inputs), dtype=np.float64)
        if inputs.pairs:
            base = 0.5 + (base - np.asarray(predict(inputs.swapped()))) / 2
        for noise in NOISES:
            runs = []
            for secret in range(options.secrets):
                rng = np.random.default_rng([draw, secret])
                oracle = GuardedOracle(TaperedGuard(rng.bytes(32), step_for(testbed), noise=noise), testbed)
                runs.append(leak(ATTACK, oracle, base, oracle.labels, oracle.groups, QUERIES, rng))
            row = {
                "draw": draw,
                "noise": noise,
                "gained": round(float(np.mean([run.gained for run in runs])), 1),
                "chance": round(float(np.mean([run.chance for run in runs])), 1),
                "above_chance": float(np.mean([run.gained > run.chance for run in runs])),
                "inflation_in_se": round(float(np.mean([run.inflation / run.inflation_se for run in runs])), 2),
            }
            print(json.dumps(row), flush=True)  # noqa: T201 - a benchmark's output


if __name__ == "__main__":
    main()
