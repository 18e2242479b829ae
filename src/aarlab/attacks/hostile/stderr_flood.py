"""Writes to standard error without end, to fill the operator's memory or log."""

import os

MOST = 2**32


def attempt() -> float:
    """1 if 4 GiB were taken."""
    written = 0
    while written < MOST:
        written += os.write(2, bytes(2**20))
    return 1.0
