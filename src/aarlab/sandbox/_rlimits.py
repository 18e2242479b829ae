"""Limits of a single process, set from outside on a process that has not begun."""

import resource

from aarlab.sandbox._types import Limits

OVERHEAD_PROCESSES = 2  # bubblewrap's own, which count too


def set_rlimits(pid: int, limits: Limits, *, capped: bool) -> None:
    """Limits of each process; those on memory and processes only where no control group caps them."""
    wanted = {
        resource.RLIMIT_CPU: (limits.cpu_seconds, limits.cpu_seconds + 1),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (limits.tmp_bytes, limits.tmp_bytes),
        resource.RLIMIT_NOFILE: (256, 256),
    }
    if not capped:
        # Counted within the sandbox's own user namespace (Linux 5.14), but never for root's processes.
        wanted[resource.RLIMIT_NPROC] = (limits.processes + OVERHEAD_PROCESSES,) * 2
        wanted[resource.RLIMIT_DATA] = (limits.memory_bytes,) * 2
    for name, value in wanted.items():
        resource.prlimit(pid, name, value)
