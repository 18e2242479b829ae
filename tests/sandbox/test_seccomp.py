"""Calls that nobody may make end the process, in every thread, with and without a sandbox around it."""

import errno
import os
import signal
import struct
from pathlib import Path

import pytest

from aarlab.sandbox import (
    ForbiddenCall,
    Limits,
    Sandbox,
    SandboxCrashed,
    UnsafeSandbox,
    _seccomp,
    default_sandbox,
    python_program,
)
from aarlab.sandbox._seccomp import CLONE, CLONE3, CLONE_NEW, FATAL, LAST_KNOWN, MACHINES, REFUSED, SOCKET, X32

pytestmark = pytest.mark.skipif(not _seccomp.available(), reason="this machine has no seccomp")

COLUMN = MACHINES[os.uname().machine].column if _seccomp.available() else 0
BEGIN = """
import ctypes, os, sys
import seccomp
assert seccomp.install()
call = ctypes.CDLL(None, use_errno=True).syscall
"""


def run(code: str, count: int = 1, sandbox: Sandbox | None = None) -> bytes:
    """Output of code behind the filter."""
    program = python_program(
        ("-S", "-c", BEGIN + code), mounts={"/runtime/seccomp.py": Path(_seccomp.__file__)}, path=("/runtime",)
    )
    with (sandbox or default_sandbox()).open(program, Limits(wall_seconds=30)) as session:
        return session.receive(count)


def answer(*numbers: int) -> int:
    """The error number that a call gets, 0 for success."""
    arguments = ", ".join(f"ctypes.c_long({n})" for n in numbers)
    code = f"gave = call({arguments})\nsys.stdout.write('%4d' % (ctypes.get_errno() if gave < 0 else 0))"
    return int(run(code, 4))


@pytest.mark.parametrize("name", FATAL)
def test_a_forbidden_call_is_fatal(name: str):
    with pytest.raises(ForbiddenCall):
        run(f"call({FATAL[name][COLUMN]}, 0, 0, 0, 0, 0, 0)")


@pytest.mark.parametrize(
    "attempt",
    [
        "os.execv('/proc/self/exe', ['python'])",
        "import socket; socket.socket()",
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        f"call({FATAL['ptrace'][COLUMN]}, 0, 0, 0, 0)",
        f"call({X32 + FATAL['ptrace'][COLUMN] if COLUMN == 0 else FATAL['ptrace'][COLUMN]})",
    ],
)
@pytest.mark.parametrize("sandbox", [default_sandbox(), UnsafeSandbox()], ids=lambda s: s.name)
def test_it_is_fatal_by_whichever_way_and_wherever(attempt: str, sandbox: Sandbox):
    with pytest.raises(ForbiddenCall) as caught:
        run(attempt, sandbox=sandbox)
    assert "forbidden system call" in caught.value.message


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="32-bit calls of x86")
def test_a_call_by_the_32_bit_door_is_fatal():
    """`int 0x80` with the number of execve on i386, in code made writable and executable."""
    code = """
import mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes([0xB8, 11, 0, 0, 0, 0x31, 0xDB, 0x31, 0xC9, 0x31, 0xD2, 0xCD, 0x80, 0xC3]))
ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
sys.stdout.write("!")
"""
    with pytest.raises(ForbiddenCall):
        run(code)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_says_so(name: str):
    assert answer(REFUSED[name][COLUMN], 0, 0, 0, 0, 0) == errno.EPERM


def test_local_sockets_are_refused_and_what_is_unknown_does_not_exist():
    assert answer(SOCKET[COLUMN], 1, 1, 0) == errno.EPERM
    assert answer(CLONE3, 0, 0) == errno.ENOSYS
    assert answer(LAST_KNOWN + 1, 0, 0) == errno.ENOSYS


@pytest.mark.parametrize("flag", [1 << bit for bit in range(32) if CLONE_NEW >> bit & 1], ids=hex)
def test_no_process_gets_a_namespace(flag: int):
    assert answer(CLONE[COLUMN], flag | 17, 0, 0, 0, 0) == errno.EPERM


def test_threads_that_were_there_before_are_filtered_too():
    early = """
import threading, time
go = threading.Event()
def late():
    go.wait()
    import socket
    socket.socket()
threading.Thread(target=late, daemon=True).start()
import ctypes, sys, seccomp
assert seccomp.install()
go.set()
time.sleep(20)
"""
    program = python_program(
        ("-S", "-c", early), mounts={"/runtime/seccomp.py": Path(_seccomp.__file__)}, path=("/runtime",)
    )
    with default_sandbox().open(program, Limits(wall_seconds=30)) as session, pytest.raises(ForbiddenCall):
        session.receive(1)


def test_a_child_dies_alone_and_cannot_start_a_program():
    code = """
import subprocess
ended = subprocess.run([sys.executable, "-c", "pass"]).returncode
sys.stdout.write("%4d" % ended)
"""
    assert int(run(code, 4)) == -signal.SIGSYS


def test_threads_and_forks_and_pipes_go_on():
    code = """
import threading, time
ends = os.pipe()
if os.fork() == 0:
    os.write(ends[1], b"child")
    os._exit(0)
done = []
thread = threading.Thread(target=lambda: done.append(os.read(ends[0], 5)))
thread.start()
thread.join()
os.wait()
sys.stdout.write(done[0].decode())
"""
    assert run(code, 5) == b"child"


def test_the_filter_cannot_be_taken_off():
    """A second filter only adds; the old one still holds."""
    code = "seccomp.FATAL.clear()\nseccomp.install()\nimport socket\nsocket.socket()\nsys.stdout.write('!')"
    with pytest.raises(ForbiddenCall):
        run(code)


def test_without_a_filter_it_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_seccomp, "MACHINES", {})
    assert not _seccomp.available()
    assert not _seccomp.install()


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_every_jump_lands_on_an_instruction(machine: _seccomp._Machine):
    """The kernel checks this for the machine at hand; the other one is checked here."""
    code = list(_seccomp.program(machine))
    for place, (_, if_true, if_false, _) in enumerate(struct.unpack("=HBBI", one) for one in code):
        assert place + 1 + max(if_true, if_false) < len(code) or place + 1 == len(code)
    assert struct.unpack("=HBBI", code[-1])[0] == _seccomp.RETURN


def test_ending_with_its_status_is_a_claim_against_oneself():
    with pytest.raises(ForbiddenCall):
        run("os._exit(128 + 31)")
    with pytest.raises(SandboxCrashed) as caught:
        run("os._exit(31)")
    assert not isinstance(caught.value, ForbiddenCall)
