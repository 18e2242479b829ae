"""Fills the disk, in a few large files and in many small ones."""
# ruff: noqa: PTH118, PTH123, S108 - it does what attackers do

import os

MOST = 2**30


def attempt() -> float:
    """Share of a GiB that could be written."""
    written = 0
    for folder in ("/tmp", "/dev/shm", "/job", "/var/tmp", "/"):
        try:
            for number in range(64):
                with open(os.path.join(folder, f"fill{number}"), "wb", buffering=0) as file:
                    while written < MOST and (count := file.write(bytes(2**20))):
                        written += count
        except OSError:
            continue
    return written / MOST
