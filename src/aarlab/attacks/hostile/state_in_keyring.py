"""Keeps state in the kernel's keyring of its user, which outlives a process."""

import ctypes
import platform

ADD, SEARCH_COMMAND, USER_KEYRING = 248, 10, -4
CONTROL = 250
ARM = {ADD: 217, CONTROL: 219}


def attempt() -> float:
    """1 if an earlier run's key was found."""
    libc = ctypes.CDLL(None, use_errno=True)
    arm = platform.machine() == "aarch64"
    add, control = (ARM[number] if arm else number for number in (ADD, CONTROL))
    if libc.syscall(control, SEARCH_COMMAND, USER_KEYRING, b"user", b"aarlab-state", 0) >= 0:
        return 1.0
    libc.syscall(add, b"user", b"aarlab-state", b"seen", 4, USER_KEYRING)
    return 0.0
