"""Which sandbox to use: the one that is named, or the first strong one that works."""

from functools import cache
from typing import Literal, get_args

from aarlab.sandbox._bubblewrap import default_sandbox
from aarlab.sandbox._container import find_engine
from aarlab.sandbox._landlock import LandlockSandbox
from aarlab.sandbox._python import python_program
from aarlab.sandbox._types import Limits, Sandbox
from aarlab.sandbox.errors import SandboxError, SandboxUnavailable

SandboxName = Literal["auto", "bubblewrap", "podman", "docker", "landlock"]
SANDBOXES: tuple[SandboxName, ...] = get_args(SandboxName)
STRONG: tuple[SandboxName, ...] = ("bubblewrap", "podman", "docker")  # in the order in which `auto` tries them
TRIAL = Limits(wall_seconds=60)


@cache
def choose_sandbox(name: SandboxName = "auto") -> Sandbox:
    """A sandbox that was seen to work on this machine.

    Args:
        name: "auto" for the first of bubblewrap, podman and docker that works; landlock is weaker, so it is taken
            only when it is named.

    Raises:
        SandboxUnavailable: it does not work, or none does; says what was tried.
    """
    if name != "auto":
        return _working(name)
    tried: list[str] = []
    for candidate in STRONG:
        try:
            return choose_sandbox(candidate)
        except SandboxUnavailable as error:
            tried.extend(error.tried)
    raise SandboxUnavailable(tuple(tried))


def _working(name: SandboxName) -> Sandbox:
    if name == "bubblewrap":
        return default_sandbox()  # tried already
    sandbox: Sandbox = LandlockSandbox() if name == "landlock" else find_engine(name)
    try:
        with sandbox.open(python_program(("-c", "import sys; sys.stdout.write('ok')")), TRIAL) as session:
            session.receive(2)
    except SandboxUnavailable:
        raise
    except SandboxError as error:
        said = str(getattr(error, "stderr", "")).strip().splitlines()[-1:] or [error.message]
        raise SandboxUnavailable((f"{name}: {said[0]}",)) from None
    return sandbox
