"""Searches /proc: environments, command lines and the root folders of other processes."""
# ruff: noqa: PTH110, PTH123, PTH207 - it does what attackers do

import glob
import os

SECRET = ("", "")  # filled in: two halves, so that this file does not hold it
PATHS = ["/nowhere"]  # filled in: files of the server


def attempt() -> float:
    """1 if /proc tells the secret, or leads to a file of the server."""
    secret = "".join(SECRET).encode()
    for path in [*glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline"), "/proc/cmdline", "/proc/keys"]:
        try:
            with open(path, "rb") as file:
                if secret in file.read():
                    return 1.0
        except OSError:
            continue
    for root in glob.glob("/proc/[0-9]*/root") + glob.glob("/proc/[0-9]*/cwd"):
        if any(os.path.exists(root + path) for path in PATHS):
            return 1.0
    return 0.0
