"""No sandbox at all, for machines where none works and a user who insists."""

import subprocess
import tempfile
from pathlib import Path

from aarlab.sandbox._rlimits import set_rlimits
from aarlab.sandbox._session import ProcessSession
from aarlab.sandbox._types import Limits, Program


class UnsafeSandbox:
    """Runs programs as the user, protected by nothing.

    The code can read every file of the user, labels included, use the network, and change what it likes.
    Time, memory of each process and output are limited, against accidents only.
    """

    name = "none"
    trusted_isolation = False

    def open(self, program: Program, limits: Limits) -> ProcessSession:
        """Start a program, with links in a temporary folder in place of its mounts."""
        folder = tempfile.TemporaryDirectory(prefix="aarlab-unsafe-")
        root = Path(folder.name)
        ours = {inside: host for inside, host in program.mounts.items() if Path(inside) != host}
        for inside, host in ours.items():
            link = root / inside.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(host)
        tops = {"/" + inside.split("/")[1] for inside in ours}

        def outside(text: str) -> str:
            parts = text.split(":")
            return ":".join(str(root) + p if "/" + p.lstrip("/").split("/")[0] in tops else p for p in parts)

        process = subprocess.Popen(
            [outside(word) if word.startswith("/") else word for word in program.argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: outside(value) for name, value in program.environment.items()},
            cwd=root,
            start_new_session=True,
        )
        set_rlimits(process.pid, limits, capped=True)
        return ProcessSession(process, limits, None, cleanup=folder.cleanup)
