"""A filter of system calls that a process puts on itself, all its threads and all its future children.

What it protects: the kernel. Code behind it starts no program, opens no connection, traces or reads no other
process, makes no namespace and no mount, and reaches none of the subsystems that kernel exploits like best (bpf,
io_uring, userfaultfd, performance counters, modules, keys). A call that honest numerical code never makes ends the
process at once, by a signal that it cannot catch; how it ended is seen outside. What it does not: it is a list of
what is forbidden, not of what is allowed, since numpy, scipy and torch need most of the rest; reading and writing
files is up to the sandbox's mounts, and what a descriptor already open can do stays possible. A child that makes a
forbidden call dies alone; its parent sees that, nobody outside does.

It needs the standard library alone, because it is mounted into sandboxes without its package.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

# Never called by numpy, scipy, scikit-learn, joblib or torch: whoever calls them is up to something.
FATAL = {
    # name: (x86-64, aarch64)
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "connect": (42, 203),
    "bind": (49, 200),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "open_by_handle_at": (304, 265),
    "personality": (135, 92),
}

# Refused with EPERM, as without privileges: questions and settings that a library may try and do without.
# `socketpair` is among them because asyncio makes one when it is merely started.
REFUSED = {
    "socketpair": (53, 199),
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    "kcmp": (312, 272),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "acct": (163, 89),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}
REFUSED_X86 = {"iopl": 172, "ioperm": 173, "modify_ldt": 154}

SOCKET = (41, 198)
CLONE = (56, 220)
CLONE3 = 435
LAST_KNOWN = 462  # mseal, Linux 6.10

AF_UNIX = 1
CLONE_NEW = 0x7E020000  # namespaces: mount, cgroup, uts, ipc, user, pid, net
X32 = 0x40000000

# Offsets in `struct seccomp_data`; of an argument the low half, which is all the kernel looks at here.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16

LOAD, EQUAL, AT_LEAST, GREATER, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06
KILL, REFUSE, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000

PR_SET_NO_NEW_PRIVS = 38
SET_MODE_FILTER, GET_ACTION_AVAILABLE = 1, 2
ALL_THREADS = 1


@dataclass(frozen=True)
class _Machine:
    """An architecture: which column of the tables, its name to the kernel, the number of `seccomp`."""

    column: int
    audit: int
    seccomp: int


MACHINES = {"x86_64": _Machine(0, 0xC000003E, 317), "aarch64": _Machine(1, 0xC00000B7, 277)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> bool:
    """Whether this machine can filter: Linux 4.14 or newer with seccomp, on x86-64 or aarch64."""
    machine = _machine()
    if machine is None:
        return False
    return _seccomp(machine, GET_ACTION_AVAILABLE, 0, ctypes.c_uint32(KILL)) == 0


def install() -> bool:
    """Filter this process from now on, for good; False if this machine cannot."""
    machine = _machine()
    if machine is None or not available():
        return False
    code = b"".join(program(machine))
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))) != 0:
        return False
    return _seccomp(machine, SET_MODE_FILTER, ALL_THREADS, _Program(len(code) // 8, code)) == 0


def program(machine: _Machine) -> Iterator[bytes]:
    """The filter, one instruction of classic BPF at a time."""
    column = machine.column
    yield _instruction(LOAD, ARCHITECTURE)
    yield _instruction(EQUAL, machine.audit, if_true=1)
    yield _instruction(RETURN, KILL)  # 32-bit calls have other numbers
    yield _instruction(LOAD, NUMBER)
    if column == 0:
        yield from _answer(AT_LEAST, X32, KILL)
    for numbers in FATAL.values():
        yield from _answer(EQUAL, numbers[column], KILL)
    for numbers in REFUSED.values():
        yield from _answer(EQUAL, numbers[column], REFUSE | errno.EPERM)
    for number in REFUSED_X86.values() if column == 0 else ():
        yield from _answer(EQUAL, number, REFUSE | errno.EPERM)
    # The flags of clone3 lie in memory, where a filter cannot look; the C library then takes clone. The same
    # answer for what is newer than these tables: an older kernel would give it.
    yield from _answer(EQUAL, CLONE3, REFUSE | errno.ENOSYS)
    yield from _answer(GREATER, LAST_KNOWN, REFUSE | errno.ENOSYS)
    # The C library asks the name service through a local socket when it is asked for a user's name.
    yield _instruction(EQUAL, SOCKET[column], if_false=4)
    yield _instruction(LOAD, FIRST_ARGUMENT)
    yield from _answer(EQUAL, AF_UNIX, REFUSE | errno.EPERM)
    yield _instruction(RETURN, KILL)
    # Threads and plain forks pass: the sandbox caps their number.
    yield _instruction(EQUAL, CLONE[column], if_false=3)
    yield _instruction(LOAD, FIRST_ARGUMENT)
    yield from _answer(ANY_BIT, CLONE_NEW, REFUSE | errno.EPERM)
    yield _instruction(RETURN, ALLOW)


def _answer(test: int, value: int, action: int) -> Iterator[bytes]:
    """Answer with an action if the test holds, else go on."""
    yield _instruction(test, value, if_false=1)
    yield _instruction(RETURN, action)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _machine() -> _Machine | None:
    # A 32-bit program on a 64-bit kernel has the calls of neither table.
    return MACHINES.get(os.uname().machine) if sys.platform == "linux" and struct.calcsize("P") == 8 else None


def _seccomp(machine: _Machine, operation: int, flags: int, argument: ctypes.c_uint32 | _Program) -> int:
    numbers = map(ctypes.c_long, (machine.seccomp, operation, flags))
    return int(ctypes.CDLL(None).syscall(*numbers, ctypes.byref(argument)))
