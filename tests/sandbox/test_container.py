"""Containers: the command, the session around a client, and the real thing where an engine runs."""

import csv
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from aarlab.sandbox import (
    ContainerSandbox,
    CpuTimeExceeded,
    Limits,
    MemoryExceeded,
    Program,
    SandboxCrashed,
    SandboxUnavailable,
    WallTimeExceeded,
    find_engine,
    python_program,
    self_test,
)
from aarlab.sandbox._container import IMAGE

LIMITS = Limits(wall_seconds=20, cpu_seconds=7, memory_bytes=3 * 2**20, processes=5, tmp_bytes=2**20)
PROGRAM = Program(
    argv=("/python/bin/python", "-m", "x"),
    mounts={"/job/method.py": Path("/some where/a,b.py"), "/python": Path("/usr")},
    masks=("/python/site-packages",),
    environment={"HOME": "/tmp"},
    devices=("/dev/some-gpu",),
)


def command(engine: str) -> list[str]:
    return ContainerSandbox(engine, Path("/usr/bin") / engine).command(PROGRAM, LIMITS, "aarlab-1-2")


def values(words: list[str], option: str) -> list[str]:
    return [after for before, after in pairwise(words) if before == option]


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_everything_is_closed(engine: str):
    words = command(engine)
    assert words[:4] == [f"/usr/bin/{engine}", "run", "--name", "aarlab-1-2"]
    assert {"--interactive", "--rm", "--read-only"} <= set(words)
    assert values(words, "--network") == ["none"]
    assert values(words, "--cap-drop") == ["ALL"]
    assert values(words, "--user") == ["65534:65534"]
    assert "no-new-privileges" in values(words, "--security-opt")
    assert values(words, "--pull") == ["never"]
    assert values(words, "--log-driver") == ["none"]  # else its output fills the disk
    assert values(words, "--ipc") == ["none"]  # else /dev/shm can be written
    assert not {"--privileged", "--volume", "-v", "--publish", "--tty", "-t", "--cap-add", "--detach"} & set(words)


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_limits(engine: str):
    words = command(engine)
    assert values(words, "--memory") == values(words, "--memory-swap") == [str(3 * 2**20)]
    assert values(words, "--pids-limit") == ["5"]
    assert set(values(words, "--ulimit")) == {"cpu=7:8", "core=0:0", f"fsize={2**20}:{2**20}", "nofile=256:256"}
    tmp, mask = values(words, "--tmpfs")
    assert tmp.startswith("/tmp:")
    assert f"size={2**20}" in tmp
    assert mask.startswith("/python/site-packages:ro")


def test_podman_shows_masked_folders_empty():
    """Unless told not to, it copies what lies below a tmpfs into it."""
    assert all("notmpcopyup" in value for value in values(command("podman"), "--tmpfs"))
    assert not any("notmpcopyup" in value for value in values(command("docker"), "--tmpfs"))
    assert "--read-only-tmpfs=false" in command("podman")


def test_mounts_are_read_only_and_quoted():
    mounts = [next(csv.reader([value])) for value in values(command("docker"), "--mount")]
    assert ["type=bind", "source=/some where/a,b.py", "destination=/job/method.py", "readonly"] in mounts
    assert all("readonly" in mount for mount in mounts)
    assert len(mounts) == 2


def test_the_program_comes_last_with_its_own_environment():
    words = command("docker")
    assert words[-4:] == ["/python/bin/python", IMAGE, "-m", "x"]
    environment = values(words, "--env")
    assert "HOME=/tmp" in environment
    assert "HTTPS_PROXY=" in environment
    assert {value for value in environment if not value.endswith("=")} == {"HOME=/tmp"}
    assert all("=" in value for value in environment)  # without a value the engine would take ours
    assert values(words, "--device") == ["/dev/some-gpu"]


@pytest.fixture
def engine(tmp_path: Path):
    """Stands in for the client of an engine: writes down what it is asked, and runs a script for `run`."""

    def make(script: str) -> tuple[ContainerSandbox, Path]:
        asked = tmp_path / "asked"
        client = tmp_path / "client"
        client.write_text(
            f"#!{sys.executable} -S\nimport os, sys, time, signal\n"
            f"open({str(asked)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))\n"
            f"if sys.argv[1] == 'run':\n    {script}\n"
        )
        client.chmod(0o755)
        return ContainerSandbox("docker", client), asked

    return make


def asked_to(asked: Path, what: str) -> list[str]:
    return [line for line in asked.read_text().splitlines() if line.startswith(what)]


def test_a_session_ends_its_container(engine):
    """The client's end is not the container's, so it is removed by name, whatever became of the client."""
    sandbox, asked = engine("time.sleep(60)")
    with pytest.raises(WallTimeExceeded), sandbox.open(PROGRAM, Limits(wall_seconds=1)) as session:
        session.receive(1)
    (run,) = asked_to(asked, "run")
    name = run.split()[2]
    assert asked_to(asked, "rm") == [f"rm --force {name}"]


def test_kill_ends_the_container_at_once(engine):
    sandbox, asked = engine("print('x', flush=True); time.sleep(60)")
    with sandbox.open(PROGRAM, Limits()) as session:
        assert session.receive(1) == b"x"
        session.kill()
        assert len(asked_to(asked, "rm")) == 1
        with pytest.raises(SandboxCrashed):
            session.receive(100)


def test_every_container_has_a_name_of_its_own(engine):
    sandbox, asked = engine("print('x', flush=True)")
    for _ in range(3):
        with sandbox.open(PROGRAM, Limits()) as session:
            session.receive(1)
    assert len({line.split()[2] for line in asked_to(asked, "run")}) == 3


def test_a_kill_by_the_engine_is_named(engine):
    sandbox, _ = engine("os._exit(137)")
    with sandbox.open(PROGRAM, Limits(memory_bytes=2**20)) as session, pytest.raises(MemoryExceeded) as caught:
        session.receive(1)
    assert caught.value.limit == 2**20
    with sandbox.open(PROGRAM, Limits(cpu_seconds=0)) as session, pytest.raises(CpuTimeExceeded):
        session.receive(1)


def test_a_client_gets_nothing_of_ours(engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    sandbox, _ = engine("sys.stdout.write(str(os.environ.get('ANTHROPIC_API_KEY')).ljust(6))")
    with sandbox.open(PROGRAM, Limits()) as session:
        assert session.receive(6) == b"None  "


def test_a_dead_daemon_says_so(tmp_path: Path):
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon.' >&2\nexit 1\n")
    client.chmod(0o755)
    with pytest.raises(SandboxUnavailable, match="docker: Cannot connect"):
        ContainerSandbox("docker", client).open(PROGRAM, Limits())


def real(engine: str) -> ContainerSandbox:
    try:
        sandbox = find_engine(engine)
        with sandbox.open(python_program(("-c", "")), Limits()):
            return sandbox
    except SandboxUnavailable as error:
        pytest.skip("; ".join(error.tried))


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ["docker", "podman"])
def test_the_real_thing_withstands_the_self_test(engine_name: str):
    failed = {check.name: check.detail for check in self_test(real(engine_name)) if not check.holds}
    assert failed == {}


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ["docker", "podman"])
def test_the_real_thing_sends_and_receives(engine_name: str):
    echo = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read(500000)); sys.stdout.flush()"
    data = bytes(range(250)) * 2000
    started = time.monotonic()
    with real(engine_name).open(python_program(("-c", echo)), Limits()) as session:
        session.send(data)
        assert session.receive(len(data)) == data
    assert time.monotonic() - started < Limits().wall_seconds
