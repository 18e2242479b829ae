"""Opens the server's database, whose path it was told, directly and by every detour."""
# ruff: noqa: PTH112, PTH123, PTH207, PTH208, S108 - it does what attackers do

import glob
import os

PATHS = ["/nowhere"]  # filled in: the database, a folder above it, the operator's files


def attempt() -> float:
    """1 if one of them could be read."""
    roots = ["", "/..", "/tmp/..", "/job/..", "/proc/self/root", "/proc/1/root", *glob.glob("/proc/[0-9]*/cwd")]
    for path in (root + path for root in roots for path in PATHS):
        try:
            if os.path.isdir(path):
                os.listdir(path)
            else:
                with open(path, "rb") as file:
                    file.read(16)
        except OSError:
            continue
        return 1.0
    return 0.0
