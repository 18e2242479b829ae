"""A weaker sandbox for machines that allow neither user namespaces nor containers: Landlock.

What it protects: code inside opens the files of its program and a temporary folder, and no others, so that labels
and other submissions stay unread, by whatever path; it makes no TCP connection (Linux 6.7) and reaches no process
outside by a signal or an abstract socket (Linux 6.12); it has no capability and gains none; its whole tree ends with
the session. What it does not: there is no namespace, so system calls tell it about the host, though /proc is
closed; until the harness's filter is on it may send datagrams and connect to socket files whose modes allow
it; its temporary folder lies on disk, and only each file in it is capped, not their sum; paths are those of this
machine. Results say that they are not isolated, since not every attack of
the self test fails here.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from aarlab.sandbox import _confine
from aarlab.sandbox._cgroup import make_group
from aarlab.sandbox._held import open_held
from aarlab.sandbox._links import TMP, link_tree, visible
from aarlab.sandbox._rlimits import rlimits
from aarlab.sandbox._session import ProcessSession
from aarlab.sandbox._types import Limits, Program
from aarlab.sandbox._unprivileged import free_user
from aarlab.sandbox.errors import SandboxUnavailable

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class LandlockSandbox:
    """Runs programs that restrict themselves. See the module's docstring for what it protects."""

    name = "landlock"
    trusted_isolation = False

    def __init__(self, *, use_cgroups: bool = True) -> None:
        """Check that this kernel can.

        Args:
            use_cgroups: False to rely on rlimits alone, as where no control group is writable.

        Raises:
            SandboxUnavailable: it has no Landlock, or one too old.
        """
        known = _confine.version()
        if known < _confine.FIRST:
            found = f"version {known}" if known > 0 else "none"
            raise SandboxUnavailable((f"landlock: found {found}, needs version {_confine.FIRST} (Linux 6.2)",))
        self.use_cgroups = use_cgroups

    def open(self, program: Program, limits: Limits) -> ProcessSession:
        """Start a program: held back until its control group is set."""
        group = make_group(limits.memory_bytes, limits.processes) if self.use_cgroups else None
        folder = tempfile.TemporaryDirectory(prefix="aarlab-landlock-", ignore_cleanup_errors=True)
        root = Path(folder.name).resolve()
        user, copies = _user(program, root)
        linked = link_tree(program, root, copies)
        if user is not None:
            root.chmod(0o755)
            os.chown(root / TMP.lstrip("/"), user, user)
        plan = {
            "argv": linked.argv,
            "environment": dict(linked.environment),
            "folder": str(root / TMP.lstrip("/")),
            **_rules(program, root, copies),
            "user": user,
            "limits": rlimits(limits, capped=group is not None, overhead=0),
        }

        def command(info: int, block: int) -> list[str]:
            whole = {**plan, "info": info, "block": block}
            return [sys.executable, "-I", "-S", _confine.__file__, json.dumps(whole)]

        return open_held("landlock", command, limits, group, cleanup=folder.cleanup)


def _rules(program: Program, root: Path, copies: frozenset[Path]) -> dict[str, list[str]]:
    """What may be read and what be written; rules only ever add to what lies below, so masks are left out."""
    return {
        "read": [str(root), *DEVICES, *(str(host) for _, host in visible(program) if host not in copies)],
        "write": [str(root / TMP.lstrip("/")), os.devnull, *program.devices],
    }


def _user(program: Program, root: Path) -> tuple[int | None, frozenset[Path]]:
    """Whom to run as, if we are root, and the files that must be copied for them to be read.

    None stands for ourselves: as one who is not root, or since that user could not enter the folders of Python.
    """
    user = free_user() if os.geteuid() == 0 else None
    hosts = [host for inside, host in program.mounts.items() if not (host.is_symlink() and host == Path(inside))]
    closed = {host for host in hosts if not _open_to_all(host)}
    if user is None or not _open_to_all(root.parent) or any(host.is_dir() for host in closed):
        return None, frozenset()
    return user, frozenset(closed)


def _open_to_all(path: Path) -> bool:
    """Whether every user can reach this file or folder, and read it."""
    real = path.resolve()
    wanted = 0o5 if real.is_dir() else 0o4
    return real.stat().st_mode & wanted == wanted and all(folder.stat().st_mode & 0o1 for folder in real.parents)
