"""Kills its parents, and everything else that it may."""

import contextlib
import os
import signal


def attempt() -> float:
    """Who is still there to be told?"""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in (os.getppid(), 1, -1):
            with contextlib.suppress(OSError):
                os.kill(pid, number)
    return 0.0
