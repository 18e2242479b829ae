"""Try to break out of a sandbox, by attacks that run in it; `aarlab doctor --sandbox` prints what held.

Each attack (`_escapes.py`) runs under the same backend as submissions do. What may be done before the harness's
filter is on is tried without it; only the system calls that the filter is for are tried behind it, since a method
never runs without. A check that holds says that this attack got nowhere on this machine, not that none can.
"""

import json
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aarlab
from aarlab.sandbox import _escapes, _seccomp
from aarlab.sandbox._python import python_program
from aarlab.sandbox._types import Limits, Program, Sandbox, Session
from aarlab.sandbox.errors import (
    CpuTimeExceeded,
    LimitExceeded,
    MemoryExceeded,
    OutputExceeded,
    ProcessesExceeded,
    SandboxCrashed,
    SandboxError,
    WallTimeExceeded,
)

LIMITS = Limits(wall_seconds=30, memory_bytes=300 * 2**20, processes=16, tmp_bytes=2**20, output_bytes=2**21)
LATE_SECONDS = 2.5  # how much later than its limit a session may end, on a busy machine
SURVIVAL_SECONDS = 2.0

ANOTHER = "Take a sandbox that holds this: bubblewrap, podman or docker (--sandbox NAME)."
GROUPS = "Make control groups writable (run below a delegated group: systemd-run --user --scope), or run as a user."
FILTER = "Take a kernel with seccomp filters (CONFIG_SECCOMP_FILTER), on x86-64 or aarch64."

# Tried before the filter, all in one session: attack, what holds, how to mend it.
QUIET = (
    ("network", "no network", ANOTHER),
    ("unix_sockets", "no sockets of this machine", ANOTHER),
    ("files", "no files of this machine", ANOTHER),
    ("others", "no files of other submissions", ANOTHER),
    ("environment", "no environment of ours", ANOTHER),
    ("processes_of_others", "no processes of others", ANOTHER),
    ("signals", "no signals to others", ANOTHER),
    ("descriptors", "no inherited descriptors", ANOTHER),
    ("read_only", "read-only but for /tmp", ANOTHER),
    ("kernel_settings", "no settings of the kernel or of control groups", ANOTHER),
    ("links", "no way out by links", ANOTHER),
    ("devices", "no devices", ANOTHER),
)

# System calls tried behind the filter.
FILTERED = (
    ("execve", "no other program is started"),
    ("ptrace", "no process is traced"),
    ("socket", "no socket is made"),
    ("mount", "nothing is mounted"),
    ("namespaces", "no namespace is made"),
    ("keyctl", "no keyrings"),
    ("kernel log", "no kernel log"),
    ("bpf", "no bpf"),
    ("io_uring", "no io_uring"),
    ("perf", "no performance counters"),
    ("userfaultfd", "no userfaultfd"),
)


@dataclass(frozen=True)
class Check:
    """One property of a sandbox.

    Attributes:
        name: the property, in words.
        holds: whether the attack on it failed.
        detail: what was seen.
        mend: what to do where it does not hold.
    """

    name: str
    holds: bool
    detail: str
    mend: str = ""


def self_test(sandbox: Sandbox) -> tuple[Check, ...]:
    """Attack a sandbox in each way that it should withstand; takes a few seconds."""
    return tuple(_checks(sandbox))


def _checks(sandbox: Sandbox) -> Iterator[Check]:
    yield from _quiet(sandbox)
    yield from _filtered(sandbox)
    single: tuple[tuple[str, str, Callable[[Sandbox], tuple[bool, str]]], ...] = (
        ("memory is capped", GROUPS, lambda s: _limited(s, "memory", MemoryExceeded, size=LIMITS.memory_bytes)),
        ("processes are capped", GROUPS, _fork_bomb),
        ("temporary files are capped", ANOTHER, lambda s: _capped(s, "disk")),
        ("many small files are capped", ANOTHER, lambda s: _capped(s, "small_files")),
        ("output is capped", ANOTHER, lambda s: _limited(s, "flood", OutputExceeded, descriptor=1)),
        ("standard error is capped", ANOTHER, lambda s: _limited(s, "flood", OutputExceeded, descriptor=2)),
        ("wall time is capped", ANOTHER, lambda s: _limited(s, "endless", WallTimeExceeded, wall_seconds=0.7)),
        ("CPU time is capped", ANOTHER, lambda s: _limited(s, "endless", CpuTimeExceeded, cpu_seconds=1)),
        ("nothing outlives the session", ANOTHER, _daemon),
    )
    for name, mend, attempt in single:
        try:
            holds, detail = attempt(sandbox)
        except SandboxError as error:
            holds, detail = False, _untried(error)
        yield Check(name, holds, detail, "" if holds else mend)


def _quiet(sandbox: Sandbox) -> Iterator[Check]:
    try:
        seen = _look_around(sandbox)
    except SandboxError as error:
        seen = {attack: [_untried(error)] for attack, *_ in QUIET}
    for attack, name, mend in QUIET:
        found = seen[attack]
        yield Check(name, not found, "; ".join(map(str, found)) or "nothing got through", mend if found else "")


def _filtered(sandbox: Sandbox) -> Iterator[Check]:
    try:
        installs = _ask(sandbox, "filter_installs")["filter_installs"]
        seen: dict[str, str] = _ask(sandbox, "filtered")["filtered"]
    except SandboxError as error:
        installs, seen = False, dict.fromkeys((call for call, _ in FILTERED), _untried(error))
    detail = "the kernel took the filter" if installs else "the kernel did not take the filter"
    yield Check("system calls are filtered", bool(installs), detail, "" if installs else FILTER)
    for call, name in FILTERED:
        holds = seen.get(call) in {"ended by SIGSYS", "refused"}
        yield Check(name, holds, str(seen.get(call, "not tried")), "" if holds else FILTER)


def _untried(error: SandboxError) -> str:
    lines = str(getattr(error, "stderr", "")).strip().splitlines()[-1:]
    return " ".join(["could not be tried:", error.message, *lines])


def _program(attacks: str, mark: str, mounts: dict[str, Path] | None = None) -> Program:
    folder = {"/escape/_escapes.py": Path(_escapes.__file__), "/escape/_seccomp.py": Path(_seccomp.__file__)}
    return python_program(
        ("-S", "/escape/_escapes.py", attacks, mark), mounts={**folder, **(mounts or {})}, path=("/escape",)
    )


def _answer(session: Session, settings: dict[str, object]) -> dict[str, Any]:
    text = json.dumps(settings).encode()
    session.send(len(text).to_bytes(8, "little") + text)
    size = int.from_bytes(session.receive(8), "little")
    answer: dict[str, Any] = json.loads(session.receive(size))  # the output is capped
    return answer


def _ask(sandbox: Sandbox, attacks: str, limits: Limits = LIMITS, **settings: object) -> dict[str, Any]:
    """Answers by attack, of one fresh session."""
    with sandbox.open(_program(attacks, secrets.token_hex(8)), limits) as session:
        return _answer(session, settings)


def _look_around(sandbox: Sandbox) -> dict[str, list[str]]:
    """What each attack of `QUIET` found, while another submission runs and this machine has things to find."""
    package = Path(aarlab.__file__).resolve().parent
    mark = f"aarlab-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="aarlab-self-test-") as folder, _listeners(Path(folder)) as listening:
        secret, theirs = Path(folder, "secret"), Path(folder, "theirs")
        secret.write_text("secret")
        theirs.write_text("secret")
        paths = ["/etc/passwd", "/home", "/root", "/var", "/run", "/etc", "/usr", "/proc/1/root/etc", str(secret)]
        paths += [str(Path.home()), str(Path.cwd()), str(package), str(package / "testbeds")]
        variable = secrets.token_hex(16)
        settings: dict[str, object] = {
            **listening.addresses,
            "paths": {path: _escapes.fingerprint(path.removeprefix("/proc/1/root")) for path in paths},
            "secret": str(secret),
            "other": mark,
            "others": [str(theirs), "/theirs"],
            "variable": [variable[:16], variable[16:]],
            "pid": os.getpid(),
            "cmdline": Path("/proc/self/cmdline").read_text(errors="replace").split("\0")[0],
        }
        program = _program(",".join(attack for attack, *_ in QUIET), "itself")
        with sandbox.open(_program("wait", mark, {"/theirs": theirs}), LIMITS) as other:
            _answer(other, {"other": mark})
            # What a child inherits is our environment as it is now, so plant it before the sandbox starts.
            os.environ["AARLAB_SELF_TEST"] = variable
            try:
                session = sandbox.open(program, LIMITS)
            finally:
                del os.environ["AARLAB_SELF_TEST"]
            with session:
                seen: dict[str, list[str]] = _answer(session, settings)
        Path(tempfile.gettempdir(), mark).unlink(missing_ok=True)  # where /tmp is this machine's
        if listening.datagrams():
            seen["network"].append("a datagram reached this machine")
    return seen


@dataclass(frozen=True)
class _Listening:
    """Sockets of this machine that a sandbox must not reach."""

    addresses: dict[str, object]
    udp: socket.socket

    def datagrams(self) -> bool:
        """Whether something arrived."""
        try:
            return bool(self.udp.recv(16))
        except OSError:  # nothing did
            return False


@contextmanager
def _listeners(folder: Path) -> Iterator[_Listening]:
    """Listen by TCP, UDP, a socket file and an abstract name."""
    name = f"aarlab-{secrets.token_hex(8)}"
    path = folder / "socket"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as file,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        for server, address in ((file, str(path)), (abstract, f"\0{name}")):
            server.bind(address)
            server.listen()
        path.chmod(0o666)
        addresses = {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "socket": str(path), "abstract": name}
        yield _Listening(addresses, udp)


def _fork_bomb(sandbox: Sandbox) -> tuple[bool, str]:
    try:
        count = _ask(sandbox, "fork_bomb")["fork_bomb"]
    except (ProcessesExceeded, SandboxCrashed) as error:
        return True, error.message
    return count <= LIMITS.processes, f"{count} were started, {LIMITS.processes} allowed"


def _capped(sandbox: Sandbox, attack: str) -> tuple[bool, str]:
    written = _ask(sandbox, attack, size=LIMITS.tmp_bytes)[attack]
    return written <= LIMITS.tmp_bytes, f"{written} bytes were written, {LIMITS.tmp_bytes} allowed"


def _limited(
    sandbox: Sandbox,
    attack: str,
    expected: type[LimitExceeded],
    *,
    wall_seconds: float = LIMITS.wall_seconds,
    cpu_seconds: int = LIMITS.cpu_seconds,
    **settings: object,
) -> tuple[bool, str]:
    limits = replace(LIMITS, wall_seconds=wall_seconds, cpu_seconds=cpu_seconds)
    started = time.monotonic()
    try:
        answer = _ask(sandbox, attack, limits, **settings)
    except expected as error:
        late = time.monotonic() - started - wall_seconds
        return late < LATE_SECONDS, error.message
    except SandboxCrashed as error:
        # Without a control group an allocation is refused, and Python says so and ends.
        refused = expected is MemoryExceeded and "MemoryError" in error.stderr
        return refused, "an allocation was refused" if refused else error.message
    return False, f"it went on: {answer[attack]}"


def _daemon(sandbox: Sandbox) -> tuple[bool, str]:
    mark = f"aarlab-daemon-{secrets.token_hex(8)}"
    with sandbox.open(_program("daemon", mark), LIMITS) as session:
        _answer(session, {})
    until = time.monotonic() + SURVIVAL_SECONDS
    while (survivors := _marked(mark)) and time.monotonic() < until:  # a dying process is still listed for a moment
        time.sleep(0.05)
    return not survivors, "alive: " + ", ".join(survivors) if survivors else "its whole tree died"


def _marked(mark: str) -> Sequence[str]:
    """Processes of this machine with this word in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(path.parent.name)
        except OSError:  # it ended meanwhile
            continue
    return found
