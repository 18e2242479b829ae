"""How fine an answer may be, from public facts of the testbed alone."""

import math

from aarlab.stats import compare_accuracy
from aarlab.testbeds import Testbed

# Standard error of the difference between two methods, over that between ceiling and floor; or, without a ceiling,
# over the floor's own. Medians over pairs of 48 honest methods: .67 and .79 (chat), .64 and .75 (another draw of
# chat), .63 and .87 (math): docs/guards.md.
OF_GAP, OF_FLOOR = 0.65, 0.8
FINEST = 0.005


def step_for(testbed: Testbed) -> float:
    """Two standard errors of the difference between two methods on `public`, in accuracy, before there are any methods.

    Args:
        testbed: with floor and, if the student can be trained, ceiling.

    Returns:
        A multiple of .005, rounded up, in (0, 1].
    """
    groups, floor = testbed.groups("public"), testbed.floor_correct("public")[None]
    if len(testbed.ceiling_predictions):
        error = OF_GAP * compare_accuracy(testbed.ceiling_correct("public"), floor, groups).standard_error
    else:
        error = OF_FLOOR * testbed.anchors("public").floor_se
    return min(1.0, round(max(1, math.ceil(2 * error / FINEST - 1e-9)) * FINEST, 10))
