"""Encodes ticks beside the engine: while one tick is serialised and compressed, the engine works on the next.

The record of a tick depends on the outputs alone, in their order (see broadcast.encoder), so it is the same wherever
it is made.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

from liqscape.broadcast.ports import TickRecord
from liqscape.errors import ModelError
from liqscape.grid.updates import TickOutput

MAX_OUTPUTS_WAITING: Final = 4
"""A second of ticks at 250 ms: an encoder further behind than that is too slow, not busy; the engine then waits for it
rather than fill the memory with changes."""


class EncodingThread:
    """One thread that turns outputs into records and publishes them, in order.

    Args:
        encode: makes the record; called on this thread only.
        publish: takes it; called on this thread only.
        afterwards: work that must not hold up a record; called on this thread only, when one is published.
    """

    def __init__(
        self,
        encode: Callable[[TickOutput], TickRecord],
        publish: Callable[[TickRecord], None],
        afterwards: Callable[[], None] = lambda: None,
    ) -> None:
        self._encode = encode
        self._publish = publish
        self._afterwards = afterwards
        self._outputs: queue.Queue[TickOutput | None] = queue.Queue(MAX_OUTPUTS_WAITING)
        self._error: Exception | None = None
        self._waits = 0
        self._thread = threading.Thread(target=self._run, name="encoding", daemon=True)

    @property
    def waits(self) -> int:
        """Return how often the engine had to wait for this thread."""
        return self._waits

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, output: TickOutput) -> None:
        """Have an output encoded and published; waits only while too many are waiting already.

        Raises:
            Exception: what went wrong with an earlier output; nothing is published after it.
        """
        self._raise_error()
        if self._outputs.full():
            self._waits += 1
        self._outputs.put(output)

    def finish(self) -> None:
        """Wait until everything submitted is published, and end the thread.

        Raises:
            Exception: what went wrong with an output.
        """
        self.stop()
        self._raise_error()

    def stop(self) -> None:
        """Do as finish() does, but keep silent about errors: for an engine that ends for a reason of its own."""
        if self._thread.is_alive():
            self._outputs.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (output := self._outputs.get()) is not None:
            if self._error is not None:
                continue  # keep the engine from waiting for ever; it hears of the error with its next tick
            try:
                self._publish(self._encode(output))
                self._afterwards()
            except Exception as error:  # carried to the engine's thread, which ends the engine with it
                self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, ModelError("encoding has failed before")
            raise error
