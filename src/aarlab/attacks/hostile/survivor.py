"""Leaves a process behind that goes on when its evaluation has ended."""

import ctypes
import os
import time

NAME = "survivor"  # filled in: what the process calls itself


def attempt() -> float:
    """0: whether it survived is seen from outside."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, NAME.encode(), 0, 0, 0)
            time.sleep(600)
        os._exit(0)
    time.sleep(0.2)
    return 0.0
