"""Which channels roll in a tick: few, or evenly many, in the order they fell due, and all before a minute ends."""

from __future__ import annotations

import pytest

from liqscape.axes import MINUTE_NS, TIMEFRAMES
from liqscape.errors import ConfigError
from liqscape.grid.rolls import RollQueue
from liqscape.grid.updates import Channel

SYMBOLS = ("BTC", "ETH")
CHANNELS = [Channel(9 * n + i + 1, s, f) for n, s in enumerate(SYMBOLS) for i, f in enumerate(TIMEFRAMES)]
SECOND_NS = 1_000_000_000
MINUTE_BEGIN_NS = 29_430_154 * MINUTE_NS


def named(*names: str) -> list[Channel]:
    return [c for c in CHANNELS if f"{c.symbol} {c.timeframe.name}" in names]


def ids(*names: str) -> frozenset[int]:
    return frozenset(channel.channel_id for channel in named(*names))


def test_midnight_is_spread_over_ticks_short_columns_of_all_symbols_first() -> None:
    queue = RollQueue(4)
    due = list(CHANNELS)
    order: list[frozenset[int]] = []
    for second in range(1, 6):
        taken = queue.take(due, MINUTE_BEGIN_NS + second * SECOND_NS)
        order.append(taken)
        due = [channel for channel in due if channel.channel_id not in taken]

    assert order[0] == ids("BTC 12h", "ETH 12h", "BTC 24h", "ETH 24h")
    assert order[4] == ids("BTC 1y", "ETH 1y")
    assert [len(taken) for taken in order] == [4, 4, 4, 4, 2]


def test_who_waits_longer_goes_first() -> None:
    queue = RollQueue(1)
    assert queue.take(named("ETH 1w", "ETH 1y"), MINUTE_BEGIN_NS + SECOND_NS) == ids("ETH 1w")

    taken = queue.take(named("ETH 1y", "BTC 12h"), MINUTE_BEGIN_NS + 2 * SECOND_NS)

    assert taken == ids("ETH 1y")
    assert queue.take(named("BTC 12h"), MINUTE_BEGIN_NS + 3 * SECOND_NS) == ids("BTC 12h")


def test_queue_that_is_restored_knows_who_waits_longer_and_how_long_a_tick_is() -> None:
    queue, restored = RollQueue(1), RollQueue(1)
    queue.take(named("ETH 1w", "ETH 1y"), MINUTE_BEGIN_NS + SECOND_NS)

    restored.restore(queue.snapshot())

    # In ticks of a second one is enough; who does not know how long they are would take one as well, but another.
    assert restored.take(named("ETH 1y", "BTC 12h"), MINUTE_BEGIN_NS + 2 * SECOND_NS) == ids("ETH 1y")
    slow = RollQueue(1)
    slow.take([], MINUTE_BEGIN_NS - 9 * SECOND_NS)
    restored.restore(slow.snapshot())
    assert len(restored.take(CHANNELS, MINUTE_BEGIN_NS + 9 * SECOND_NS)) == len(CHANNELS) // 2


def test_who_is_no_longer_due_loses_its_turn() -> None:
    queue = RollQueue(1)
    queue.take(named("BTC 12h", "BTC 24h"), MINUTE_BEGIN_NS + SECOND_NS)

    assert queue.take([], MINUTE_BEGIN_NS + 2 * SECOND_NS) == frozenset()
    assert queue.take(named("BTC 24h", "ETH 12h"), MINUTE_BEGIN_NS + 3 * SECOND_NS) == ids("ETH 12h")


@pytest.mark.parametrize(
    ("seconds", "count"),
    [(0.25, 1), (29.75, 1), (30, 18), (30.25, 18), (60, 18)],
    ids=["first", "spread", "the last chance", "next", "offline"],
)
def test_from_half_a_minute_on_nobody_waits(seconds: float, count: int) -> None:
    taken = RollQueue(1).take(CHANNELS, MINUTE_BEGIN_NS + int(seconds * SECOND_NS))

    assert len(taken) == count


def test_many_are_spread_evenly_over_what_is_left_of_the_first_half_of_a_minute() -> None:
    """Seen to fail where a tick takes rolls_per_tick at most: the first tick of the second half took 354 at once."""
    queue, tick_ns = RollQueue(4), 1_250_000_000
    due = [Channel(number, f"S{number // 9}", TIMEFRAMES[number % 9]) for number in range(450)]
    queue.take([], MINUTE_BEGIN_NS)
    taken: list[int] = []
    for tick in range(1, 49):
        found = queue.take(due, MINUTE_BEGIN_NS + tick * tick_ns)
        due = [channel for channel in due if channel.channel_id not in found]
        taken.append(len(found))

    assert taken == [*[19] * 18, *[18] * 6, *[0] * 24]


def test_at_least_one_a_tick() -> None:
    with pytest.raises(ConfigError, match="rolls_per_tick 0 is invalid; use 1 or more"):
        RollQueue(0)
