"""A running process and its pipes, under a wall limit, with everything it writes bounded."""

import contextlib
import math
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from aarlab.sandbox._cgroup import Group
from aarlab.sandbox._types import Limits, Usage
from aarlab.sandbox.errors import (
    CpuTimeExceeded,
    ForbiddenCall,
    MemoryExceeded,
    OutputExceeded,
    ProcessesExceeded,
    SandboxCrashed,
    SandboxError,
    WallTimeExceeded,
)

READ_BYTES = 2**16
NICE = 10  # so that a server that shares the machine answers before its evaluations go on
GRACE_SECONDS = 2.0  # between a closed pipe and the process's end


class ProcessSession:
    """See `aarlab.sandbox.Session`. All but `kill` is for one thread."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        group: Group | None,
        cleanup: Callable[[], None] = lambda: None,
    ) -> None:
        """Take over a process with three pipes.

        Args:
            process: leader of a process group of its own.
            limits: what it may use.
            group: its control group, if there is one; destroyed on close.
            cleanup: called once, after the process is gone.
        """
        with contextlib.suppress(OSError):  # it has ended, or belongs to a user that may not be slowed down
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        self._process, self._limits, self._group, self._cleanup = process, limits, group, cleanup
        self._first: int | None = None
        self._ending = threading.Lock()  # nobody signals a descriptor or process that has just been given up
        self._started = time.monotonic()
        self._deadline = self._started + limits.wall_seconds
        self._output, self._errors = bytearray(), bytearray()
        self._received = 0
        self._cpu_seconds, self._peak_memory_bytes = 0.0, 0
        self._usage: Usage | None = None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._open: set[IO[bytes]] = {self._stdout, self._stderr}
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def stderr(self) -> str:
        """Tail of its standard error. Untrusted text."""
        return self._errors.decode("utf-8", errors="replace")

    def watch(self, pid: int) -> None:
        """Tell which process is the first of its pid namespace: when that dies, all in there die."""
        self._first = os.pidfd_open(pid)

    def restart(self, limits: Limits) -> None:
        """Count wall time and output anew."""
        self._limits = limits
        self._started = time.monotonic()
        self._deadline = self._started + limits.wall_seconds
        self._received = 0

    def send(self, data: bytes) -> None:
        """Write all of `data`, reading meanwhile."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._pump(rest) :]

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes of its output."""
        while len(self._output) < count:
            if self._stdout not in self._open:
                raise self._ended()
            self._pump()
        data = bytes(self._output[:count])
        del self._output[:count]
        return data

    def breach(self) -> SandboxError | None:
        """The limit of memory or processes it ran into, even if it went on afterwards."""
        if self._group is not None and self._group.out_of_processes():
            return ProcessesExceeded(self._limits.processes)
        if self._group is not None and self._group.out_of_memory():
            return MemoryExceeded(self._limits.memory_bytes)
        return None

    def kill(self) -> None:
        """End it from any thread."""
        with self._ending, contextlib.suppress(ProcessLookupError):
            if self._first is not None:
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            elif self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> Usage:
        """Kill it and all its descendants."""
        if self._usage is None:
            wall = time.monotonic() - self._started
            if self._first is not None:
                self.kill()
                self._reap(time.monotonic() + GRACE_SECONDS)  # bubblewrap follows its first process
            with self._ending:
                if self._first is not None:
                    os.close(self._first)
                    self._first = None
                if self._process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(self._process.pid, signal.SIGKILL)
                    self._reap(math.inf)
            cpu, peak = self._cpu_seconds, self._peak_memory_bytes
            if self._group is not None:
                cpu = self._group.cpu_seconds() or cpu
                peak = self._group.peak_memory_bytes() or peak
                self._group.destroy()
            for pipe in (self._stdin, self._stdout, self._stderr):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            self._cleanup()
            self._usage = Usage(wall, cpu, peak)
        return self._usage

    def _pump(self, data: memoryview | None = None) -> int:
        """Wait until something can move, and move it; returns how much of `data` was written."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self.breach() or WallTimeExceeded(self._limits.wall_seconds)
        written = 0
        with selectors.DefaultSelector() as selector:
            for pipe in self._open:
                selector.register(pipe, selectors.EVENT_READ)
            if data is not None:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            for key, _ in selector.select(left):
                if key.fileobj is self._stdin and data is not None:
                    try:
                        written = os.write(self._stdin.fileno(), data[:READ_BYTES])
                    except BrokenPipeError:
                        raise self._ended() from None
                else:
                    self._read(self._stdout if key.fileobj is self._stdout else self._stderr)
        return written

    def _read(self, pipe: IO[bytes]) -> None:
        chunk = os.read(pipe.fileno(), READ_BYTES)
        if not chunk:
            self._open.discard(pipe)
            return
        self._received += len(chunk)
        if self._received > self._limits.output_bytes:
            raise OutputExceeded(self._limits.output_bytes)
        if pipe is self._stderr:
            self._errors += chunk
            del self._errors[: -self._limits.stderr_bytes]
        else:
            self._output += chunk

    def _reap(self, until: float) -> None:
        """Wait for the process to end, and take down what it and its children used."""
        while self._process.returncode is None:
            pid, status, used = os.wait4(self._process.pid, 0 if until == math.inf else os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self._cpu_seconds = used.ru_utime + used.ru_stime
                self._peak_memory_bytes = used.ru_maxrss * 1024
            elif time.monotonic() > until:
                return
            else:
                time.sleep(0.002)

    def _ended(self) -> SandboxError:
        """Why it stopped talking."""
        until = min(self._deadline, time.monotonic() + GRACE_SECONDS)
        self._reap(until)
        while self._stderr in self._open and time.monotonic() < until:
            self._pump()
        exit_status = self._process.returncode or 0
        # Bubblewrap passes on the signal that ended its child as 128 + its number.
        if exit_status in (-signal.SIGSYS, 128 + signal.SIGSYS):
            return ForbiddenCall(exit_status, self.stderr)
        if breach := self.breach():
            return breach
        if exit_status in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
            return CpuTimeExceeded(self._limits.cpu_seconds)
        return SandboxCrashed(exit_status, self.stderr)
