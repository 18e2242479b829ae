"""Keeps state in System V shared memory, which outlives a process."""

import ctypes

KEY, SIZE, CREATE = 0xAA71AB, 4096, 0o1666


def attempt() -> float:
    """1 if an earlier run's segment was found."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.shmget(KEY, SIZE, 0o666) >= 0:
        return 1.0
    libc.shmget(KEY, SIZE, CREATE)
    return 0.0
