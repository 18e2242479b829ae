"""A session bounds everything it reads, and can start its clock anew."""

import pytest

from aarlab.sandbox import (
    CpuTimeExceeded,
    ForbiddenCall,
    Limits,
    OutputExceeded,
    SandboxCrashed,
    StartFailed,
    WallTimeExceeded,
    default_sandbox,
    python_program,
)

ECHO = "import os\nwhile True: os.write(1, os.read(0, 1))"


@pytest.mark.parametrize(
    "code",
    [
        "import os\nwhile True: os.write(2, b'x' * 4096)",
        "import os\nwhile True: os.write(1, b'x' * 4096); os.write(2, b'x' * 4096)",
        "import os\nfor _ in range(60): os.write(1, b'x' * 4096); os.write(2, b'x' * 8192)\nos.read(0, 1)",
    ],
    ids=["stderr", "both", "neither alone"],
)
def test_both_outputs_count(code: str):
    limits = Limits(output_bytes=500_000, wall_seconds=60)
    with default_sandbox().open(python_program(("-S", "-c", code)), limits) as session:
        with pytest.raises(OutputExceeded) as caught:
            session.receive(10**9)
        assert caught.value.limit == 500_000
        assert len(session.stderr) <= limits.stderr_bytes


def test_a_restart_gives_new_time_and_room_for_output():
    limits = Limits(wall_seconds=60, output_bytes=3)
    with default_sandbox().open(python_program(("-S", "-c", ECHO)), limits) as session:
        for _ in range(3):
            session.send(b"abc")
            assert session.receive(3) == b"abc"
            session.restart(limits)
        session.send(b"abcd")
        with pytest.raises(OutputExceeded):
            session.receive(4)


def test_a_restart_sets_the_clock():
    with default_sandbox().open(python_program(("-S", "-c", ECHO)), Limits(wall_seconds=600)) as session:
        session.send(b"a")
        session.receive(1)
        session.restart(Limits(wall_seconds=0.5))
        with pytest.raises(WallTimeExceeded) as caught:
            session.receive(1)
        assert caught.value.limit == 0.5
        assert session.close().wall_seconds >= 0.5


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("os.kill(os.getpid(), signal.SIGSYS)", ForbiddenCall),
        ("os.kill(os.getpid(), signal.SIGXCPU)", CpuTimeExceeded),
        ("os.kill(os.getpid(), signal.SIGSEGV)", SandboxCrashed),
        ("sys.exit(1)", SandboxCrashed),
    ],
)
def test_how_it_ended_is_told_apart(end: str, expected: type[Exception]):
    program = python_program(("-S", "-c", f"import os, signal, sys\nos.write(2, b'last words')\n{end}"))
    with default_sandbox().open(program, Limits()) as session, pytest.raises(expected) as caught:
        session.receive(1)
    assert type(caught.value) is expected
    assert "last words" in getattr(caught.value, "stderr", "last words")


def test_what_was_not_ready_says_why():
    error = StartFailed(SandboxCrashed(1, "MemoryError"))
    assert "MemoryError" in error.message
    assert "doctor" in error.advice
    assert error.tried
