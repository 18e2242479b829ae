"""Run untrusted code: bubblewrap by default, one fresh sandbox a session."""

from aarlab.sandbox._bubblewrap import BubblewrapSandbox, default_sandbox
from aarlab.sandbox._python import python_program
from aarlab.sandbox._selftest import Check, self_test
from aarlab.sandbox._types import Limits, Program, Sandbox, Session, Usage
from aarlab.sandbox._unsafe import UnsafeSandbox
from aarlab.sandbox.errors import (
    CpuTimeExceeded,
    LimitExceeded,
    MemoryExceeded,
    OutputExceeded,
    ProcessesExceeded,
    SandboxCrashed,
    SandboxError,
    SandboxUnavailable,
    WallTimeExceeded,
)

__all__ = [
    "BubblewrapSandbox",
    "Check",
    "CpuTimeExceeded",
    "LimitExceeded",
    "Limits",
    "MemoryExceeded",
    "OutputExceeded",
    "ProcessesExceeded",
    "Program",
    "Sandbox",
    "SandboxCrashed",
    "SandboxError",
    "SandboxUnavailable",
    "Session",
    "UnsafeSandbox",
    "Usage",
    "WallTimeExceeded",
    "default_sandbox",
    "python_program",
    "self_test",
]
