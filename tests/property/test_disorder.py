"""Whatever order, stamps and clocks do, a shard goes on, adds up, and is made again of its journal as it was.

Events of a made-up day are said twice, told ticks later and stamped hours off; the clock of its ticks is set back and
forward. The book checks at each sample that it adds up, so a shard that lives has done so.

Seen to fail when broken on purpose, one at a time: in state.py a tick that goes back taken as it is; in bar_builder.py
a stamp left out of what is carried.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqscape.events import Candle, Correction, Event, Gap, MarkPrice, OpenInterest, TickEnd, Trade
from liqscape.market.closed_tick import ClosedTick
from liqscape.market.tick_codec import decode_tick, encode_tick
from tests.equal_shards import Stream, differences
from tests.property.made_up_days import Day, days
from tests.property.test_restart import new_shard

HOUR_NS = 3600 * 10**9
SHIFTS_NS = (-2 * HOUR_NS, -61 * 10**9, -59 * 10**9, -1, 1, 4 * 10**9, 6 * 10**9, 2 * HOUR_NS)


def disordered(day: Day, random: Random) -> list[list[Event]]:
    """Return the ticks of a day as a bad line, bad venues and a bad clock of ours tell them."""
    told: list[list[Event]] = [[] for _ in day.ticks]
    clock_off_ns = 0
    for number, tick in enumerate(day.ticks):
        *events, end = tick
        assert isinstance(end, TickEnd)
        for event in events:
            if random.random() < 0.15:
                event = _restamped(event, random.choice(SHIFTS_NS))
            late = min(len(told) - 1, number + (random.randrange(4) if random.random() < 0.2 else 0))
            told[late].append(event)
            if random.random() < 0.15:
                told[random.randrange(late, len(told))].append(event)
        if random.random() < 0.1 and events:
            name = getattr(events[0], "instrument_id", "")
            quantity = random.choice((None, 0, 10**9))
            told[number].append(
                Correction(name, end.time_ns, end.time_ns - 9, end.time_ns - random.randrange(3), quantity, "")
            )
            told[number].append(Gap(name, end.time_ns - HOUR_NS, end.time_ns - random.randrange(3), "made up"))
        if random.random() < 0.2:
            clock_off_ns = random.choice((0, 0, *SHIFTS_NS))
        random.shuffle(told[number])
        told[number].append(replace(end, time_ns=end.time_ns + clock_off_ns))
    return told


def _restamped(event: Event, shift_ns: int) -> Event:
    if isinstance(event, Candle):
        return replace(event, open_time_ns=event.open_time_ns + shift_ns, close_time_ns=event.close_time_ns + shift_ns)
    if isinstance(event, Trade | MarkPrice | OpenInterest):
        return replace(event, time_ns=event.time_ns + shift_ns)
    return event


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 5)
@given(
    days(symbols=("BTC", "ETH"), min_ticks=10, max_ticks=16),
    st.integers(0, 1 << 32),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_disorder_is_survived_counted_and_replayed(day: Day, seed: int, snapshot_after: int, killed_after: int) -> None:
    journal: list[bytes] = []
    lived, snapshot, ticks = new_shard(day, journal), None, disordered(day, Random(seed))
    for number, tick in enumerate(ticks[: killed_after + 1]):
        for event in tick:
            lived.accept(event)
        if number <= snapshot_after and lived.may_be_snapshot:
            snapshot = lived.snapshot()()

    restored = new_shard(day)
    if snapshot is not None:
        restored.restore(snapshot)
    for body in journal[restored.tick :]:
        restored.replay(decode_tick(body))
    assert restored.market.snapshot() == lived.market.snapshot()
    assert Stream(lived).send(lived.restate()) == Stream(restored).send(restored.restate())
    for event in (event for tick in ticks[killed_after + 1 :] for event in tick):
        lived.accept(event)
        restored.accept(event)

    closed: list[ClosedTick] = [decode_tick(body) for body in journal]
    said = sum(len(tick) - 1 for tick in ticks)
    ends = [tick_again.end_ns for tick_again in closed]
    assert ends == sorted(set(ends))
    assert [encode_tick(tick_again) for tick_again in closed] == journal
    assert differences(lived, restored) == []
    counters = lived.market.counters
    assert counters["rejected_events"] == counters["late_events"]
    assert sum(counters[name] for name in ("late_events", "repeated_events", "leapt_events")) <= said
    # A stamp is believed to be ahead by a few seconds at most, whatever was said.
    assert all(carry.watermark_ns <= lived.end_ns + 5 * 10**9 for carry in lived.market.snapshot().carries.values())
