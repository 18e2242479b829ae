"""No sandbox at all, for machines where none works and a user who insists."""

import subprocess
import tempfile
from pathlib import Path

from aarlab.sandbox._links import link_tree
from aarlab.sandbox._rlimits import rlimits, set_rlimits
from aarlab.sandbox._session import ProcessSession
from aarlab.sandbox._types import Limits, Program


class UnsafeSandbox:
    """Runs programs as the user, protected by nothing.

    The code can read every file of the user, labels included, use the network until the harness's filter is on,
    and change what it likes. Time and output are limited, against accidents only.
    """

    name = "none"
    trusted_isolation = False

    def open(self, program: Program, limits: Limits) -> ProcessSession:
        """Start a program, with links in a temporary folder in place of its mounts."""
        folder = tempfile.TemporaryDirectory(prefix="aarlab-unsafe-")
        linked = link_tree(program, Path(folder.name))
        process = subprocess.Popen(
            linked.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(linked.environment),
            cwd=folder.name,
            start_new_session=True,
        )
        set_rlimits(process.pid, rlimits(limits, capped=True))
        return ProcessSession(process, limits, None, cleanup=folder.cleanup)
