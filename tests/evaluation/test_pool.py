"""Sandboxes that wait for a job: each is used once, none outlives its owner, and waiting costs a method nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from aarlab.evaluation import Evaluator, FailureKind, MethodError, seed_limits
from aarlab.sandbox import SandboxUnavailable, StartFailed, UnsafeSandbox, default_sandbox
from aarlab.students import Runtime
from aarlab.testbeds import Testbed

TRIVIAL = "def fit(problem, seed):\n    return lambda e: [0.5] * len(e)\n"


@pytest.fixture
def evaluator(small_testbed: Testbed) -> Iterator[Evaluator]:
    with Evaluator(small_testbed, default_sandbox(), workers=2) as made:
        yield made


def until(true: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something that has to come; how long it takes is the machine's affair."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def descendants(pid: int) -> set[int]:
    """Processes that this one started, and so on."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
    found, last = {pid}, set()
    while found != last:
        last = set(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found - {pid}


def named(name: str) -> list[str]:
    """Processes of this name."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() == name:
                found.append(comm.parent.name)
        except OSError:
            continue
    return found


def waiting(evaluator: Evaluator, count: int) -> None:
    until(lambda: len(evaluator._pool) == count)


def test_as_many_wait_as_one_evaluation_needs_and_nobody_waits_before_the_first(evaluator: Evaluator):
    assert len(evaluator._pool) == 0
    before = descendants(os.getpid())
    evaluator.evaluate(TRIVIAL, "public", [1, 2])
    waiting(evaluator, 2)
    assert evaluator.evaluate(TRIVIAL, "public", [3]).accuracy == (0.5,)
    waiting(evaluator, 2)
    evaluator.close()
    assert descendants(os.getpid()) <= before


def test_each_is_used_once(evaluator: Evaluator):
    """What one seed leaves in its process, its files and its library, no other ever finds."""
    code = """
import os, sys
import numpy
def fit(problem, seed):
    assert not hasattr(numpy, "mark") and os.listdir("/tmp") == [] and problem.weak_labels.max() <= 1
    numpy.mark = True
    problem.weak_labels[:] = 7
    open("/tmp/mark", "w").close()
    return lambda e: [0.5] * len(e)
"""
    for first in (1, 3):
        evaluator.evaluate(code, "public", [first, first + 1])
        waiting(evaluator, 2)
    evaluator.evaluate(code, "public", [5, 6, 7])


def test_one_that_died_while_it_waited_is_replaced_silently(evaluator: Evaluator):
    evaluator.evaluate(TRIVIAL, "public", [1, 2])
    waiting(evaluator, 2)
    for session in list(evaluator._sessions):
        session.kill()
    assert evaluator.evaluate(TRIVIAL, "public", [3]).accuracy == (0.5,)


def test_they_are_ended_when_nothing_is_to_do_and_come_back(evaluator: Evaluator):
    evaluator._pool._idle_seconds = 0.3
    evaluator.evaluate(TRIVIAL, "public", [1])
    until(lambda: evaluator._pool._filler is None)
    assert len(evaluator._pool) == 0
    assert evaluator.evaluate(TRIVIAL, "public", [2]).accuracy == (0.5,)
    waiting(evaluator, 1)


def test_the_thread_that_made_one_outlives_it(evaluator: Evaluator):
    """The kernel ends a sandbox with the thread that started it: idle or not, that thread must stay."""
    evaluator.evaluate(TRIVIAL, "public", [1])
    waiting(evaluator, 1)
    evaluator._pool._idle_seconds = 0.01
    slow = "import time\ndef fit(problem, seed):\n    time.sleep(1.5)\n    return lambda e: [0.5] * len(e)"
    assert evaluator.evaluate(slow, "public", [2]).accuracy == (0.5,)


def test_waiting_does_not_count(small_testbed: Testbed):
    limits = replace(seed_limits(Runtime()), wall_seconds=2.5)
    with Evaluator(small_testbed, default_sandbox(), limits=limits) as evaluator:
        evaluator.evaluate(TRIVIAL, "public", [1])
        waiting(evaluator, 1)
        time.sleep(3)
        assert len(evaluator._pool) == 1
        used = evaluator.evaluate(TRIVIAL, "public", [2])
        assert used.accuracy == (0.5,)


def test_cpu_is_counted_from_the_job_on(small_testbed: Testbed):
    limits = replace(seed_limits(Runtime()), cpu_seconds=1)
    burn = "import time\ndef fit(problem, seed):\n    end = time.process_time() + {}\n"
    burn += "    while time.process_time() < end: pass\n    return lambda e: [0.5] * len(e)"
    with Evaluator(small_testbed, default_sandbox(), limits=limits) as evaluator:
        assert evaluator.evaluate(burn.format(0.7), "public", [1]).accuracy == (0.5,)
        with pytest.raises(MethodError) as caught:
            evaluator.evaluate(burn.format(30), "public", [1])
    assert caught.value.kind == FailureKind.TIMEOUT
    assert "1 s of CPU" in caught.value.message


def test_a_whole_tree_dies_on_timeout(small_testbed: Testbed):
    name = f"tree-{os.getpid()}"
    code = f"""
import ctypes, os, time
def fit(problem, seed):
    ctypes.CDLL(None).prctl(15, {name.encode()!r}, 0, 0, 0)
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
    time.sleep(600)
"""
    limits = replace(seed_limits(Runtime()), wall_seconds=3)
    with Evaluator(small_testbed, default_sandbox(), limits=limits) as evaluator:
        evaluator.evaluate(TRIVIAL, "public", [1])
        waiting(evaluator, 1)
        with ThreadPoolExecutor(1) as thread:
            ended = thread.submit(evaluator.evaluate, code, "public", [1])
            until(lambda: len(named(name)) >= 4 or ended.done())
            assert len(named(name)) >= 4
            with pytest.raises(MethodError) as caught:
                ended.result()
        assert caught.value.kind == FailureKind.TIMEOUT
        until(lambda: not named(name), seconds=5)
        assert evaluator.evaluate(TRIVIAL, "public", [2]).accuracy == (0.5,)


def test_many_at_once_leave_no_more_than_wanted(small_testbed: Testbed):
    with Evaluator(small_testbed, default_sandbox(), workers=2) as evaluator:
        with ThreadPoolExecutor(4) as threads:
            results = list(threads.map(lambda n: evaluator.evaluate(TRIVIAL, "public", [n, n + 1]), range(6)))
        assert all(result.accuracy == (0.5, 0.5) for result in results)
        waiting(evaluator, 2)
        assert len(descendants(os.getpid())) > 0


def test_a_sandbox_that_does_not_get_ready_is_not_the_methods_fault(small_testbed: Testbed):
    limits = replace(seed_limits(Runtime()), memory_bytes=2**24)
    with Evaluator(small_testbed, default_sandbox(), limits=limits) as evaluator:
        with pytest.raises(SandboxUnavailable) as caught:
            evaluator.evaluate(TRIVIAL, "public", [1])
        assert isinstance(caught.value, StartFailed) or "bwrap" in caught.value.message
        assert len(evaluator._pool) == 0


def test_closing_while_one_is_being_made_ends_it(small_testbed: Testbed):
    before = descendants(os.getpid())
    evaluator = Evaluator(small_testbed, default_sandbox(), workers=2)
    evaluator.evaluate(TRIVIAL, "public", [1, 2, 3])
    evaluator.close()
    assert descendants(os.getpid()) <= before
    assert len(evaluator._pool) == 0
    assert not any(thread.name == "warm-sandboxes" and thread.is_alive() for thread in threading.enumerate())


def test_without_warming_none_waits(small_testbed: Testbed):
    before = descendants(os.getpid())
    with Evaluator(small_testbed, default_sandbox(), prewarm=False) as evaluator:
        assert evaluator.evaluate(TRIVIAL, "public", [1]).accuracy == (0.5,)
        assert evaluator._pool._filler is None
        assert descendants(os.getpid()) <= before


OWNER = """
import sys, time
from aarlab.evaluation import Evaluator
from aarlab.sandbox import UnsafeSandbox, default_sandbox
from aarlab.testbeds import load_testbed
sandbox = UnsafeSandbox() if sys.argv[2] == "none" else default_sandbox()
evaluator = Evaluator(load_testbed(sys.argv[1]), sandbox)
evaluator.evaluate(sys.argv[3], "public", [1])
while not len(evaluator._pool):
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("sandbox", [default_sandbox(), UnsafeSandbox()], ids=lambda s: s.name)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_waiting_ones_die_with_their_owner(worded: Path, sandbox: object, end: signal.Signals):
    arguments = [sys.executable, "-c", OWNER, str(worded), sandbox.name, TRIVIAL]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as owner:
        assert owner.stdout.readline() == b"ready\n"
        tree = descendants(owner.pid)
        assert tree
        owner.send_signal(end)
        owner.wait(20)
    until(lambda: not any(Path("/proc", str(pid)).exists() for pid in tree), seconds=10)
