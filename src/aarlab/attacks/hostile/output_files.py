"""Overwrites what the evaluation reads: the method, the problem, the harness, the interpreter."""
# ruff: noqa: PTH101, PTH105, PTH123, S103, S108 - it does what attackers do

import os

TARGETS = (
    *("/job/method.py", "/job/problem.npz", "/job/score.json", "/job/predictions.npy", "/dev/null.txt", "/result"),
    *(
        "/runtime/aarlab/harness/frames.py",
        "/runtime/aarlab/students/probe.py",
        "/python/lib/evil.py",
        "/packages/evil.py",
    ),
)


def _overwrite(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"changed")


def _replace(path: str) -> None:
    with open("/tmp/x", "wb") as file:
        file.write(b"changed")
    os.replace("/tmp/x", path)


def _permit(path: str) -> None:
    os.chmod(path, 0o777)


def attempt() -> float:
    """Share of the files that could be written, replaced, removed or opened to all."""
    done = 0
    for path in TARGETS:
        for change in (_overwrite, _replace, _permit, os.unlink):
            try:
                change(path)
            except OSError:
                continue
            done += 1
            break
    return done / len(TARGETS)
