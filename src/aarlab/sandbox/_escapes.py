"""Runs inside: `python -S _escapes.py ATTACK MARK`, with settings on standard input and the answer on standard output.

Each attack tries what hostile code would try, and returns what got through, so that an empty list is a sandbox
that held. Nothing here does harm where it succeeds: files are opened and not written, signals are number 0, and
system calls get arguments that the kernel refuses after it has checked the permission. Standard library only.
"""

# Attacks in plain calls show what is asked of the kernel.
# ruff: noqa: PTH108, PTH112, PTH116, PTH118, PTH119, PTH120, PTH123, PTH207, PTH208, PTH211
import contextlib
import ctypes
import glob
import hashlib
import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from typing import Any

TMP = os.environ["HOME"]  # the writable folder, wherever the sandbox has put it
LIBC = ctypes.CDLL(None, use_errno=True)
ALLOWED_DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts"}
CLONE_NEWUSER = 0x10000000
PTRACE_TRACEME = 0
READ_KERNEL_LOG = 3
REFUSED, ALLOWED = 3, 0  # how a child of `filtered` says what became of its call
CALLS = {
    "x86_64": {"keyctl": 250, "bpf": 321, "io_uring_setup": 425, "perf_event_open": 298, "userfaultfd": 323},
    "aarch64": {"keyctl": 219, "bpf": 280, "io_uring_setup": 425, "perf_event_open": 241, "userfaultfd": 282},
}
Settings = dict[str, Any]


def _readable(path: str) -> bool:
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path))
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def _contains(path: str, wanted: str) -> bool:
    try:
        with open(path, "rb") as file:
            return wanted.encode() in file.read(2**20)
    except OSError:
        return False


def _opens_for_writing(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def network(settings: Settings) -> list[str]:
    """Reach a port of this machine; the datagram's arrival is looked for outside."""
    found = []
    try:
        socket.create_connection(("127.0.0.1", settings["tcp"]), timeout=2).close()
        found.append("connected to a port of this machine")
    except OSError:
        pass
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"out", ("127.0.0.1", settings["udp"]))
    except OSError:
        pass
    return found


def unix_sockets(settings: Settings) -> list[str]:
    """Reach sockets that processes of this machine listen on, by file and by abstract name."""
    found = []
    for kind, address in (("file", settings["socket"]), ("abstract name", "\0" + settings["abstract"])):
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(address)
                found.append(f"socket by {kind}")
        except OSError:
            pass
    return found


def fingerprint(path: str) -> str | None:
    """What tells this machine's file or folder from a sandbox's own of the same name; None if it shows nothing."""
    try:
        if os.path.isdir(path):
            names = sorted(name for name in os.listdir(path) if not name.startswith(("aarlab-", "tmp")))
            return hashlib.sha256(json.dumps(names).encode()).hexdigest() if names else None
        with open(path, "rb") as file:
            start = file.read(2**16)
            return hashlib.sha256(start).hexdigest() if start else None
    except OSError:
        return None


def files(settings: Settings) -> list[str]:
    """Read what is this machine's."""
    return [path for path, mark in settings["paths"].items() if mark and fingerprint(path) == mark]


def others(settings: Settings) -> list[str]:
    """Read what another submission was given or wrote."""
    places = [f"{TMP}/*", "/tmp/*", "/tmp/*/tmp/*", "/proc/[0-9]*/root/tmp/*", "/proc/[0-9]*/cwd/*"]  # noqa: S108
    found = [path for place in places for path in glob.glob(place) if settings["other"] in os.path.basename(path)]
    return found + [path for path in settings["others"] if _readable(path)]


def environment(settings: Settings) -> list[str]:
    """Find a variable of the process that started the sandbox, whose value comes in two halves."""
    secret = "".join(settings["variable"])
    return [path for path in glob.glob("/proc/[0-9]*/environ") if _contains(path, secret)]


def processes_of_others(settings: Settings) -> list[str]:
    """See or look into processes that are not ours."""
    found = [path for path in glob.glob("/proc/[0-9]*/cmdline") if _contains(path, settings["other"])]
    host = f"/proc/{settings['pid']}"
    if _contains(f"{host}/cmdline", settings["cmdline"]):
        found += [f"{host}/{name}" for name in ("cmdline", "environ", "maps", "fd") if _readable(f"{host}/{name}")]
    return found


def signals(settings: Settings) -> list[str]:
    """Signal the process that started the sandbox."""
    try:
        os.kill(settings["pid"], 0)
    except OSError:
        return []
    return [f"process {settings['pid']} can be signalled"]


def descriptors(_: Settings) -> list[str]:
    """Find files that the starter left open."""
    found = []
    for number in range(3, 1024):
        try:
            about = os.fstat(number)
        except OSError:
            continue
        found.append(f"{number} ({stat.filemode(about.st_mode)})")
    return found


def read_only(_: Settings) -> list[str]:
    """Make a file anywhere but in the writable folder."""
    folders = ["/", "/dev", "/dev/shm", "/usr", "/python", "/proc", "/sys", "/run", "/var/tmp", "/etc"]  # noqa: S108
    folders += [os.path.dirname(os.path.dirname(sys.executable)), os.path.dirname(__file__), os.path.dirname(TMP)]
    found = []
    for folder in folders:
        path = os.path.join(folder, f"aarlab-{os.getpid()}")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except OSError:
            continue
        os.unlink(path)
        found.append(folder)
    return found


def kernel_settings(_: Settings) -> list[str]:
    """Open settings of the kernel and control files of groups for writing."""
    paths = ["kernel/core_pattern", "kernel/hostname", "kernel/randomize_va_space", "vm/drop_caches"]
    paths = [f"/proc/sys/{path}" for path in paths] + ["/proc/sysrq-trigger", "/sys/kernel/uevent_helper"]
    for name in ("cgroup.procs", "pids.max", "memory.max", "memory.limit_in_bytes", "release_agent"):
        paths += glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")
    return [path for path in paths if _opens_for_writing(path)]


def links(settings: Settings) -> list[str]:
    """Get by links in the writable folder at what is not to be read or written."""
    found = []
    passwd = settings["paths"]["/etc/passwd"]
    targets = {settings["secret"]: settings["paths"][settings["secret"]]}
    targets |= dict.fromkeys(("/etc/passwd", "/proc/1/root/etc/passwd", "/proc/self/root/../etc/passwd"), passwd)
    for number, (target, mark) in enumerate(targets.items()):
        link = f"{TMP}/link{number}"
        os.symlink(target, link)
        if mark and fingerprint(link) == mark:
            found.append(f"{target} by a symbolic link")
        try:
            os.link(target, f"{link}-hard")
            found.append(f"{target} by a hard link")
        except OSError:
            pass
        os.unlink(link)
    if _opens_for_writing(__file__):
        found.append("a mounted file can be written")
    return found


def devices(_: Settings) -> list[str]:
    """Open devices of this machine, or make one."""
    found = []
    for path in glob.glob("/dev/*"):
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        special = stat.S_ISBLK(mode) or stat.S_ISCHR(mode)
        if special and os.path.basename(path) not in ALLOWED_DEVICES and (_opens_for_writing(path) or _readable(path)):
            found.append(path)
    try:
        os.mknod(f"{TMP}/device", stat.S_IFCHR | 0o600, os.makedev(1, 1))
        os.unlink(f"{TMP}/device")
        found.append("a device can be made")
    except OSError:
        pass
    return found


def _errno(result: int) -> int:
    return ctypes.get_errno() if result < 0 else 0


def _call(name: str, *arguments: int) -> bool:
    """Whether a system call is let through: it was neither refused nor is it unknown."""
    number = CALLS.get(os.uname().machine, {}).get(name)
    if number is None:
        return False
    error = _errno(LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments)))
    return os.strerror(error) not in {os.strerror(code) for code in (1, 13, 38)}  # EPERM, EACCES, ENOSYS


def _execve() -> bool:
    os.execv(sys.executable, [sys.executable, "-S", "-c", ""])  # noqa: S606 - that is the attack


def _mount() -> bool:
    return _errno(LIBC.mount(b"none", TMP.encode(), b"aarlab-no-such-kind", 0, None)) == 19  # ENODEV: else allowed


def _socket() -> bool:
    socket.socket(socket.AF_INET).close()
    return True


def _kernel_log() -> bool:
    text = ctypes.create_string_buffer(64)
    return LIBC.klogctl(READ_KERNEL_LOG, text, 64) >= 0 or _readable("/dev/kmsg")


FILTERED: dict[str, Callable[[], bool]] = {
    "execve": _execve,
    "ptrace": lambda: LIBC.ptrace(PTRACE_TRACEME, 0, None, None) == 0,
    "socket": _socket,
    "mount": _mount,
    "namespaces": lambda: LIBC.unshare(CLONE_NEWUSER) == 0,
    "keyctl": lambda: _call("keyctl", 0, -3, 0),
    "kernel log": _kernel_log,
    "bpf": lambda: _call("bpf", -1, 0, 0),
    "io_uring": lambda: _call("io_uring_setup", 0, 0),
    "perf": lambda: _call("perf_event_open", 0, 0, -1, -1, 0),
    "userfaultfd": lambda: _call("userfaultfd", 0),
}


def filtered(_: Settings) -> dict[str, str]:
    """Make system calls with the harness's filter on, each in a child of its own."""
    import _seccomp  # type: ignore[import-not-found] # mounted beside this file

    seen = {}
    for name, call in FILTERED.items():
        child = os.fork()
        if child == 0:
            status = REFUSED
            os.close(2)
            _seccomp.install()
            with contextlib.suppress(OSError):
                status = ALLOWED if call() else REFUSED
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seen[name] = {ALLOWED: "allowed", REFUSED: "refused", -signal.SIGSYS: "ended by SIGSYS"}.get(
            status, f"status {status}"
        )
    return seen


def filter_installs(_: Settings) -> bool:
    """Whether the kernel takes the filter."""
    import _seccomp

    return bool(_seccomp.install())


def _bytes_written(names: list[str], size: int) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for name in names:
            with open(name, "wb", buffering=0) as file:
                total += file.write(bytes(size))
    for name in filter(os.path.exists, names):
        os.unlink(name)
    return total


def disk(settings: Settings) -> int:
    """Fill the writable folder with large files; returns the bytes that went in."""
    size = settings["size"] // 4
    return _bytes_written([f"{TMP}/large{number}" for number in range(16)], size)


def small_files(settings: Settings) -> int:
    """Fill it with files of one byte, each of which takes a page; returns the bytes of all pages."""
    page = 4096
    count = settings["size"] // page * 4
    return page * _bytes_written([f"{TMP}/small{number}" for number in range(count)], 1)


def memory(settings: Settings) -> str:
    """Hold more than is allowed, but no more than a machine without limits can bear."""
    held = [bytearray(2**24) for _ in range(2 * settings["size"] // 2**24)]
    return f"{len(held) * 2**24} bytes were held"


def fork_bomb(_: Settings) -> int:
    """Start as many processes as it can; returns how many."""
    for count in range(200):
        try:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
        except OSError:
            return count
    return 200


def endless(_: Settings) -> None:
    """Compute for ever."""
    while True:
        pass


def flood(settings: Settings) -> None:
    """Write for ever."""
    chunk = b"\xff" * 2**16  # an answer without end
    while True:
        os.write(settings["descriptor"], chunk)


def daemon(_: Settings) -> None:
    """Leave a process behind that has left our session and process group."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(20)
        os._exit(0)
    time.sleep(0.1)


def wait(settings: Settings) -> None:
    """Be another submission: write a file, and stay."""
    with open(f"{TMP}/{settings['other']}", "w") as file:
        file.write(settings["other"])


ATTACKS: dict[str, Callable[[Settings], object]] = {
    attack.__name__: attack
    for attack in (
        *(network, unix_sockets, files, others, environment, processes_of_others, signals, descriptors, read_only),
        *(kernel_settings, links, devices, filtered, filter_installs, disk, small_files, memory, fork_bomb),
        *(endless, flood, daemon, wait),
    )
}


def main() -> None:
    """Run some attacks, answer once, and stay until standard input ends."""
    incoming, outgoing = os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", closefd=False)
    settings = json.loads(incoming.read(int.from_bytes(incoming.read(8), "little")))
    answer = json.dumps({name: ATTACKS[name](settings) for name in sys.argv[1].split(",")}).encode()
    outgoing.write(len(answer).to_bytes(8, "little") + answer)
    outgoing.flush()
    incoming.read()


if __name__ == "__main__":
    main()
