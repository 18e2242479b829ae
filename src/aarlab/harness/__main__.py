"""`python -m aarlab.harness JOB_FOLDER SEED`: run one method with one seed, inside the sandbox."""

import json
import os
import sys
import traceback
import types
from pathlib import Path
from typing import BinaryIO

import numpy as np

from aarlab.harness import frames
from aarlab.harness.job import METHOD, PROBLEM, Failure, read_problem, unpack_batch
from aarlab.students import Unsupported

MAX_MESSAGE_CHARACTERS = 3_000


class _MethodFailed(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(kind, message[-MAX_MESSAGE_CHARACTERS:])


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes off descriptors 0 and 1, so that a method's prints and reads do not disturb them."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb")


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
    except (SyntaxError, ValueError) as error:
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


def _serve(job: Path, seed: int, incoming: BinaryIO, outgoing: BinaryIO) -> None:
    source = (job / METHOD).read_text(encoding="utf-8", errors="replace")
    problem = read_problem(job / PROBLEM)
    predictor = _guarded("fit", _load(source).fit, problem, seed)
    if not callable(predictor):
        raise _MethodFailed("wrong-shape", f"fit returned {type(predictor).__name__}, not a function.")
    outgoing.write(frames.frame(frames.READY))
    outgoing.flush()
    while header := incoming.read(frames.HEADER.size):
        _, length = frames.HEADER.unpack(header)
        examples = unpack_batch(incoming.read(length))
        answer = _guarded("the predictor", predictor, examples)
        outgoing.write(frames.frame(frames.PREDICTIONS, _as_predictions(answer, len(examples))))
        outgoing.flush()


def main() -> None:
    """Serve one job, then leave without running the method's exit handlers."""
    incoming, outgoing = _claim_pipes()
    try:
        _serve(Path(sys.argv[1]), int(sys.argv[2]), incoming, outgoing)
    except _MethodFailed as failed:
        outgoing.write(frames.frame(frames.FAILURE, json.dumps(vars(failed.failure)).encode()))
        outgoing.flush()
    sys.stderr.flush()
    os._exit(0)


main()
