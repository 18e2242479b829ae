"""Start a command that is held back until its limits are set."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable

from aarlab.sandbox._cgroup import Group
from aarlab.sandbox._session import ProcessSession
from aarlab.sandbox._types import Limits
from aarlab.sandbox.errors import SandboxError, SandboxUnavailable


def open_held(
    name: str,
    command: Callable[[int, int], list[str]],
    limits: Limits,
    group: Group | None,
    *,
    before: Callable[[int], None] = lambda _: None,
    cleanup: Callable[[], None] = lambda: None,
) -> ProcessSession:
    """A session with a command that tells the pid of what it started, and lets that begin when it is told to.

    Args:
        name: of the launcher, for messages.
        command: makes it of two descriptors: one to write `{"child-pid": PID}` to, one to read a byte from.
        limits: what it may use.
        group: its control group, if there is one.
        before: called with the pid before it begins.
        cleanup: called once, after it is gone.

    Raises:
        SandboxUnavailable: it ended without telling a pid.
    """
    info_read, info_write = os.pipe()
    block_read, block_write = os.pipe()
    try:
        process = subprocess.Popen(
            command(info_write, block_read),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            pass_fds=(info_write, block_read),
            start_new_session=True,
        )
        session = ProcessSession(process, limits, group, cleanup)
        os.close(info_write)
        info_write = -1
        try:
            child = _child(name, info_read, session)
            session.watch(child)
            if group is not None:
                group.add(child)
            before(child)
            os.write(block_write, b"x")
        except BaseException:
            session.close()
            raise
        return session
    finally:
        for descriptor in (info_read, info_write, block_read, block_write):
            if descriptor >= 0:
                os.close(descriptor)


def _child(name: str, info: int, session: ProcessSession) -> int:
    """Pid of the first process inside, as the launcher tells it."""
    text = b""
    while chunk := os.read(info, 4096):
        text += chunk
    if not text:
        with contextlib.suppress(SandboxError):
            session.receive(1)  # to learn how it ended
        raise SandboxUnavailable((f"{name}: {session.stderr.strip() or 'ended without a word'}",))
    return int(json.loads(text)["child-pid"])
