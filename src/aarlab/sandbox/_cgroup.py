"""Control groups: caps on memory and processes that hold for a whole tree, whoever launches it.

Version 2 and version 1, wherever this process may make groups: as root, or below a delegated group.
Where it may not, `make_group` gives None and rlimits have to do.
"""

import contextlib
import os
import signal
import time
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CONTROLLERS = ("memory", "pids")
STALE = 60.0  # seconds; younger groups may be about to be used


@dataclass(frozen=True)
class Group:
    """A control group for one session: one folder in version 2, one a controller in version 1."""

    version: int
    folders: dict[str, Path]

    def limit(self, memory_bytes: int, processes: int) -> None:
        """Cap the whole tree."""
        if self.version == 2:
            self._write("memory", "memory.max", memory_bytes)
            self._write("pids", "pids.max", processes)
            with contextlib.suppress(OSError):  # absent without swap accounting
                self._write("memory", "memory.swap.max", 0)
        else:
            self._write("memory", "memory.limit_in_bytes", memory_bytes)
            self._write("pids", "pids.max", processes)

    def add(self, pid: int) -> None:
        """Move a process in; its future children follow."""
        for folder in set(self.folders.values()):
            _put(folder / "cgroup.procs", pid)

    def out_of_memory(self) -> bool:
        """Whether the kernel killed something here for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return self._count("memory", name, "oom_kill") > 0

    def out_of_processes(self) -> bool:
        """Whether starting a process or thread was refused here."""
        return self._count("pids", "pids.events", "max") > 0

    def cpu_seconds(self) -> float:
        """CPU time of the whole tree; 0 if not accounted."""
        if self.version == 2:
            return self._count("memory", "cpu.stat", "usage_usec") / 1e6
        return self._number("cpuacct", "cpuacct.usage") / 1e9

    def peak_memory_bytes(self) -> int:
        """Most memory the tree held; 0 if not accounted."""
        return self._number("memory", "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")

    def destroy(self) -> None:
        """Kill everything in the group and remove it."""
        for folder in set(self.folders.values()):
            for _ in range(200):
                pids = [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                try:
                    folder.rmdir()
                    break
                except OSError:
                    time.sleep(0.01)

    def _write(self, controller: str, name: str, value: int) -> None:
        _put(self.folders[controller] / name, value)

    def _number(self, controller: str, name: str) -> int:
        try:
            return int((self.folders[controller] / name).read_text())
        except (OSError, KeyError, ValueError):
            return 0

    def _count(self, controller: str, name: str, key: str) -> int:
        try:
            lines = (self.folders[controller] / name).read_text().splitlines()
        except (OSError, KeyError):
            return 0
        return next((int(line.split()[1]) for line in lines if line.split()[0] == key), 0)


def _put(path: Path, value: int) -> None:
    """Write to a control file that exists; a plain folder that is no control group has none."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def make_group(memory_bytes: int, processes: int) -> Group | None:
    """A fresh group with these caps, or None where no group can be made."""
    where = _writable()
    if where is None:
        return None
    version, parents = where
    for parent in set(parents.values()):
        _sweep(parent)
    name = f"aarlab-{os.getpid()}-{uuid.uuid4().hex[:16]}"
    group = Group(version, {controller: parent / name for controller, parent in parents.items()})
    for folder in set(group.folders.values()):
        folder.mkdir()
    group.limit(memory_bytes, processes)
    return group


@cache
def _sweep(folder: Path) -> None:
    """Remove the empty groups that killed processes of ours left here; once a process."""
    for group in folder.glob("aarlab-*-*"):
        owner = group.name.split("-")[1]
        with contextlib.suppress(OSError):  # not empty, or somebody else was faster
            if owner.isdecimal() and not Path("/proc", owner).exists() and time.time() - group.stat().st_mtime > STALE:
                group.rmdir()


@cache
def _writable() -> tuple[int, dict[str, Path]] | None:
    """Version of the control groups, and the folder by controller in which groups can be made and capped."""
    memberships = Path("/proc/self/cgroup")
    if not memberships.exists():
        return None
    version_1: dict[str, Path] = {}
    for line in memberships.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for mount in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
                own = mount / path.lstrip("/")
                # Version 2 allows no processes beside capped groups, so a sibling is the usual place.
                for parent in (own, own.parent):
                    if mount in (parent, *parent.parents) and _works(2, dict.fromkeys(CONTROLLERS, parent)):
                        return 2, dict.fromkeys(CONTROLLERS, parent)
            continue
        for controller in controllers.split(","):
            if controller in (*CONTROLLERS, "cpuacct"):
                version_1[controller] = Path("/sys/fs/cgroup") / controller / path.lstrip("/")
    if set(CONTROLLERS) <= version_1.keys():
        for parents in (version_1, {name: version_1[name] for name in CONTROLLERS}):
            if _works(1, parents):
                return 1, parents
    return None


def _works(version: int, parents: dict[str, Path]) -> bool:
    """Whether a group can be made, capped and removed in these folders."""
    name = f"aarlab-probe-{uuid.uuid4().hex[:8]}"
    group = Group(version, {controller: parent / name for controller, parent in parents.items()})
    made = []
    try:
        for folder in set(group.folders.values()):
            folder.mkdir()
            made.append(folder)
        group.limit(2**30, 64)
    except OSError:
        return False
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
    return True
