"""Starts processes until no more can be had, and keeps them all."""

import os
import time

MOST = 1024  # enough to show that nothing stops it, too few to bring a machine down


def attempt() -> float:
    """Share of 1,024 processes that could be started."""
    started = 0
    for _ in range(MOST):
        try:
            pid = os.fork()
        except OSError:
            continue
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        started += 1
    return started / MOST
