"""Slices of a tick, live and in a replay: what is handed over when, in which order, and which ticks there are; and who
waits for whom at the end of one.

Seen to fail when broken on purpose, one at a time: in slices.py the end of a tick found anew in every slice; the end
kept though the clock was set back; in replay.py a tick handed over in one piece; slices cut a slice too late, the last
one before the end left to it; the pulse at each slice; a resumed tick begun with its last slice. In turn.py nobody
waiting, everybody waiting before the end, too, and a wait for each message; the turn never given back by slices.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from liqscape.clock import ManualClock
from liqscape.events import Event, Gap, MarkPrice, TakerSide, TickEnd, Trade
from liqscape.feeds.build import wanted_venues
from liqscape.feeds.live import turn
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.inbox import Inbox
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.live.replay import ReplaySource
from liqscape.feeds.live.slices import SLICES_A_TICK, STEPPED_BACK_NS, Slices, slice_ns
from liqscape.feeds.live.source import LiveSource

TICK_NS = 250_000_000
SLICE_NS = slice_ns(TICK_NS)
START_NS = 1_795_219_200 * 10**9
VENUE = "binance-usdm"

Heard = tuple[int, bytes]
"""A receive time after START_NS, and a message."""


class HearingClock(ManualClock):
    """A clock that stands still but while somebody waits; what is heard meanwhile is heard at its time.

    Args:
        due: what happens, by nanoseconds after START_NS.
    """

    def __init__(self, due: list[tuple[int, Callable[[], object]]]) -> None:
        super().__init__(START_NS)
        self._due = sorted(due, key=lambda each: each[0])

    async def sleep_until_ns(self, deadline_ns: int) -> None:
        while self._due and START_NS + self._due[0][0] < deadline_ns:
            self._due.pop(0)[1]()
        await super().sleep_until_ns(deadline_ns)


def trade(stamp: int) -> Trade:
    return Trade("a:X", stamp, 650_000, 1, TakerSide.BUY)


async def said_by(slices: Slices, ticks: int) -> list[Event]:
    said: list[Event] = []
    while sum(isinstance(event, TickEnd) for event in said) < ticks:
        said += await slices.next()
    return said


async def test_slices_follow_in_the_order_of_hearing_and_are_by_venue_time_within() -> None:
    inbox = Inbox()
    first: list[Event] = [MarkPrice("a:X", 40, 1), trade(30)]
    second: list[Event] = [trade(50), trade(20), trade(10)]
    clock = HearingClock([(1, lambda: inbox.put(first)), (SLICE_NS, lambda: inbox.put(second))])
    slices = Slices(inbox, clock, TICK_NS)

    assert await slices.next() == [trade(30), MarkPrice("a:X", 40, 1)]
    assert clock.now_ns() == START_NS + SLICE_NS
    assert await slices.next() == [trade(10), trade(20), trade(50)]
    for _ in range(SLICES_A_TICK - 3):
        assert await slices.next() == []
    assert await slices.next() == [TickEnd(START_NS + TICK_NS)]
    assert clock.now_ns() == START_NS + TICK_NS


async def test_a_slice_that_takes_long_makes_its_tick_late_and_skips_none() -> None:
    inbox = Inbox()
    clock = HearingClock([])
    slices = Slices(inbox, clock, TICK_NS)
    await slices.next()
    clock.advance(3 * TICK_NS)
    inbox.put([trade(1)])

    assert await slices.next() == [trade(1), TickEnd(START_NS + TICK_NS)]


async def test_ends_that_go_by_while_a_tick_is_taken_are_left_out() -> None:
    clock = HearingClock([])
    slices = Slices(Inbox(), clock, TICK_NS)
    await said_by(slices, 1)
    clock.advance(3 * TICK_NS + 1)

    assert await said_by(slices, 1) == [TickEnd(START_NS + 5 * TICK_NS)]


async def test_a_clock_set_back_within_a_tick_ends_it_by_what_it_says_then() -> None:
    clock = HearingClock([])
    slices = Slices(Inbox(), clock, TICK_NS)
    await said_by(slices, 2)
    await slices.next()
    clock.advance(-3600 * 10**9)
    set_back_ns = clock.now_ns()

    ends = [event.time_ns for event in await said_by(slices, 3) if isinstance(event, TickEnd)]

    last_ns = START_NS + 2 * TICK_NS
    assert ends == [last_ns + STEPPED_BACK_NS, last_ns + 2 * STEPPED_BACK_NS, last_ns + 3 * STEPPED_BACK_NS]
    assert clock.now_ns() - set_back_ns <= 3 * TICK_NS


async def test_a_clock_set_forward_within_a_tick_ends_it_at_once() -> None:
    clock = HearingClock([])
    slices = Slices(Inbox(), clock, TICK_NS)
    await slices.next()
    clock.advance(3600 * 10**9)

    ends = [event.time_ns for event in await said_by(slices, 2) if isinstance(event, TickEnd)]

    assert ends == [START_NS + TICK_NS, START_NS + TICK_NS + 3600 * 10**9]


async def test_the_turn_is_the_engines_from_the_end_of_a_tick_until_the_next_one_is_asked_for() -> None:
    claims: list[int | None] = []
    clock = HearingClock([])
    slices = Slices(Inbox(), clock, TICK_NS)

    for _ in range(SLICES_A_TICK + 1):
        await slices.next()
        claims.append(slices.turn.claimed_from_ns)

    assert claims == [*[None] * (SLICES_A_TICK - 1), START_NS + TICK_NS, None]


def test_what_is_heard_after_the_end_of_a_tick_is_handed_over_when_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "GIVE_WAY_S", 60.0)
    venues, listings = wanted_venues((VENUE,), ("BTC",))
    source = LiveSource(venues, listings, ManualClock(START_NS))
    source._slices.turn.claim(START_NS)
    heard = threading.Event()

    def hear() -> None:
        source._hear([trade(1)])
        heard.set()

    thread = threading.Thread(target=hear)
    thread.start()

    assert not heard.wait(0.05)
    assert source.inbox.take() == []
    source._slices.turn.give_back()
    thread.join(30.0)
    assert source.inbox.take() == [trade(1)]


def test_before_the_end_of_a_tick_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "GIVE_WAY_S", 600.0)
    mine = turn.Turn(lambda: START_NS - 1)
    mine.claim(START_NS)

    waiting = threading.Thread(target=mine.wait, daemon=True)
    waiting.start()
    waiting.join(30.0)

    assert not waiting.is_alive()


def test_a_tick_that_takes_long_lets_the_feeds_wait_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = turn.Turn(lambda: START_NS)
    mine.claim(START_NS)
    mine.wait()
    monkeypatch.setattr(turn, "GIVE_WAY_S", 600.0)

    waiting = threading.Thread(target=mine.wait, daemon=True)
    waiting.start()
    waiting.join(30.0)

    assert not waiting.is_alive()


def message(number: int, receive_ns: int, late_ms: int) -> Heard:
    """Return a trade that is heard so long after it was made."""
    stamp_ms = (START_NS + receive_ns) // 10**6 - late_ms
    said = {"e": "aggTrade", "s": "BTCUSDT", "a": number, "p": "65000.1", "q": f"0.{number + 100}", "T": stamp_ms}
    return receive_ns, orjson.dumps({**said, "m": False})


def disordered() -> list[Heard]:
    """Return messages of some ticks, one of them empty, whose order by venue time is another within and across slices.

    Numbers go up, or the venue's own numbers would show holes.
    """
    ticks = [tick for tick in range(7) if tick != 4]
    heard = []
    for number in range(12 * len(ticks)):
        at_ns = ticks[number // 12] * TICK_NS + number % 12 * TICK_NS // 12
        heard.append(message(number + 1, at_ns, late_ms=number * 37 % 60))
    return heard


def captured(folder: Path, heard: list[Heard]) -> ReplaySource:
    """Return a capture of messages as a source."""
    lines = [{"recv_ns": START_NS + at, "kind": "recv", "conn": "", "msg": said.decode()} for at, said in heard]
    path = folder / "some.jsonl"
    path.write_text("\n".join(orjson.dumps(line).decode() for line in lines))
    venues, listings = wanted_venues((VENUE,), ("BTC",))
    return ReplaySource(path, venues, listings, ManualClock())


async def live(heard: list[Heard]) -> list[Event]:
    """Return what a desk that hears messages live hands over through slices, until the tick of the last one ends."""
    venues, listings = wanted_venues((VENUE,), ("BTC",))
    inbox = Inbox()
    desk = VenueDesk(venues[0], listings[VENUE], PriceBoard(), MirrorWatch(), inbox.put)
    line = desk.open_unnamed()

    def hearing(at_ns: int, said: bytes) -> Callable[[], object]:
        return lambda: line.hear(said, START_NS + at_ns)

    clock = HearingClock([(at_ns, hearing(at_ns, said)) for at_ns, said in heard])
    return await said_by(Slices(inbox, clock, TICK_NS), heard[-1][0] // TICK_NS + 1)


async def replayed(source: ReplaySource, after_ns: int | None = None) -> list[Event]:
    if after_ns is not None:
        source.resume(after_ns)
    said = [event async for event in source.events()]
    return [TickEnd(event.time_ns) if isinstance(event, TickEnd) else event for event in said]


async def test_a_replay_hands_over_in_the_very_order_of_live(tmp_path: Path) -> None:
    heard = disordered()

    said = await live(heard)

    stamps = [event.time_ns for event in said if isinstance(event, Trade)]
    assert len(stamps) == len(heard)
    assert stamps != sorted(stamps)
    assert await replayed(captured(tmp_path, heard)) == said


async def test_a_replay_resumed_after_any_tick_says_the_rest(tmp_path: Path) -> None:
    whole = await replayed(captured(tmp_path, disordered()))
    ends = [place for place, event in enumerate(whole) if isinstance(event, TickEnd)]

    for place in ends:
        end = whole[place]
        assert isinstance(end, TickEnd)
        assert await replayed(captured(tmp_path, disordered()), end.time_ns) == whole[place + 1 :]


@pytest.mark.parametrize("speed", [1.0, 4.0])
async def test_a_replay_at_a_speed_hands_slices_over_before_their_tick_ends(tmp_path: Path, speed: float) -> None:
    captured(tmp_path, disordered())
    venues, listings = wanted_venues((VENUE,), ("BTC",))
    clock = ManualClock()
    source = ReplaySource(tmp_path / "some.jsonl", venues, listings, clock, speed=speed)
    first_end_ns = START_NS + TICK_NS

    told = [(event, clock.now_ns()) async for event in source.events()]

    of_second_tick = [round(now_ns * speed) for event, now_ns in told[13:25] if isinstance(event, Trade)]
    ends = [(event.time_ns - first_end_ns, now_ns * speed) for event, now_ns in told if isinstance(event, TickEnd)]
    assert ends == [(end_ns, end_ns) for end_ns, _ in ends]
    assert of_second_tick == [
        (number * TICK_NS // 12 // SLICE_NS + 1) * SLICE_NS for number in range(len(of_second_tick))
    ]
    assert len(of_second_tick) == 12


async def test_gaps_told_by_the_clock_are_in_the_last_slice_of_a_tick(tmp_path: Path) -> None:
    heard = [message(1, 1, 5), (2, b"{broken"), message(2, 12 * SLICE_NS, 5), message(3, 24 * SLICE_NS, 5)]

    slices = list(captured(tmp_path, heard).slices())

    kinds = [{type(event) for event in each.events} for each in slices]
    assert kinds == [{Trade}, {Trade}, {Gap, Trade}]
    assert {event.reason for event in slices[2].events if isinstance(event, Gap)} == {"malformed"}
    assert [each.ends_tick for each in slices] == [False, False, True]
