"""Work beside the ticks: what is done is taken over between ticks, and what found no memory is tried again later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from liqscape.background import MEMORY_RETRY_SECONDS, SELF_CHECK_SECONDS, BackgroundWork
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import LimitExceeded


class Log:
    """Hears what it is to adopt."""

    def __init__(self) -> None:
        self.adopted: list[Any] = []

    def adopt(self, past: Any) -> None:
        self.adopted.append(past)


class FakeShard:
    """Always has one merge due, and one comparison."""

    def __init__(self, merge: Callable[[], Any], compare: Callable[[], str | None] = lambda: None) -> None:
        self.log = Log()
        self.asked = 0
        self._merge = merge
        self._compare = compare

    def compactions(self) -> list[tuple[Log, Callable[[], Any]]]:
        self.asked += 1
        return [(self.log, self._merge)]

    def self_check(self, number: int) -> Callable[[], str | None]:
        return self._compare


class Seconds:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def tick(work: BackgroundWork, shard: FakeShard) -> None:
    """End a tick, and let what it started be done."""
    work.after_tick(shard)  # type: ignore[arg-type]
    work._thread.submit(lambda: None).result()


def test_merge_is_adopted_in_the_tick_after_it_is_done() -> None:
    work, shard = BackgroundWork(Seconds()), FakeShard(lambda: "past")

    tick(work, shard)
    assert shard.log.adopted == []
    tick(work, shard)

    assert shard.log.adopted == ["past"]
    assert work.counters["compactions"] == 1


def test_merge_without_memory_is_counted_and_tried_again_later(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OutOfDeviceMemory("no room")

    clock = Seconds()
    work, shard = BackgroundWork(clock), FakeShard(fail)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            tick(work, shard)

    assert shard.asked == 1
    assert work.counters["compactions_without_memory"] == 1
    assert work.counters["compactions"] == 0
    assert "not merged yet: no room" in caplog.text
    clock.now += MEMORY_RETRY_SECONDS
    tick(work, shard)
    assert shard.asked == 2


@pytest.mark.parametrize(("difference", "differences"), [(None, 0), ("3 of 9 cells", 1)])
def test_self_check_counts_what_differs(difference: str | None, differences: int) -> None:
    clock = Seconds()
    work, shard = BackgroundWork(clock), FakeShard(lambda: "past", lambda: difference)
    clock.now += SELF_CHECK_SECONDS

    tick(work, shard)
    tick(work, shard)

    assert work.counters["self_checks"] == 1
    assert work.counters["self_check_differences"] == differences


def test_self_check_that_finds_no_memory_is_left_out() -> None:
    def fail() -> None:
        raise LimitExceeded("no room", 1)

    clock = Seconds()
    work, shard = BackgroundWork(clock), FakeShard(lambda: "past", fail)
    clock.now += SELF_CHECK_SECONDS

    tick(work, shard)
    tick(work, shard)

    assert work.counters["self_checks"] == 0
