"""Containers as sandboxes: docker or podman, for machines where they work and bubblewrap does not.

The image is empty and made here, so nothing is downloaded: all there is to read are the mounts of the program,
read-only, as in bubblewrap. What it protects: code inside has no network, no capability and gains none, runs as
user 65534, sees its own processes only, writes to a sized /tmp and nowhere else, and is limited in memory, processes
and files by the engine. The container is killed by name when the session closes. What it does not: the kernel is
shared; /sys and the engine's own /etc/hosts, /etc/hostname and /etc/resolv.conf can be read; if this process is
killed outright, the container lives until its limits of CPU time end it or its input does; the engine is trusted, and
whoever may talk to docker is root on this machine. A remote engine cannot mount this machine's files.
"""

import contextlib
import csv
import io
import os
import secrets
import shutil
import signal
import subprocess
import time
from functools import cache
from pathlib import Path

from aarlab.sandbox._rlimits import rlimit_names
from aarlab.sandbox._session import ProcessSession
from aarlab.sandbox._types import Limits, Program, Usage
from aarlab.sandbox.errors import CpuTimeExceeded, MemoryExceeded, SandboxError, SandboxUnavailable

ENGINES = ("podman", "docker")
IMAGE = "localhost/aarlab-empty:1"
EMPTY_TAR = bytes(10240)  # no member, two blocks of zeros, padded to a record
ENGINE_SECONDS = 30.0
KILLED = 128 + signal.SIGKILL

# What a client needs to find its engine. Nothing of it reaches the container.
CLIENT_VARIABLES = (
    *("PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS"),
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "LD_LIBRARY_PATH"),
)
# Both engines hand down proxies of their configuration, passwords included, unless they are set.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")

ISOLATION = (
    *("--interactive", "--rm", "--pull", "never", "--network", "none", "--read-only", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--user", "65534:65534", "--ipc", "none", "--hostname", "sandbox"),
    *("--log-driver", "none", "--workdir", "/tmp", "--stop-timeout", "0"),  # noqa: S108 - inside
    # Files of this machine carry other labels than containers may read; relabelling them would be worse.
    *("--security-opt", "label=disable"),
)
PODMAN = ("--read-only-tmpfs=false", "--cgroups=enabled")


class ContainerSession(ProcessSession):
    """A client of the engine, whose end alone does not end the container."""

    def __init__(
        self, process: subprocess.Popen[bytes], limits: Limits, engine: tuple[str, ...], container: str
    ) -> None:
        """Take over a client that runs a container of this name."""
        super().__init__(process, limits, None)
        self._engine, self._container = engine, container
        self._opened = time.monotonic()

    def kill(self) -> None:
        """End client and container from any thread."""
        super().kill()
        _ask_engine(self._engine, "rm", "--force", self._container)

    def close(self) -> Usage:
        """Kill it and all its descendants."""
        usage = super().close()
        _ask_engine(self._engine, "rm", "--force", self._container)
        return usage

    def _ended(self) -> SandboxError:
        """Why it stopped talking; the engine tells a kill only by its number."""
        error = super()._ended()
        if getattr(error, "exit_status", None) == KILLED:
            if time.monotonic() - self._opened > self._limits.cpu_seconds:
                return CpuTimeExceeded(self._limits.cpu_seconds)
            return MemoryExceeded(self._limits.memory_bytes)
        return error


class ContainerSandbox:
    """Runs each program in a container of its own. See the module's docstring for what it protects."""

    trusted_isolation = True

    def __init__(self, engine: str, executable: Path, options: tuple[str, ...] = ()) -> None:
        """Use this engine.

        Args:
            engine: "docker" or "podman".
            executable: path of its command.
            options: of the engine itself, before its command, such as where it keeps its containers.
        """
        self.name = engine
        self.engine = (str(executable), *options)
        self._ready = False

    def command(self, program: Program, limits: Limits, container: str) -> list[str]:
        """The whole command that runs a program in a container of this name."""
        command = [*self.engine, "run", "--name", container, *ISOLATION, *(PODMAN if self.name == "podman" else ())]
        memory = str(limits.memory_bytes)
        command += ["--memory", memory, "--memory-swap", memory, "--pids-limit", str(limits.processes)]
        for name, (soft, hard) in rlimit_names(limits).items():
            command += ["--ulimit", f"{name}={soft}:{hard}"]
        # Podman fills a tmpfs with what lies below it, unless told not to.
        empty = ",notmpcopyup" if self.name == "podman" else ""
        command += ["--tmpfs", f"/tmp:rw,nosuid,nodev,mode=1777,size={limits.tmp_bytes}{empty}"]  # noqa: S108 - inside
        for inside, host in program.mounts.items():
            command += ["--mount", _mount(type="bind", source=str(host.resolve()), destination=inside)]
        for device in program.devices:
            command += ["--device", device]
        for mask in program.masks:
            command += ["--tmpfs", f"{mask}:ro,size=4k{empty}"]
        for name in (*PROXIES, *map(str.lower, PROXIES)):
            command += ["--env", f"{name}="]
        for name, value in program.environment.items():
            command += ["--env", f"{name}={value}"]
        return [*command, "--entrypoint", program.argv[0], IMAGE, *program.argv[1:]]

    def open(self, program: Program, limits: Limits) -> ContainerSession:
        """Start a program."""
        if not self._ready:
            self._make_image()
            self._ready = True
        container = f"aarlab-{os.getpid()}-{secrets.token_hex(8)}"
        process = subprocess.Popen(
            self.command(program, limits, container),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_client_environment(),
            cwd="/",
            start_new_session=True,
        )
        return ContainerSession(process, limits, self.engine, container)

    def _make_image(self) -> None:
        """Make the empty image, unless it is there."""
        if _ask_engine(self.engine, "image", "inspect", IMAGE) is None:
            return
        if (problem := _ask_engine(self.engine, "import", "-", IMAGE, given=EMPTY_TAR)) is not None:
            raise SandboxUnavailable((f"{self.name}: {problem}",))


@cache
def find_engine(engine: str) -> ContainerSandbox:
    """An engine by name.

    Raises:
        SandboxUnavailable: its command is not on PATH.
    """
    executable = shutil.which(engine)
    if executable is None:
        raise SandboxUnavailable((f"{engine} is not on PATH",))
    return ContainerSandbox(engine, Path(executable))


def _mount(**fields: str) -> str:
    """Fields of a read-only mount, quoted as the engines read them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([*(f"{name}={value}" for name, value in fields.items()), "readonly"])
    return text.getvalue()


def _client_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in CLIENT_VARIABLES if name in os.environ}


def _ask_engine(engine: tuple[str, ...], *arguments: str, given: bytes = b"") -> str | None:
    """Have the engine do something; None if it did, else what it said."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [*engine, *arguments],
            input=given,
            capture_output=True,
            env=_client_environment(),
            timeout=ENGINE_SECONDS,
            start_new_session=True,
        )
        said = done.stderr.decode(errors="replace").strip()
        return None if done.returncode == 0 else said.splitlines()[-1] if said else f"status {done.returncode}"
    return f"no answer within {ENGINE_SECONDS:g} s"
