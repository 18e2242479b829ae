"""`python -I -S _confine.py PLAN`: start a command that restricts itself by Landlock, and end its whole tree with it.

Two processes: the first stays outside the restrictions, adopts whatever the command's descendants leave behind,
and kills all of it when the command ends or our starter does; the second restricts itself and becomes the command.
Standard library only: nothing of this package need be importable.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from pathlib import Path
from types import FrameType
from typing import Any

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all architectures
VERSION, PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_DEVICES = 1 << 6 | 1 << 11  # character, block
TRUNCATE, IOCTL_DEVICE = 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE  # what a rule on a file may say
READ = EXECUTE | READ_FILE | READ_DIR

# Rights that the kernel knows, by version of Landlock; what it does not know it cannot deny.
FIRST = 3  # Linux 6.2: before, files could be truncated though not written
FILES = {FIRST: (1 << 15) - 1, 5: (1 << 16) - 1}
TCP = {4: 0b11}  # bind, connect
SCOPES = {6: 0b11}  # abstract unix sockets, signals

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 24, 38, 36
CAPABILITIES = 64  # more than there are
CAPABILITY_VERSION = 0x20080522

LIBC = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Version of Landlock in this kernel; 0 or less if it has none, or it is switched off."""
    return int(_syscall(CREATE_RULESET, None, 0, VERSION))


def restrict(read: list[str], write: list[str]) -> None:
    """Deny this process, for good, every file but these, TCP, and where the kernel can, sockets and signals.

    Args:
        read: files and folders to read and execute, with all below them.
        write: files and folders to read and write.
    """
    known = version()
    files = _rights(FILES, known)
    ruleset = _checked(_syscall(CREATE_RULESET, *_attributes(known), 0), "Landlock ruleset")
    for rights, paths in ((READ, read), (files & ~MAKE_DEVICES & ~IOCTL_DEVICE, write)):
        for path in paths:
            descriptor = os.open(path, os.O_PATH)
            allowed = rights if Path(path).is_dir() else rights & OF_FILES
            rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, descriptor))
            _checked(_syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0), path)
            os.close(descriptor)
    _checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))), "no new privileges")
    _checked(_syscall(RESTRICT_SELF, ruleset, 0), "Landlock")
    os.close(ruleset)


def _attributes(known: int) -> tuple[Any, int]:
    values = (_rights(FILES, known), _rights(TCP, known), _rights(SCOPES, known))
    count = 1 if known < 4 else 2 if known < 6 else 3  # an older kernel refuses what it does not know
    packed = struct.pack(f"={count}Q", *values[:count])
    return ctypes.create_string_buffer(packed, len(packed)), len(packed)


def _rights(by_version: dict[int, int], known: int) -> int:
    return next((rights for since, rights in sorted(by_version.items(), reverse=True) if since <= known), 0)


def _syscall(number: int, *arguments: Any) -> int:
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return int(LIBC.syscall(ctypes.c_long(number), *values))


def _checked(result: int, what: str) -> int:
    if result < 0:
        sys.exit(f"confine: {what}: {os.strerror(ctypes.get_errno())}")
    return result


def _drop_rights(user: int | None) -> None:
    """Give up root: become another user if there is one, and in any case lose every capability."""
    if os.geteuid() != 0:
        return
    for number in range(CAPABILITIES):
        LIBC.prctl(PR_CAPBSET_DROP, *map(ctypes.c_ulong, (number, 0, 0, 0)))  # refused for those there are not
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION, 0))
    _checked(LIBC.capset(header, ctypes.create_string_buffer(24)), "capset")


def _become(plan: dict[str, Any]) -> None:
    """The second process: wait until it may begin, restrict itself, become the command."""
    os.setsid()
    os.read(plan["block"], 1)
    os.close(plan["block"])
    for number, value in plan["limits"].items():
        resource.setrlimit(int(number), tuple(value))
    _drop_rights(plan["user"])
    LIBC.prctl(PR_SET_PDEATHSIG, *map(ctypes.c_ulong, (signal.SIGKILL, 0, 0, 0)))
    os.chdir(plan["folder"])
    restrict(plan["read"], plan["write"])
    os.execve(plan["argv"][0], plan["argv"], plan["environment"])  # noqa: S606 - what all this is for


def _children() -> list[int]:
    """Processes whose parent we are, by birth or by adoption."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(path.parent.name))
    return found


def _end_all() -> None:
    """Kill children until there are none; theirs become ours."""
    while True:
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _stop(_: int, __: FrameType | None) -> None:
    _end_all()
    os._exit(128 + signal.SIGTERM)


def main() -> None:
    """Start the command, and outlive all that comes of it."""
    plan = json.loads(sys.argv[1])
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    first = os.fork()
    if first == 0:
        os.close(plan["info"])
        _become(plan)
    signal.signal(signal.SIGTERM, _stop)
    LIBC.prctl(PR_SET_PDEATHSIG, *map(ctypes.c_ulong, (signal.SIGTERM, 0, 0, 0)))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)  # the command's ends of the pipes are its alone
    os.close(plan["block"])
    os.write(plan["info"], json.dumps({"child-pid": first}).encode())
    os.close(plan["info"])
    status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    _end_all()
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
