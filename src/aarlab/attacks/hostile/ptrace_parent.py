"""Attaches to its parents as a debugger does, to read and change them."""

import ctypes
import os

ATTACH, DETACH = 16, 17


def attempt() -> float:
    """1 if another process let itself be traced."""
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in sorted({1, os.getppid(), *range(2, 64)} - {os.getpid()}):
        if libc.ptrace(ATTACH, pid, None, None) == 0:
            os.waitpid(pid, 0x40000000)  # __WALL
            libc.ptrace(DETACH, pid, None, None)
            return 1.0
    return 0.0
