"""Try to break out of a sandbox, with small programs that run in it; `aarlab doctor` prints what held."""

import json
import os
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aarlab
from aarlab.sandbox._python import python_program
from aarlab.sandbox._types import Limits, Sandbox
from aarlab.sandbox.errors import (
    LimitExceeded,
    MemoryExceeded,
    ProcessesExceeded,
    SandboxCrashed,
    SandboxError,
    WallTimeExceeded,
)

LIMITS = Limits(wall_seconds=8, memory_bytes=300 * 2**20, processes=16, tmp_bytes=2**20)

NETWORK = """
import socket
def attempt():
    try:
        socket.create_connection(("127.0.0.1", PORT), timeout=2).close()
    except OSError as error:
        return str(error)
answer = attempt()
"""
FILES = """
import os
def readable(path):
    try:
        return bool(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))
    except OSError:
        return False
answer = [path for path in PATHS if readable(path)]
"""
ENVIRONMENT = """
import glob
found = []
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        if (SECRET).encode() in open(path, "rb").read():
            found.append(path)
    except OSError:
        pass
answer = found
"""
READ_ONLY = """
import os
answer = []
for path in ["/", "/dev", "/usr", "/python", "/proc/sys/kernel", "/runtime"]:
    try:
        open(os.path.join(path, "aarlab-test"), "wb").close()
        answer.append(path)
    except OSError:
        pass
"""
DISK = """
answer = 0
try:
    with open("/tmp/a", "wb", buffering=0) as a, open("/tmp/b", "wb", buffering=0) as b:
        for _ in range(64):
            answer += a.write(bytes(65536)) + b.write(bytes(65536))
except OSError:
    pass
"""
DESCRIPTORS = """
import os
listing = os.open("/proc/self/fd", os.O_RDONLY)
answer = [int(name) for name in os.listdir(listing) if int(name) not in (0, 1, 2, listing)]
os.close(listing)
answer = [fd for fd in answer if os.path.exists(f"/proc/self/fd/{fd}")]
"""
MEMORY = "held = [bytearray(2**24) for _ in range(1000)]\nanswer = 'held 16 GB'"
PROCESSES = """
import os, time
count = 0
for _ in range(200):
    try:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
    except OSError:
        break
    count += 1
answer = count
"""
ENDLESS = "while True: pass"
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/proc/self/exe", ["python", "-S", "-c", "import time; time.sleep(60)", MARK])
    os._exit(0)
time.sleep(0.3)
answer = None
"""


@dataclass(frozen=True)
class Check:
    """One property of a sandbox: whether it held, and what was seen."""

    name: str
    holds: bool
    detail: str


def self_test(sandbox: Sandbox) -> tuple[Check, ...]:
    """Attack a sandbox in each way that it should withstand; takes a few seconds."""
    checks: list[tuple[str, Callable[[Sandbox], tuple[bool, str]]]] = [
        ("no network", _network),
        ("no files of this machine", _files),
        ("no environment of ours", _environment),
        ("read-only but for /tmp", lambda s: _empty(_ask(s, READ_ONLY), "writable: ")),
        ("temporary files are capped", _disk),
        ("no inherited descriptors", lambda s: _empty(_ask(s, DESCRIPTORS), "open: ")),
        ("memory is capped", lambda s: _limited(s, MEMORY, MemoryExceeded)),
        ("processes are capped", _processes),
        ("an endless loop is stopped", lambda s: _limited(s, ENDLESS, WallTimeExceeded, wall_seconds=1.0)),
        ("nothing outlives the session", _daemon),
    ]
    results = []
    for name, check in checks:
        try:
            holds, detail = check(sandbox)
        except SandboxError as error:
            holds, detail = False, f"could not be tried: {error.message} {getattr(error, 'stderr', '')}".strip()
        results.append(Check(name, holds, detail))
    return tuple(results)


def _ask(sandbox: Sandbox, code: str, limits: Limits = LIMITS, **values: object) -> Any:
    """Run code that sets `answer`, with names preset; returns the answer."""
    preset = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    ending = "\nimport json, sys\ntext = json.dumps(answer).encode()\n"
    ending += "sys.stdout.buffer.write(len(text).to_bytes(8, 'little') + text)\nsys.stdout.flush()"
    with sandbox.open(python_program(("-S", "-c", preset + code + ending)), limits) as session:
        size = int.from_bytes(session.receive(8), "little")
        return json.loads(session.receive(min(size, 2**20)))


def _empty(found: Sequence[object], label: str) -> tuple[bool, str]:
    return not found, label + ", ".join(map(str, found)) if found else "none"


@contextmanager
def _listener() -> Iterator[int]:
    """A socket on loopback that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    server.accept()[0].close()
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _network(sandbox: Sandbox) -> tuple[bool, str]:
    with _listener() as port:
        refused = _ask(sandbox, NETWORK, PORT=port)
    return refused is not None, refused or "connected to a port of this machine"


def _files(sandbox: Sandbox) -> tuple[bool, str]:
    package = Path(aarlab.__file__).resolve().parent
    with tempfile.NamedTemporaryFile(prefix="aarlab-secret-") as secret:
        secret.write(b"secret")
        secret.flush()
        paths = ["/etc/passwd", "/home", "/root", "/var", "/run", str(Path.home()), str(Path.cwd()), str(package)]
        return _empty(_ask(sandbox, FILES, PATHS=[*paths, str(package / "testbeds"), secret.name]), "readable: ")


def _environment(sandbox: Sandbox) -> tuple[bool, str]:
    secret = uuid.uuid4().hex
    os.environ["AARLAB_SELF_TEST"] = secret
    try:
        # What a child inherits is our environment as it is now, so plant it before the sandbox starts.
        found = _ask(sandbox, ENVIRONMENT.replace("SECRET", repr(secret[:16]) + " + " + repr(secret[16:])))
    finally:
        del os.environ["AARLAB_SELF_TEST"]
    return _empty(found, "found in ")


def _disk(sandbox: Sandbox) -> tuple[bool, str]:
    written = _ask(sandbox, DISK)
    return written <= LIMITS.tmp_bytes, f"{written} bytes were written, {LIMITS.tmp_bytes} allowed"


def _processes(sandbox: Sandbox) -> tuple[bool, str]:
    try:
        count = _ask(sandbox, PROCESSES)
    except (ProcessesExceeded, SandboxCrashed) as error:
        return True, error.message
    return count <= LIMITS.processes, f"{count} were started, {LIMITS.processes} allowed"


def _limited(
    sandbox: Sandbox, code: str, expected: type[LimitExceeded], wall_seconds: float = LIMITS.wall_seconds
) -> tuple[bool, str]:
    limits = Limits(wall_seconds=wall_seconds, memory_bytes=LIMITS.memory_bytes, processes=LIMITS.processes)
    started = time.monotonic()
    try:
        answer = _ask(sandbox, code, limits)
    except expected as error:
        late = time.monotonic() - started - wall_seconds
        return late < 1.5, error.message
    except SandboxCrashed as error:
        # Without a control group an allocation is refused, and Python says so and ends.
        return expected is MemoryExceeded and "MemoryError" in error.stderr, error.message
    return False, f"it went on: {answer}"


def _daemon(sandbox: Sandbox) -> tuple[bool, str]:
    mark = f"aarlab-daemon-{uuid.uuid4().hex}"
    _ask(sandbox, DAEMON, MARK=mark)
    survivors = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                survivors.append(path.parent.name)
        except OSError:  # it ended meanwhile
            continue
    return _empty(survivors, f"alive on {sys.platform}: ")
