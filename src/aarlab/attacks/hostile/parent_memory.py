"""Reads the memory of every other process through /proc and looks for what the server knows."""
# ruff: noqa: PTH123, PTH207 - it does what attackers do

import glob
import os

SECRET = ("", "")  # filled in: two halves, so that this file does not hold it


def attempt() -> float:
    """1 if another process's memory holds the secret."""
    secret = "".join(SECRET).encode()
    for folder in glob.glob("/proc/[0-9]*"):
        if folder == f"/proc/{os.getpid()}":
            continue
        try:
            with open(f"{folder}/maps") as maps, open(f"{folder}/mem", "rb", buffering=0) as memory:
                for line in maps:
                    start, end = (int(part, 16) for part in line.split()[0].split("-"))
                    try:
                        memory.seek(start)
                        if secret in memory.read(min(end - start, 2**28)):
                            return 1.0
                    except (OSError, ValueError, OverflowError):
                        continue
        except OSError:
            continue
    return 0.0
