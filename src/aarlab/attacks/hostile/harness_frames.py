"""Finds the harness's pipe in its frames and writes the answers itself: twice what a probability can be."""
# ruff: noqa: ARG001 - it does what attackers do

import io
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from aarlab.students import Predictor, Problem

Pipe = io.BufferedWriter | io.BufferedReader


def _pipes() -> Iterator[Pipe]:
    """Whatever reads or writes, in the frames below this one and one step into what they hold."""
    frame: Any = sys._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()):
            held = list(vars(value).values()) if hasattr(value, "__dict__") else []
            yield from (thing for thing in (value, *held) if isinstance(thing, Pipe) and thing.fileno() > 2)
        frame = frame.f_back


def fit(problem: Problem, seed: int) -> Predictor:
    """Take over the conversation."""
    from aarlab.harness import frames

    pipes = list(_pipes())
    forged = frames.frame(frames.READY) + 8 * frames.frame(frames.PREDICTIONS, np.full(256, 2.0).tobytes())
    for pipe in pipes:
        if isinstance(pipe, io.BufferedWriter):
            pipe.write(forged)
            pipe.flush()
    while True:  # take what is sent, so that the other side goes on
        for pipe in pipes:
            if isinstance(pipe, io.BufferedReader):
                pipe.read1(2**16)
