"""Looks for files, folders and sockets that were left open when its process was started."""
# ruff: noqa: PTH115, S108 - it does what attackers do

import os
import stat


def attempt() -> float:
    """1 if a descriptor leads to anything but a pipe or a device."""
    for descriptor in range(1024):
        try:
            mode = os.fstat(descriptor).st_mode
            where = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        inside = where.startswith(("/job/", "/runtime/", "/packages/", "/python/", "/tmp/", "/proc/"))
        if stat.S_ISSOCK(mode) or ((stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and not inside):
            return 1.0
    return 0.0
