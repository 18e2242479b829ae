"""Writes to every descriptor that it has, the harness's pipe among them, without end."""

import os

MOST = 2**30


def attempt() -> float:
    """1 if a GiB was taken."""
    written = 0
    while written < MOST:
        before = written
        for descriptor in range(3, 64):
            try:
                written += os.write(descriptor, bytes(2**16))
            except OSError:
                continue
        if written == before:
            return 0.0
    return 1.0
