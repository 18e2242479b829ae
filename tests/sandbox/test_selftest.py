"""The self test tells sandboxes from none, and bubblewrap withstands it with control groups and without."""

import os
from pathlib import Path

import pytest

from aarlab.sandbox import BubblewrapSandbox, Limits, SandboxError, UnsafeSandbox, python_program, self_test
from aarlab.sandbox._bubblewrap import find_bwrap
from aarlab.sandbox._selftest import FILTERED, QUIET


def failed(sandbox) -> dict[str, str]:
    return {check.name: check.detail for check in self_test(sandbox) if not check.holds}


@pytest.mark.slow
@pytest.mark.parametrize("use_cgroups", [True, False], ids=["groups", "rlimits"])
@pytest.mark.parametrize("executable", find_bwrap(), ids=str)
def test_bubblewrap_holds(executable: Path, use_cgroups: bool):
    assert failed(BubblewrapSandbox(executable, use_cgroups=use_cgroups)) == {}


@pytest.mark.slow
def test_no_sandbox_does_not_hold_and_says_how_to_mend_it():
    checks = self_test(UnsafeSandbox())
    assert {
        "no network",
        "no sockets of this machine",
        "no files of this machine",
        "no files of other submissions",
        "no processes of others",
        "no signals to others",
        "read-only but for /tmp",
        "no way out by links",
        "memory is capped",
        "processes are capped",
        "temporary files are capped",
        "nothing outlives the session",
    } <= {check.name for check in checks if not check.holds}
    assert all(bool(check.mend) is not check.holds for check in checks)


class Broken:
    """Says that it is a sandbox, and cannot start anything."""

    name, trusted_isolation = "broken", True

    def open(self, program, limits):  # noqa: ARG002 - the protocol's
        raise SandboxError("It does not start.")


def test_a_sandbox_that_does_not_start_holds_nothing():
    checks = self_test(Broken())
    assert len(checks) > len(QUIET) + len(FILTERED)
    assert not any(check.holds for check in checks)
    assert all("does not start" in check.detail for check in checks if check.name != "system calls are filtered")


def ask(code: str, *, use_cgroups: bool) -> bytes:
    sandbox = BubblewrapSandbox(find_bwrap()[0], use_cgroups=use_cgroups)
    with sandbox.open(python_program(("-S", "-c", code)), Limits(processes=8)) as session:
        return session.receive(int.from_bytes(session.receive(8), "little"))


ANSWER = """
import os, sys
text = str({}).encode()
sys.stdout.buffer.write(len(text).to_bytes(8, 'little') + text)
sys.stdout.flush()
"""
WAIT = "import time; time.sleep(20)"
FORK = """
import os, time
count = 0
while count < 50:
    try:
        if os.fork() == 0:
            time.sleep(20)
    except OSError:
        break
    count += 1
"""


@pytest.mark.parametrize("use_cgroups", [True, False])
def test_processes_are_capped_whoever_runs_it(use_cgroups: bool):
    assert 0 < int(ask(FORK + ANSWER.format("count"), use_cgroups=use_cgroups)) <= 8


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a root to hide")
@pytest.mark.parametrize("use_cgroups", [True, False])
def test_root_is_not_root_inside_nor_outside(use_cgroups: bool):
    """As seen from outside. Settings in /proc/sys are root's to write, whatever it is called inside."""
    mark = f"mark-{os.getpid()}-{use_cgroups}"
    program = python_program(("-S", "-c", ANSWER.format("os.getuid()") + WAIT, mark))
    with BubblewrapSandbox(find_bwrap()[0], use_cgroups=use_cgroups).open(program, Limits()) as session:
        assert session.receive(int.from_bytes(session.receive(8), "little")) == b"65534"
        # The sandbox and its guardian have the mark too; nothing that has it is root's.
        folders = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if mark in words(path)]
        owners = {folder.stat().st_uid for folder in folders}
    assert len(folders) >= 2
    assert 0 not in owners


def words(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").split("\0")
    except OSError:  # it ended
        return []


def test_kernel_settings_cannot_be_written():
    code = """
import os
try:
    os.close(os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)); seen = 'open'
except OSError:
    seen = 'refused'
"""
    assert ask(code + ANSWER.format("seen"), use_cgroups=True) == b"refused"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read what others may not")
def test_a_file_that_only_root_may_read_is_still_mounted(tmp_path: Path):
    """The evaluation's files lie in folders of mode 0700, and under umask 077 in files of mode 0600."""
    secret = tmp_path / "problem"
    secret.write_text("problem")
    secret.chmod(0o600)
    tmp_path.chmod(0o700)
    show = "print(open('/job/problem').read(), flush=True)"
    program = python_program(("-S", "-c", show), mounts={"/job/problem": secret})
    with BubblewrapSandbox(find_bwrap()[0]).open(program, Limits()) as session:
        assert session.receive(7) == b"problem"
    assert secret.stat().st_mode & 0o777 == 0o600
