"""Captured messages as an event source: the same desks as live, driven by receive times; no clock decides anything.

Replayed twice, a capture gives the same events. Against the live run they were captured in, what may differ is when
holes and quarantines are told: live that is by the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liqscape.clock import Clock
from liqscape.events import Event, TickEnd
from liqscape.feeds.live.capture_file import Capture, Entry
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.inbox import Inbox
from liqscape.feeds.live.line import Line
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.live.slices import slice_ns
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.feeds.venues.dialect import Listing, Venue

LONG_NS: Final = 60_000_000_000
"""Without an entry, over which no ticks are made: between parts of a capture, or captures of different days."""

MOST_EVENTS: Final = 10_000_000
"""Of one tick: a recording is not read faster than it is taken."""


class CaptureDesks:
    """The desks of a capture, fed with its entries.

    Args:
        venues: of the registry.
        listings: what is wanted of each, by its name.
        put: takes believed events and gaps.

    Attributes:
        counts: entries by kind, and those that could not be used by why.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        listings: Mapping[str, Sequence[Listing]],
        put: Callable[[Sequence[Event]], None],
    ) -> None:
        self._mirrors = MirrorWatch()
        board = PriceBoard()
        self.desks = {v.name: VenueDesk(v, listings[v.name], board, self._mirrors, put) for v in venues}
        self.counts: Counter[str] = Counter()
        self._only = next(iter(self.desks.values())) if len(self.desks) == 1 else None
        self._lines: dict[str, tuple[VenueDesk, Line]] = {}
        self._begun: set[str] = set()

    def take(self, entry: Entry) -> None:
        """Take the next entry."""
        self.counts[entry.kind] += 1
        if entry.kind in ("about", "send"):
            return
        venue, _, rest = entry.connection.partition("/")
        desk = self.desks.get(venue) or (self._only if not entry.also.get("poll") else None)
        if desk is None:
            self.counts["of another venue"] += 1
            return
        if desk.venue.name not in self._begun:
            self._begun.add(desk.venue.name)
            if venue == desk.venue.name:
                desk.begin(entry.receive_ns)
        if entry.kind == "answer":
            self._answer(desk, entry)
        elif entry.kind == "recv":
            self._line(desk, entry, rest).hear(entry.message, entry.receive_ns)
        elif entry.kind == "connect":
            self._lines.pop(entry.connection, None)
            self._line(desk, entry, rest)
        else:
            self._turn(desk, entry)

    def pulse(self, now_ns: int) -> None:
        """See VenueDesk.pulse."""
        self._mirrors.look(now_ns)
        for desk in self.desks.values():
            desk.pulse(now_ns)

    def _answer(self, desk: VenueDesk, entry: Entry) -> None:
        poll = next((poll for poll in desk.polls if poll.name == entry.also.get("poll")), None)
        if poll is None:
            self.counts["answer of a poll that is not made"] += 1
        else:
            desk.answer(poll, entry.message, entry.receive_ns)

    def _line(self, desk: VenueDesk, entry: Entry, rest: str) -> Line:
        known = self._lines.get(entry.connection)
        if known is not None:
            return known[1]
        endpoint = rest.partition("#")[0]
        if endpoint in desk.endpoints:
            line = desk.open(endpoint, takes_over=bool(entry.also.get("takes_over")))
        else:
            line = desk.open_unnamed()
        self._lines[entry.connection] = (desk, line)
        return line

    def _turn(self, desk: VenueDesk, entry: Entry) -> None:
        known = self._lines.get(entry.connection)
        if known is None:
            self.counts["turn of an unknown connection"] += 1
            return
        line = known[1]
        name = line.endpoint.name
        others = [
            n for c, (d, n) in self._lines.items() if d is desk and n.endpoint.name == name and c != entry.connection
        ]
        other = others[-1] if others else None
        if entry.kind == "partly":
            line.give_up_unconfirmed()
        elif entry.kind == "over" and other is not None:
            desk.hand_over(other, line)
        elif entry.kind == "end":
            del self._lines[entry.connection]
            reason = entry.message.decode(errors="replace")
            if reason != "replaced":
                desk.end(line, entry.receive_ns, reason, other)
            elif line.takes_until_ns is None or other is None:
                desk.give_up(line)
            else:
                desk.retire(line, other)


@dataclass(frozen=True, slots=True)
class HeardSlice:
    """What was heard in a slice of a tick.

    Attributes:
        end_ns: of the slice, in receive time.
        tick_end_ns: of the tick.
        events: by venue time.
    """

    end_ns: int
    tick_end_ns: int
    events: list[Event]

    @property
    def ends_tick(self) -> bool:
        """Return whether it is the last one of its tick."""
        return self.end_ns == self.tick_end_ns


class ReplaySource:
    """See EventSource.

    Args:
        path: file or folder of a capture.
        venues: of the registry; of a capture of ours, those that it names.
        listings: what is wanted of each, by its name.
        clock: what speed is measured by.
        speed: captured seconds a second of the clock; None: as fast as it goes, and only the last tick is rendered.
        tick_ms: milliseconds, of receive time.

    Raises:
        InputDataError: there is no capture.
    """

    def __init__(
        self,
        path: Path,
        venues: Sequence[Venue],
        listings: Mapping[str, Sequence[Listing]],
        clock: Clock,
        *,
        speed: float | None = None,
        tick_ms: int = 250,
    ) -> None:
        self.capture = Capture(path)
        self._venues = venues
        self._listings = listings
        self._clock = clock
        self._speed = speed
        self._tick_ns = tick_ms * 1_000_000
        self._after_ns = -1
        self.desks = self._new_desks(Inbox())
        instruments = tuple(listing.instrument for venue in venues for listing in listings[venue.name])
        self._description = SourceDescription(
            name=f"replay {path.name} " + ("max" if speed is None else f"x {speed:g}"),
            instruments=tuple(sorted(instruments, key=lambda i: i.instrument_id)),
            tick_ms=tick_ms if speed is None else max(1, round(tick_ms / speed)),
            replay=True,
        )

    @property
    def description(self) -> SourceDescription:
        return self._description

    def resume(self, after_ns: int) -> None:
        """Let events() begin after the tick that ended then."""
        self._after_ns = after_ns

    def progress(self) -> Progress:
        """Return how many kilobytes of the files were read; at a finite speed nothing is built beforehand."""
        total = max(1, self.capture.total_bytes >> 10)
        return Progress(min(self.capture.read_bytes >> 10, total) if self._speed is None else total, total, "KB")

    async def events(self) -> AsyncIterator[Event]:
        """Yield all events at the speed asked for."""
        start_ns = self._clock.now_ns()
        first_ns: int | None = None
        for heard in self.slices():
            if heard.tick_end_ns <= self._after_ns:
                continue
            first_ns = heard.tick_end_ns if first_ns is None else first_ns
            if self._speed is not None:
                await self._clock.sleep_until_ns(start_ns + round((heard.end_ns - first_ns) / self._speed))
            elif heard.ends_tick:
                await self._clock.sleep_until_ns(start_ns)  # others want to run, too
            for event in heard.events:
                yield event
            if heard.ends_tick:
                yield TickEnd(heard.tick_end_ns, render=self._speed is not None)

    def ticks(self) -> Iterator[tuple[int, list[Event]]]:
        """Yield the end of each tick and its events, in the order of events(); each call starts anew."""
        events: list[Event] = []
        for heard in self.slices():
            events += heard.events
            if heard.ends_tick:
                yield heard.tick_end_ns, events
                events = []

    def slices(self) -> Iterator[HeardSlice]:
        """Yield slices as a live source hands them over (see slices.py), empty ones left out; each call starts anew.

        Gaps that are told by the clock are in the last slice of a tick.
        """
        inbox = Inbox(MOST_EVENTS)
        desks = self.desks = self._new_desks(inbox)
        length_ns = slice_ns(self._tick_ns)
        end_ns: int | None = None  # of the tick
        cut_ns = 0  # end of the slice

        def rest(tick_end_ns: int) -> Iterator[HeardSlice]:
            if cut_ns < tick_end_ns and (events := inbox.take()):
                yield HeardSlice(cut_ns, tick_end_ns, events)
            desks.pulse(tick_end_ns)
            yield HeardSlice(tick_end_ns, tick_end_ns, inbox.take())

        for entry in self.capture.entries():
            if end_ns is None or entry.receive_ns - end_ns > LONG_NS:
                if end_ns is not None:
                    yield from rest(end_ns)
                end_ns = (entry.receive_ns // self._tick_ns + 1) * self._tick_ns
            while entry.receive_ns >= end_ns:
                yield from rest(end_ns)
                end_ns += self._tick_ns
            if entry.receive_ns >= cut_ns:  # not while times go back: what is heard then stays in the slice that runs
                if events := inbox.take():
                    yield HeardSlice(cut_ns, end_ns, events)
                cut_ns = (entry.receive_ns // length_ns + 1) * length_ns
            desks.take(entry)
        if end_ns is not None:
            yield from rest(end_ns)

    def _new_desks(self, inbox: Inbox) -> CaptureDesks:
        return CaptureDesks(self._venues, self._listings, inbox.put)
