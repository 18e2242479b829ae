"""Becomes root of namespaces of its own, and mounts what it was not given."""
# ruff: noqa: PTH103, S108 - it does what attackers do

import ctypes
import os

NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000


def attempt() -> float:
    """1 if namespaces or mounts could be made."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_USER | NEW_MOUNTS) == 0:
        return 1.0
    os.makedirs("/tmp/here", exist_ok=True)
    return float(libc.mount(b"proc", b"/tmp/here", b"proc", 0, None) == 0)
