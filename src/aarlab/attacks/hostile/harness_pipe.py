"""Finds the harness's pipe by trying every descriptor, and announces an answer of 2**60 bytes."""
# ruff: noqa: ARG001, PTH110 - it does what attackers do

import os
import select

from aarlab.students import Predictor, Problem

DESCRIPTORS = range(3, 64)


def fit(problem: Problem, seed: int) -> Predictor:
    """Write to whatever can be written to."""
    from aarlab.harness import frames

    forged = frames.frame(frames.READY) + frames.HEADER.pack(frames.PREDICTIONS, 2**60) + bytes(4096)
    sources = []
    for descriptor in DESCRIPTORS:
        try:
            os.write(descriptor, forged)
        except OSError:
            if os.path.exists(f"/proc/self/fd/{descriptor}"):
                sources.append(descriptor)
    while True:  # take what is sent, so that the other side goes on
        for descriptor in select.select(sources, [], [], 1)[0]:
            os.read(descriptor, 2**16)
