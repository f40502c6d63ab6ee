"""What an engine does beside its ticks: merge old events, and check itself. Never on the tick's path."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from liqscape.device.backend import CompactedPast
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import LimitExceeded
from liqscape.grid.event_log import EventLog
from liqscape.grid.shard import Shard

_LOG = logging.getLogger(__name__)

SELF_CHECK_SECONDS: Final = 10.0
"""One channel each time: eighteen channels are through in three minutes, at under 1 % of a core."""

MEMORY_RETRY_SECONDS: Final = 10.0
"""After a merge found no memory on the device. Merging late is exact; asking in every tick would be all it does."""


class BackgroundWork:
    """One thread of work whose results the engine takes over between ticks.

    Attributes:
        counters: compactions, self_checks and self_check_differences since the start, and compactions that found no
            memory on the device. A difference is a defect of this program: it is logged as an error and stays visible
            in the status.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.counters: Counter[str] = Counter(
            compactions=0, compactions_without_memory=0, self_checks=0, self_check_differences=0
        )
        self._monotonic = monotonic
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="background")
        self._compacting: tuple[EventLog, Future[CompactedPast]] | None = None
        self._checking: Future[str | None] | None = None
        self._merge_due = monotonic()
        self._check_number = 0
        self._check_due = monotonic() + SELF_CHECK_SECONDS

    def after_tick(self, shard: Shard) -> None:
        """Take over what is done and start what is due. Call it on the engine's thread, between ticks."""
        self._compact(shard)
        self._check(shard)

    def stop(self) -> None:
        """Start nothing more; what runs ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _compact(self, shard: Shard) -> None:
        if self._compacting is None:
            due = shard.compactions() if self._monotonic() >= self._merge_due else []
            if due:
                log, work = due[0]
                self._compacting = (log, self._thread.submit(work))
        elif self._compacting[1].done():
            log, future = self._compacting
            self._compacting = None
            try:
                past = future.result()
            except OutOfDeviceMemory as error:
                self.counters["compactions_without_memory"] += 1
                self._merge_due = self._monotonic() + MEMORY_RETRY_SECONDS
                _LOG.warning("old events are not merged yet: %s", error)
                return
            log.adopt(past)
            self.counters["compactions"] += 1

    def _check(self, shard: Shard) -> None:
        if self._checking is not None:
            if not self._checking.done():
                return
            checking, self._checking = self._checking, None
            self._take_over(checking)
        if self._monotonic() >= self._check_due:
            self._check_due = self._monotonic() + SELF_CHECK_SECONDS
            comparison = shard.self_check(self._check_number)
            self._check_number += 1
            if comparison is not None:
                self._checking = self._thread.submit(comparison)

    def _take_over(self, checking: Future[str | None]) -> None:
        try:
            difference = checking.result()
        except LimitExceeded as error:
            _LOG.warning("self-check left out: %s", error)
            return
        self.counters["self_checks"] += 1
        if difference is not None:
            self.counters["self_check_differences"] += 1
            _LOG.error("self-check: %s from the full recompute", difference)
