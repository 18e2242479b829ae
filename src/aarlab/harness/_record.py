"""A record of what a method does, by Python's audit events.

What it shows: how often each kind of thing was done, by a method that does not hide. What it does not: the record
lives in the method's own process, where a few lines erase or forge it. It is evidence against whoever is in it, and
clears nobody who is not.
"""

import json
import re
import sys
from collections import Counter
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any

MAX_KINDS = 100
OTHER = "other"

# What libraries do all the time when they are imported or called: counted only if their caller is no library.
COMMON = frozenset(
    {
        *("exec", "compile", "import", "open", "sys._getframe", "marshal.loads", "code.__new__", "function.__new__"),
        *("object.__getattr__", "object.__setattr__", "object.__delattr__", "array.__new__", "os.listdir"),
        *("os.scandir", "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "ctypes.call_function"),
        *("ctypes.set_errno", "ctypes.get_errno", "ctypes.addressof", "pickle.find_class"),
    }
)
# Files of the standard library that run what they are given: no excuse for it.
RUNNERS = frozenset({"timeit.py", "code.py", "codeop.py", "bdb.py", "cProfile.py", "profile.py", "trace.py"})
FROZEN_RUNNER = "<frozen runpy>"
CTYPES = "/ctypes/__init__.py"  # loads on behalf of whoever called it
USUAL = frozenset({"aarlab", "numpy", "scipy", "sklearn", "joblib", "threadpoolctl", "torch", "transformers", "peft"})
# Where libraries look when they ask what machine this is.
ABOUT_THE_MACHINE = ("/proc/", "/sys/", "/dev/", "/etc/")
KIND = re.compile(r"[A-Za-z_][\w./]{0,63}")


class Record:
    """Counts by event."""

    def __init__(self, method: str) -> None:
        """Prepare to watch.

        Args:
            method: file name that the method is compiled under.
        """
        self._method = method
        self._counts: Counter[str] = Counter()
        self._on = False
        self._libraries = ("<frozen ", f"{sys.prefix}/", *(f"{folder}/" for folder in sys.path if folder))

    def watch(self) -> None:
        """Count from now on; there is no way to take the hook away again."""
        sys.addaudithook(self._hook)
        self._on = True

    def to_json(self) -> bytes:
        """The counts; counting ends."""
        self._on = False
        return json.dumps(dict(self._counts)).encode()

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        self._on = False  # looking at the caller is an event too
        try:
            kind = self._kind(event, arguments, _caller(sys._getframe(1)))
            if kind is None:
                return
            if not KIND.fullmatch(kind) or (kind not in self._counts and len(self._counts) >= MAX_KINDS):
                kind = OTHER
            self._counts[kind] += 1
        finally:
            self._on = True

    def _kind(self, event: str, arguments: tuple[Any, ...], caller: str) -> str | None:
        """What to count an event as; None for what every method does."""
        if event not in COMMON:
            return event
        if self._in_library(caller):
            return "open" if event == "open" and self._is_data(arguments[0]) else None
        if event == "import":
            root = str(arguments[0]).partition(".")[0]
            return None if root in USUAL else f"import/{root}"
        if event == "exec" and isinstance(arguments[0], CodeType) and arguments[0].co_name == "<module>":
            return None if arguments[0].co_filename == self._method else event  # the harness, running the method
        return event

    def _in_library(self, file: str) -> bool:
        if file == FROZEN_RUNNER or PurePath(file).name in RUNNERS:
            return False
        return file.startswith(self._libraries)

    def _is_data(self, path: object) -> bool:
        """Whether a file that a library opens is none of its own."""
        return isinstance(path, str) and not path.startswith((*self._libraries, *ABOUT_THE_MACHINE))


def _caller(frame: FrameType | None) -> str:
    """File of the code that caused an event."""
    while frame is not None and frame.f_code.co_filename.endswith(CTYPES):
        frame = frame.f_back
    return "" if frame is None else frame.f_code.co_filename
