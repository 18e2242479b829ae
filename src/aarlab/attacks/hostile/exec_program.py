"""Starts another program: a fresh Python, where no filter and no watch of the first one holds."""
# ruff: noqa: S605, S607 - it does what attackers do

import os
import subprocess
import sys

PROGRAM = "import sys; sys.stdout.write('free')"


def attempt() -> float:
    """1 if a program ran."""
    for argv in ([sys.executable, "-S", "-c", PROGRAM], ["/proc/self/exe", "-S", "-c", PROGRAM], ["/bin/echo", "free"]):
        try:
            if b"free" in subprocess.run(argv, capture_output=True, timeout=20, check=False).stdout:
                return 1.0
        except OSError:
            continue
    return float(os.system("true") == 0)
