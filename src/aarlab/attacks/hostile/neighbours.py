"""Looks for the files and the memory of a submission that runs at the same time."""
# ruff: noqa: PTH123, PTH207, S108 - it does what attackers do

import glob
import os
import time

SECRET = ("", "")  # filled in: two halves of what the other submission's code holds


def _readable(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(2**20)
    except OSError:
        return b""


def attempt() -> float:
    """1 if the other one's code was found."""
    secret = "".join(SECRET).encode()
    for _ in range(8):
        others = [p for p in glob.glob("/proc/[0-9]*") if p != f"/proc/{os.getpid()}"]
        paths = [
            f"{p}/{what}" for p in others for what in ("environ", "cmdline", "root/job/method.py", "cwd/method.py")
        ]
        paths += [*glob.glob("/tmp/**", recursive=True), *glob.glob("/job/*"), *glob.glob("/dev/shm/*")]
        if any(secret in _readable(path) for path in paths):
            return 1.0
        time.sleep(0.25)
    return 0.0
