"""Work of other threads that must see the engine's state between two ticks, and none of it half done."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

_T = TypeVar("_T")


class BetweenTicks:
    """A queue that the engine's thread empties between ticks, and wherever its event loop waits for the next event.

    Args:
        afterwards: runs the work once the engine's thread has ended and nothing changes any more.
    """

    def __init__(self, afterwards: Executor) -> None:
        self._afterwards = afterwards
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def submit(self, work: Callable[[], _T]) -> Future[_T]:
        """Have work done between ticks; it should be short, for it delays the next one. From any thread."""
        with self._lock:
            if self._ended:
                return self._afterwards.submit(work)
            future: Future[_T] = Future()
            self._waiting.append(lambda: _carry_out(future, work))
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.run)
            return future

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the engine's event loop. On its thread."""
        with self._lock:
            self._loop = loop

    def run(self) -> None:
        """Do what waits. On the engine's thread, between ticks; a source that never waits leaves the loop no time."""
        while (job := self._next()) is not None:
            job()

    def end(self) -> None:
        """Do what waits for the last time. On the engine's thread, while its loop is still open."""
        with self._lock:
            self._ended, self._loop = True, None
        self.run()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None


def _carry_out(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return  # whoever asked has gone
    try:
        result = work()
    except Exception as error:  # told to the thread that asked; the engine goes on
        future.set_exception(error)
    else:
        future.set_result(result)
