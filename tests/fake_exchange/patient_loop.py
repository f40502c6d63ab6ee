"""An event loop whose time goes on only as far as it gets to act: a machine that is busy delays it and cuts nobody off.

Where venues and who listens to them are in one loop and their seconds are short, a process that does not run for a
second would lose forty of theirs: every silence would be over its limit before a message that lies in its socket is
read. Here a round of the loop takes no more than MOST_STEP_S of its time, however long it took by the machine's clock.
So how much is done in a second of the venues does not depend on how busy the machine is.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

MOST_STEP_S: Final = 0.02
"""Of a round. Less than a second for clocks forty times as fast: far below every limit of a connection."""

_T = TypeVar("_T")


class PatientLoop(asyncio.SelectorEventLoop):
    """A loop for sockets and timers.

    Args:
        clock: the machine's, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock_of_machine = clock
        self._seen_s = clock()
        self._now_s = 0.0
        super().__init__(_ShortWaits())

    def time(self) -> float:
        """Return the seconds in which the loop could act."""
        seen = self._clock_of_machine()
        self._now_s += min(seen - self._seen_s, MOST_STEP_S)
        self._seen_s = seen
        return self._now_s


class _ShortWaits(selectors.DefaultSelector):
    """A selector that looks up within MOST_STEP_S: a wait that is longer would be counted as one step."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(MOST_STEP_S if timeout is None else min(timeout, MOST_STEP_S))


def run_patiently(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in a PatientLoop, as asyncio.run does in one of the usual kind."""
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(main)
