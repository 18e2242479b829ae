"""Sends pickles through the harness's pipe, where predictions or the report of a failure are due."""
# ruff: noqa: ARG001 - it does what attackers do

import os
import pickle
import time
from pathlib import Path

from aarlab.students import Predictor, Problem

MARK = "/nowhere/mark"  # filled in: a file that only the operator's process could make


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path(MARK),))


def fit(problem: Problem, seed: int) -> Predictor:
    """Send bombs."""
    from aarlab.harness import frames

    bomb = pickle.dumps(Bomb())
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, frames.frame(frames.FAILURE, bomb))
        except OSError:
            continue
    time.sleep(20)  # so that what is read is what was sent, not that the process ended
    os._exit(0)
