"""Reads another process's memory by system call, past the files of /proc."""
# ruff: noqa: PTH123 - it does what attackers do

import ctypes
import os


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def attempt() -> float:
    """1 if a byte of another process was read."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(64)
    local = _Span(ctypes.cast(buffer, ctypes.c_void_p), 64)
    for pid in sorted({1, os.getppid(), *range(2, 64)} - {os.getpid()}):
        try:
            with open(f"/proc/{pid}/maps") as maps:
                start = int(maps.readline().split("-")[0] or "400000", 16)
        except (OSError, ValueError):
            start = 0x400000
        remote = _Span(start, 64)
        if libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0:
            return 1.0
    return 0.0
