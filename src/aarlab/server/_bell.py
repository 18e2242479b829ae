"""Wakes requests that wait for an evaluation to end, without a thread for each of them."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")

POLL_SECONDS = 2.0  # should another process, whose bell is not heard here, have ended it


class Bell:
    """Rung from any thread when an evaluation has ended. Made inside the server's event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._closed = False

    def ring(self) -> None:
        """Wake all that wait; safe from any thread, also after the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Send all that wait home, and let no one wait any more; the server is stopping."""
        self._closed = True
        self._wake()

    @property
    def closed(self) -> bool:
        """Whether the server is stopping."""
        return self._closed

    def _wake(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, look: Callable[[], T], done: Callable[[T], bool], seconds: float) -> T:
        """Look until it is done or the time is up; returns what was seen last.

        Args:
            look: reads the state; runs in a worker thread.
            done: whether that is what was waited for.
            seconds: how long to wait at most.
        """
        end = self._loop.time() + seconds
        while True:
            event = self._event  # before looking, so that no ring is missed
            seen = await run_in_threadpool(look)
            left = end - self._loop.time()
            if left <= 0 or self._closed or done(seen):
                return seen
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, POLL_SECONDS)):
                    await event.wait()
