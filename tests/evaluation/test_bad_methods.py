"""Each way to break the contract has a name and advice, and breaks nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from textwrap import dedent

import pytest

from aarlab.evaluation import Evaluator, FailureKind, MethodError, seed_limits
from aarlab.sandbox import default_sandbox
from aarlab.students import Runtime
from aarlab.testbeds import Testbed

FIT = "def fit(problem, seed):\n"
FORBIDDEN = (FailureKind.FORBIDDEN, "start a program, open a network connection")

BAD = {
    "syntax": ("def fit(problem, seed)\n    pass", FailureKind.SYNTAX_ERROR, "line 1"),
    "nul byte": ("x = '\0'", FailureKind.SYNTAX_ERROR, "null bytes"),
    "nested too deeply": ("-" * 100_000 + "1", FailureKind.SYNTAX_ERROR, "MemoryError"),
    "long sum": ("x = " + "1 + " * 100_000 + "1", FailureKind.SYNTAX_ERROR, "recursion"),
    "empty": ("", FailureKind.NO_FIT, "no function"),
    "no fit": ("def train(problem, seed): pass", FailureKind.NO_FIT, "no function"),
    "fit is no function": ("fit = 3", FailureKind.NO_FIT, "no function"),
    "import fails": ("import torch\n" + FIT + " pass", FailureKind.EXCEPTION, "torch"),
    "fit raises": (FIT + "    raise KeyError('oh')", FailureKind.EXCEPTION, "KeyError"),
    "fit exits": (FIT + "    raise SystemExit(0)", FailureKind.EXCEPTION, "SystemExit"),
    "fit leaves": (FIT + "    import os; os._exit(0)", FailureKind.CRASHED, "status 0"),
    "fit dies": (FIT + "    import os; os.kill(os.getpid(), 11)", FailureKind.CRASHED, "status"),
    "fit returns None": (FIT + "    return None", FailureKind.WRONG_SHAPE, "NoneType"),
    "predictor raises": (FIT + "    return lambda e: 1 / 0", FailureKind.EXCEPTION, "ZeroDivisionError"),
    "NaN": (FIT + "    return lambda e: [float('nan')] * len(e)", FailureKind.NOT_FINITE, "256 of 256"),
    "infinite": (FIT + "    return lambda e: [float('inf')] * len(e)", FailureKind.NOT_FINITE, "infinite"),
    "logits": (FIT + "    return lambda e: [2.5] * len(e)", FailureKind.OUT_OF_RANGE, "2.5"),
    "negative": (FIT + "    return lambda e: [-0.1] * len(e)", FailureKind.OUT_OF_RANGE, "-0.1"),
    "one too few": (FIT + "    return lambda e: [0.5] * (len(e) - 1)", FailureKind.WRONG_SHAPE, "(255,)"),
    "two columns": (FIT + "    return lambda e: [[0.5, 0.5]] * len(e)", FailureKind.WRONG_SHAPE, "(256, 2)"),
    "words": (FIT + "    return lambda e: ['yes'] * len(e)", FailureKind.NOT_NUMBERS, "list"),
    "noise on stderr": (
        FIT + "    import os\n    while True: os.write(2, b'x' * 65536)",
        FailureKind.TOO_MUCH_OUTPUT,
        "4000000 bytes",
    ),
    "noise on both": (
        FIT + "    while True:\n        print('x' * 65536)\n        import sys; sys.stderr.write('x' * 65536)",
        FailureKind.TOO_MUCH_OUTPUT,
        "4000000 bytes",
    ),
    "too long": ("#" * (2**22 + 1), FailureKind.TOO_LONG, "4194304 are allowed"),
    "starts a program": (FIT + "    import os; os.execv('/proc/self/exe', ['x'])", *FORBIDDEN),
    "starts one while it is imported": ("import os; os.execv('/proc/self/exe', ['x'])", *FORBIDDEN),
    "starts one while it predicts": (
        FIT + "    import os\n    return lambda e: os.execv('/proc/self/exe', ['x'])",
        *FORBIDDEN,
    ),
    "opens a connection": (FIT + "    import urllib.request as r; r.urlopen('http://1.1.1.1')", *FORBIDDEN),
    "traces": (FIT + "    import ctypes; ctypes.CDLL(None).ptrace(16, 1, 0, 0)", *FORBIDDEN),
    "mounts": (FIT + "    import ctypes; ctypes.CDLL(None).mount(0, 0, 0, 0, 0)", *FORBIDDEN),
    "leaves its namespaces": (FIT + "    import ctypes; ctypes.CDLL(None).unshare(0x10000000)", *FORBIDDEN),
    "in a thread": (
        FIT + "    import socket, threading\n    t = threading.Thread(target=socket.socket)\n    t.start(); t.join()",
        *FORBIDDEN,
    ),
    "10 GB": (FIT + "    x = bytearray(10 * 2**30)", FailureKind.OUT_OF_MEMORY, ""),
    "10 GB, slowly": (
        FIT + "    x = []\n    while True: x.append(bytearray(2**24))",
        FailureKind.OUT_OF_MEMORY,
        "",
    ),
    "noise on the pipe": (
        FIT
        + "    import os\n    for d in range(3, 30):\n"
        + "        try: os.write(d, b'x' * 2**20)\n        except OSError: pass",
        FailureKind.CRASHED,
        "frame",
    ),
}


@pytest.fixture(scope="module")
def evaluator(small_testbed: Testbed) -> Iterator[Evaluator]:
    limits = replace(seed_limits(Runtime()), memory_bytes=2**30, output_bytes=4 * 10**6)
    with Evaluator(small_testbed, default_sandbox(), limits=limits) as made:
        yield made


@pytest.fixture(scope="module")
def hasty(small_testbed: Testbed) -> Iterator[Evaluator]:
    limits = replace(seed_limits(Runtime()), wall_seconds=2, memory_bytes=2**30)
    with Evaluator(small_testbed, default_sandbox(), limits=limits) as made:
        yield made


@pytest.mark.parametrize("name", BAD)
def test_bad_methods_get_named_errors(evaluator: Evaluator, name: str):
    code, kind, says = BAD[name]
    with pytest.raises(MethodError) as caught:
        evaluator.evaluate(code, "public", [1])
    assert caught.value.kind == kind
    assert says in caught.value.message
    assert caught.value.advice


@pytest.mark.parametrize(
    "code",
    [
        FIT + "    while True: pass",
        FIT + "    def predict(e):\n        while True: pass\n    return predict",
        FIT + "    import signal, time\n    signal.alarm(0)\n    time.sleep(100)",
    ],
)
def test_what_never_ends_is_stopped(hasty: Evaluator, code: str):
    with pytest.raises(MethodError) as caught:
        hasty.evaluate(code, "public", [1])
    assert caught.value.kind == FailureKind.TIMEOUT
    assert "longer than 2 s" in caught.value.message


def test_a_fork_bomb_is_named_and_leaves_nothing(evaluator: Evaluator, hasty: Evaluator):
    bomb = FIT + "    import os\n    while True:\n        try: os.fork()\n        except OSError: pass"
    with pytest.raises(MethodError) as caught:
        hasty.evaluate(bomb, "public", [1])
    assert caught.value.kind in (FailureKind.TOO_MANY_PROCESSES, FailureKind.TIMEOUT)
    assert evaluator.evaluate(evaluator.vanilla_code(), "public", [1]).accuracy[0] > 0.5


def test_a_failed_fork_is_named(evaluator: Evaluator):
    children = (
        FIT + "    import os, time\n    for _ in range(1000):\n        if not os.fork(): time.sleep(60); os._exit(0)"
    )
    with pytest.raises(MethodError) as caught:
        evaluator.evaluate(children, "public", [1])
    assert caught.value.kind == FailureKind.TOO_MANY_PROCESSES


def test_what_a_method_prints_disturbs_nothing(evaluator: Evaluator):
    code = dedent("""
        import sys
        def fit(problem, seed):
            print("hello" * 10_000)
            sys.stderr.write("x" * 1_000_000)
            sys.stdin.read()
            return lambda examples: [0.5] * len(examples)
    """)
    result = evaluator.evaluate(code, "public", [1])
    assert result.accuracy == (0.5,)
