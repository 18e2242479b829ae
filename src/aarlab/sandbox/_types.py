"""What to run, within which limits, and what a sandbox promises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from aarlab.sandbox.errors import SandboxError


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Attributes:
        wall_seconds: from opening the session, or `Session.restart`, to its last byte.
        cpu_seconds: CPU time of each process (RLIMIT_CPU); all together are bounded by wall time and `processes`.
        memory_bytes: of all processes together where a cgroup is writable, else of each.
        processes: processes and threads at the same time.
        output_bytes: all it writes to standard output and standard error together.
        tmp_bytes: size of its writable /tmp, which lives in memory.
        stderr_bytes: how much of the end of standard error is kept.
    """

    wall_seconds: float = 60.0
    cpu_seconds: int = 60
    memory_bytes: int = 2 * 2**30
    processes: int = 32
    output_bytes: int = 64 * 2**20
    tmp_bytes: int = 64 * 2**20
    stderr_bytes: int = 64 * 2**10


@dataclass(frozen=True)
class Program:
    """What to run.

    Attributes:
        argv: the command, as seen inside.
        mounts: host file or folder by its path inside; each read-only, and all there is to read.
        masks: folders inside that are shown empty, though a mount would show more.
        environment: the whole environment.
        devices: device files that can be used inside, such as those of a GPU.
    """

    argv: tuple[str, ...]
    mounts: Mapping[str, Path] = field(default_factory=dict)
    masks: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What a run used. CPU and memory are 0 where the machine does not tell (a killed run, no cgroup)."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


class Session(Protocol):
    """A running program, talked to over its standard input and output."""

    @property
    def stderr(self) -> str:
        """Tail of its standard error. Untrusted text."""

    def restart(self, limits: Limits) -> None:
        """Count wall time and output anew, for one that was made ready ahead of its work.

        Args:
            limits: what it may use from now on. Memory, processes, CPU and /tmp stay as they were set; what
                is said of CPU and memory here is what an error will name.
        """

    def send(self, data: bytes) -> None:
        """Write to its standard input, reading what it writes meanwhile so that nobody waits for ever.

        Raises:
            SandboxError: it ended, or broke a limit.
        """

    def receive(self, count: int) -> bytes:
        """Read exactly `count` bytes of its standard output.

        Raises:
            SandboxError: it ended, or broke a limit.
        """

    def breach(self) -> SandboxError | None:
        """The limit of memory or processes it ran into, even if it went on afterwards."""

    def kill(self) -> None:
        """End it from any thread; whoever talks to it finds it ended, and still closes it."""

    def close(self) -> Usage:
        """Kill it and all its descendants; may be called again."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Sandbox(Protocol):
    """A way to run untrusted code: one fresh sandbox a session.

    Attributes:
        name: what results say they ran in.
        trusted_isolation: False if code in it can reach what it should not; results are then marked.
    """

    name: str
    trusted_isolation: bool

    def open(self, program: Program, limits: Limits) -> Session:
        """Start a program.

        Raises:
            SandboxUnavailable: the sandbox cannot be made.
        """
