"""Run untrusted code: bubblewrap by default, one fresh sandbox a session (docs/sandbox.md)."""

from aarlab.sandbox._bubblewrap import BubblewrapSandbox, default_sandbox
from aarlab.sandbox._choose import SANDBOXES, SandboxName, choose_sandbox
from aarlab.sandbox._container import ContainerSandbox, find_engine
from aarlab.sandbox._landlock import LandlockSandbox
from aarlab.sandbox._python import python_program
from aarlab.sandbox._selftest import Check, self_test
from aarlab.sandbox._types import Limits, Program, Sandbox, Session, Usage
from aarlab.sandbox._unsafe import UnsafeSandbox
from aarlab.sandbox.errors import (
    CpuTimeExceeded,
    ForbiddenCall,
    LimitExceeded,
    MemoryExceeded,
    OutputExceeded,
    ProcessesExceeded,
    SandboxCrashed,
    SandboxError,
    SandboxUnavailable,
    StartFailed,
    WallTimeExceeded,
)

__all__ = [
    "SANDBOXES",
    "BubblewrapSandbox",
    "Check",
    "ContainerSandbox",
    "CpuTimeExceeded",
    "ForbiddenCall",
    "LandlockSandbox",
    "LimitExceeded",
    "Limits",
    "MemoryExceeded",
    "OutputExceeded",
    "ProcessesExceeded",
    "Program",
    "Sandbox",
    "SandboxCrashed",
    "SandboxError",
    "SandboxName",
    "SandboxUnavailable",
    "Session",
    "StartFailed",
    "UnsafeSandbox",
    "Usage",
    "WallTimeExceeded",
    "choose_sandbox",
    "default_sandbox",
    "find_engine",
    "python_program",
    "self_test",
]
