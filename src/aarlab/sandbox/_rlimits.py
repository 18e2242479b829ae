"""Limits of a single process, set on one that has not begun."""

import resource
from collections.abc import Mapping

from aarlab.sandbox._types import Limits

OVERHEAD_PROCESSES = 2  # bubblewrap's own, which count too


def rlimits(limits: Limits, *, capped: bool, overhead: int = OVERHEAD_PROCESSES) -> dict[int, tuple[int, int]]:
    """Soft and hard limit of each process by resource.

    Args:
        limits: what the program may use.
        capped: whether a control group caps memory and processes, so that these need not.
        overhead: processes of the sandbox's own that count too.
    """
    wanted = {
        resource.RLIMIT_CPU: (limits.cpu_seconds, limits.cpu_seconds + 1),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (limits.tmp_bytes, limits.tmp_bytes),
        resource.RLIMIT_NOFILE: (256, 256),
    }
    if not capped:
        # Counted within the sandbox's own user namespace (Linux 5.14), but never for root's processes.
        wanted[resource.RLIMIT_NPROC] = (limits.processes + overhead,) * 2
        wanted[resource.RLIMIT_DATA] = (limits.memory_bytes,) * 2
    return wanted


def rlimit_names(limits: Limits) -> dict[str, tuple[int, int]]:
    """The same by the names that container engines use, which cap memory and processes themselves."""
    names = {getattr(resource, f"RLIMIT_{name.upper()}"): name for name in ("cpu", "core", "fsize", "nofile")}
    return {names[number]: value for number, value in rlimits(limits, capped=True).items()}


def set_rlimits(pid: int, wanted: Mapping[int, tuple[int, int]]) -> None:
    """Limit another process of ours, and all that it starts."""
    for name, value in wanted.items():
        resource.prlimit(pid, name, value)
