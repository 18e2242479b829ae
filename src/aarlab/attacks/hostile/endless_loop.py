"""Never ends, and shuts its ears to signals."""

import contextlib
import signal


def attempt() -> float:
    """Never returns."""
    for number in range(1, 65):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    while True:
        pass
