"""Get ready, wait for one method and its seed, run it, inside the sandbox."""

import json
import math
import os
import resource
import sys
import traceback
import types
from pathlib import Path
from typing import BinaryIO

import numpy as np

from aarlab.harness import frames
from aarlab.harness._record import Record
from aarlab.harness.job import METHOD, PROBLEM, Failure, read_problem, unpack_batch
from aarlab.sandbox._seccomp import install
from aarlab.students import Problem, Unsupported

MAX_MESSAGE_CHARACTERS = 3_000


class _MethodFailed(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(kind, message[-MAX_MESSAGE_CHARACTERS:])


class _Pipes:
    """Frames in and out, away from descriptors 0 and 1, so that a method's prints and reads do not disturb them."""

    def __init__(self) -> None:
        self._incoming: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._outgoing: BinaryIO = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        self._outgoing.write(frames.frame(kind, payload))
        self._outgoing.flush()

    def receive(self) -> tuple[bytes, bytes]:
        """Kind and payload of the next frame; leaves if there is none, or none that was agreed on."""
        header = self._incoming.read(frames.HEADER.size)
        if len(header) < frames.HEADER.size:
            os._exit(0)
        kind, length = frames.HEADER.unpack(header)
        if length > frames.LONGEST.get(kind, -1):
            os._exit(1)
        payload = self._incoming.read(length)
        if len(payload) < length:
            os._exit(0)
        return kind, payload


def _trace(error: BaseException) -> str:
    """The traceback's part that lies in the method, and the error itself."""
    entries = [e for e in traceback.extract_tb(error.__traceback__) if e.filename == METHOD]
    return "".join([*traceback.format_list(entries), *traceback.format_exception_only(error)]).strip()


def _guarded(what: str, function, *arguments):  # type: ignore[no-untyped-def]
    """Call the method's code, which may raise anything at all."""
    try:
        return function(*arguments)
    except MemoryError as error:
        raise _MethodFailed("out-of-memory", f"{what} ran out of memory.\n{_trace(error)}") from None
    except Unsupported as error:
        raise _MethodFailed("unsupported", f"{what}: {error}.\n{_trace(error)}") from None
    except BlockingIOError as error:  # fork and clone say EAGAIN when no process is left
        raise _MethodFailed("too-many-processes", f"{what} could not start a process.\n{_trace(error)}") from None
    except BaseException as error:  # noqa: BLE001 - SystemExit and friends of hostile code included
        raise _MethodFailed("exception", f"{what} raised {type(error).__name__}.\n{_trace(error)}") from None


def _load(source: str) -> types.ModuleType:
    try:
        code = compile(source, METHOD, "exec")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:  # the last two if nested too deeply
        message = "".join(traceback.format_exception_only(error)).strip()
        raise _MethodFailed("syntax-error", message) from None
    module = types.ModuleType("method")
    sys.modules["method"] = module
    _guarded("importing the method", exec, code, module.__dict__)
    if not callable(getattr(module, "fit", None)):
        raise _MethodFailed("no-fit", "The file defines no function `fit`.")
    return module


def _as_predictions(answer: object, count: int) -> bytes:
    try:
        array = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _MethodFailed("not-numbers", f"The predictor returned {type(answer).__name__}: {error}") from None
    if array.shape != (count,):
        raise _MethodFailed("wrong-shape", f"The predictor returned shape {array.shape} for {count} examples.")
    return array.tobytes()


def _serve(source: str, seed: int, problem: Problem, pipes: _Pipes) -> None:
    """Fit, then answer batch by batch."""
    predictor = _guarded("fit", _load(source).fit, problem, seed)
    if not callable(predictor):
        raise _MethodFailed("wrong-shape", f"fit returned {type(predictor).__name__}, not a function.")
    pipes.send(frames.READY)
    while True:
        kind, payload = pipes.receive()
        if kind == frames.DONE:
            return
        examples = unpack_batch(payload)
        answer = _guarded("the predictor", predictor, examples)
        pipes.send(frames.PREDICTIONS, _as_predictions(answer, len(examples)))


def _limit_cpu(seconds: int) -> None:
    """What was used until now is not the method's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(used.ru_utime + used.ru_stime) + seconds
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))


def serve(folder: Path) -> None:
    """Serve one job, then leave without running the method's exit handlers."""
    pipes = _Pipes()
    problem = read_problem(folder / PROBLEM)
    record = Record(METHOD)
    pipes.send(frames.WARM, bytes([install()]))
    _, order = pipes.receive()
    seed, cpu_seconds = frames.ORDER.unpack_from(order)
    source = order[frames.ORDER.size :].decode()
    _limit_cpu(cpu_seconds)
    pipes.send(frames.STARTED)
    record.watch()
    try:
        _serve(source, seed, problem, pipes)
    except _MethodFailed as failed:
        pipes.send(frames.FAILURE, json.dumps(vars(failed.failure)).encode())
    else:
        pipes.send(frames.RECORD, record.to_json())
    sys.stderr.flush()
    os._exit(0)
