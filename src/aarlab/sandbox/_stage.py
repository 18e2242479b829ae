"""`python -I -S _stage.py PLAN ARGV...`: show a user without rights what only root can reach, then run as that user.

Runs as root, before the sandbox. A folder that only root may enter (a temporary one, `/root`) hides what lies in
it from the unprivileged user. So, in a mount namespace of its own, each wanted file is bound below an empty
`/tmp`, where everybody can reach it; files that others may not read are copied. Standard library only: nothing
of this package need be importable.
"""

import ctypes
import json
import os
import resource
import shutil
import sys
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
STAGE = "/tmp"  # noqa: S108 - an empty one, in a mount namespace of its own


def main() -> None:
    """Mount, drop every right, and become the command."""
    plan = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int, what: str) -> None:
        if result != 0:
            sys.exit(f"stage: {what}: {os.strerror(ctypes.get_errno())}")

    def mount(source: str, target: str, kind: bytes | None, flags: int, options: bytes | None = None) -> None:
        check(libc.mount(source.encode(), target.encode(), kind, ctypes.c_ulong(flags), options), f"mount {target}")

    check(libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    # Opened before /tmp is hidden, since much of what is wanted lies there.
    opened = {name: os.open(path, os.O_PATH) for name, path in plan["files"].items()}
    mount("tmpfs", STAGE, b"tmpfs", 0, b"mode=0755")
    for name, descriptor in opened.items():
        source, target = Path(f"/proc/self/fd/{descriptor}"), Path(STAGE, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            target.mkdir()
            mount(str(source), str(target), None, MS_BIND | MS_REC)
        elif source.stat().st_mode & 0o004:
            target.touch()
            mount(str(source), str(target), None, MS_BIND)
        else:
            shutil.copyfile(source, target)
            target.chmod(0o444)
        os.close(descriptor)
    for number, value in plan["limits"].items():
        resource.setrlimit(int(number), tuple(value))
    os.setgroups([])
    os.setresgid(*[plan["user"]] * 3)
    os.setresuid(*[plan["user"]] * 3)
    os.execve(sys.argv[2], sys.argv[2:], {})  # noqa: S606 - the sandbox itself


if __name__ == "__main__":
    main()
