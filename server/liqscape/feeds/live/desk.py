"""What one venue has said: raw messages in, believed events and gaps out. Pure: no socket, no clock, no task.

The same for live connections and for recordings of them, so that both give the same events. A connection is a Line,
with a dialect of its own. Whoever drives it says when a line opens, what it hears and when it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from liqscape.events import Event, Funding, Gap, Liquidation, MarkPrice, OpenInterest, TickEnd, Trade
from liqscape.feeds.live.clock_offset import ClockOffset
from liqscape.feeds.live.holes import MARGIN_NS, Hole, Rejections
from liqscape.feeds.live.line import Line
from liqscape.feeds.live.mirrors import MirrorWatch, is_sampled
from liqscape.feeds.live.pace import Pace
from liqscape.feeds.live.plausibility import FUTURE_NS, SUPERSEDED, Plausibility, PriceBoard
from liqscape.feeds.live.print_prices import evidence_of
from liqscape.feeds.venues.dialect import (
    Channel,
    Endpoint,
    Listing,
    Poll,
    Reading,
    Venue,
    VenueListing,
    read_answer,
)
from liqscape.feeds.venues.notes import known_kind
from liqscape.feeds.venues.readings import Readings

CUT_NS: Final = 1_000_000_000
"""From the newest event of either connection to the instant at which a new one takes over: so long both are heard."""

CHANNEL_OF: Final[dict[type[object], Channel]] = {
    Trade: Channel.TRADES,
    MarkPrice: Channel.MARK,
    OpenInterest: Channel.OPEN_INTEREST,
    Funding: Channel.FUNDING,
    Liquidation: Channel.LIQUIDATIONS,
}

_IN_TIME: Final = (Trade, MarkPrice)
"""Events that are told at once: they show how the venue's clock stands to ours."""

Emit = Callable[[Sequence[Event]], None]


class Tally:
    """What was heard of a channel: receive time of the newest message, events passed on."""

    __slots__ = ("channel", "events", "heard_ns")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.heard_ns = 0
        self.events = 0


class VenueDesk:
    """Everything said by one venue.

    Args:
        venue: which.
        listings: what is wanted of it.
        board: prices of all venues.
        mirrors: trades of all venues.
        emit: takes believed events and gaps.

    Attributes:
        tallies: by channel, since the start.
        ignored: messages understood and not needed, by kind, since the start.
        overlapping: events heard twice while one connection took over from another.
        notes: what the venue says of an instrument that does not fit, by its id.
        unread: inputs that could not be read and name no instrument, by reason.
        readings: how what no document settles is to be read.
        overhear: is shown every message of a connection beside; None: nobody wants to.
    """

    def __init__(
        self,
        venue: Venue,
        listings: Sequence[Listing],
        board: PriceBoard,
        mirrors: MirrorWatch,
        emit: Emit,
    ) -> None:
        self.venue = venue
        self.listings = tuple(listings)
        self.plausibility = Plausibility([listing.instrument for listing in listings], board)
        self.offset = ClockOffset()
        self.tallies = {channel: Tally(channel) for channel in Channel}
        self.ignored: Counter[str] = Counter()
        self.overlapping = 0
        self.unread: Counter[str] = Counter()
        self.notes: dict[str, str] = {}
        self.readings = Readings()
        self.overhear: Callable[[bytes], None] | None = None
        self._dialect = venue.dialect(listings)
        self.endpoints: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in self._dialect.endpoints}
        self.polls: tuple[Poll, ...] = tuple(self._dialect.polls)
        self.budgets = tuple(self._dialect.budgets)
        self._ids = tuple(listing.instrument_id for listing in listings)
        self._instruments = {listing.instrument_id: listing.instrument for listing in listings}
        self._tallies_of_kinds = {kind: self.tallies[channel] for kind, channel in CHANNEL_OF.items()}
        self._mirrors = mirrors
        self._emit = emit
        self._rejections = Rejections()
        self._reading = Reading()
        self._listings: dict[str, tuple[Poll, bytes]] = {}  # the newest answers, by name of the poll
        self._lines: list[Line] = []
        self._holes: dict[str, Hole] = {}  # of polls
        self._quarantines: dict[str, Hole] = {}
        self._ended: dict[str, Hole] = {}  # of endpoints that have no line
        # Trades may rest for long, funding is told of the interval: marks alone have a pace.
        self._paces = {name: Pace() for name, each in self.endpoints.items() if each.control is Channel.MARK}
        self._heard_until: dict[str, int] = {}  # newest venue time of the lines before, by name of the endpoint

    def begin(self, at_ns: int) -> None:
        """Say that nothing was heard yet: what comes before the first message is a hole."""
        for name, endpoint in self.endpoints.items():
            self._ended[name] = Hole(self._about(endpoint), at_ns, "connecting")
        for poll in self.polls:
            if poll.channels:
                self._holes[poll.name] = Hole(poll.about or self._ids, at_ns, "connecting")

    def open(self, name: str, *, takes_over: bool = False) -> Line:
        """Return a line for an endpoint; it begins where the one before it has ended, or waits to take over from it."""
        dialect = self.venue.dialect(self.listings)  # a new connection says everything anew
        endpoint = next(e for e in dialect.endpoints if e.name == name)
        line = Line(self, endpoint, dialect, self._about(endpoint))
        for poll, body in self._listings.values():
            line.learn(poll, body, 0)
        line.pace = self._paces.get(name)
        line.is_waiting = takes_over
        if not takes_over:
            line.hole = self._ended.pop(name, None)
            line.takes_from_ns = self._heard_until.get(name)
        self._lines.append(line)
        return line

    def open_unnamed(self) -> Line:
        """Return a line of a recording that does not say of which endpoint, and has perhaps no confirmations."""
        dialect = self.venue.dialect(self.listings)
        heard = frozenset(channel for endpoint in dialect.endpoints for channel in endpoint.channels)
        line = Line(self, Endpoint(name="", url="", subscribe=(), channels=heard), dialect, self._ids)
        self._lines.append(line)
        return line

    def hand_over(self, old: Line, new: Line) -> int:
        """Set the instant, in venue time, from which the new line is heard in place of the old; return it."""
        cut_ns = max(old.newest_ns, new.newest_ns) + CUT_NS
        old.takes_until_ns = new.takes_from_ns = cut_ns
        return cut_ns

    def end(self, line: Line, at_ns: int, reason: str, successor: Line | None = None) -> None:
        """Say that a line has ended; what it would have heard from here on is missed, unless a successor hears it.

        Args:
            line: has ended.
            at_ns: receive time.
            reason: why, of a fixed set.
            successor: an open line of the same endpoint.
        """
        self._lines.remove(line)
        if successor is not None and line.takes_until_ns is not None:
            self._end_at_cut(line, at_ns, reason, successor)
            return
        from_ns, name = _missed_from(line, at_ns), line.endpoint.name
        hole = line.hole or Hole((), from_ns, reason)
        hole.join(line.instruments, from_ns, reason)
        if line.newest_ns:  # venues begin with what was traded before, which was heard then
            self._heard_until[name] = max(self._heard_until.get(name, 0), line.newest_ns + 1)
        if successor is not None:
            successor.is_waiting, successor.takes_from_ns, successor.hole = False, self._heard_until.get(name), hole
        else:
            self._ended[name] = hole

    def retire(self, line: Line, successor: Line) -> None:
        """Say that a line was closed after its successor has taken over."""
        self._lines.remove(line)
        self._end_at_cut(line, line.takes_until_ns or line.newest_ns, "disconnected", successor)

    def give_up(self, line: Line) -> None:
        """Say that a line that was to take over was closed before it did."""
        self._lines.remove(line)

    def answer(self, poll: Poll, body: bytes, receive_ns: int) -> list[str]:
        """Take an answer to a poll; return what the venue has said against the request."""
        reading = self._reading
        read_answer(self._dialect, poll, body, receive_ns, reading)
        if not poll.channels:
            self._listings[poll.name] = (poll, body)
            for line in self._lines:
                line.learn(poll, body, receive_ns)
        refused = list(reading.refused)
        said = bool(reading.events)
        self.take(reading, receive_ns, None, poll.about or self._ids)
        hole = self._holes.pop(poll.name, None) if said else None
        if hole is not None:
            self._emit(hole.end(receive_ns))
        return refused

    def unanswered(self, poll: Poll, since_ns: int, reason: str) -> None:
        """Say that a poll was not answered, the newest answer being of since_ns."""
        if poll.channels and poll.name not in self._holes:
            self._holes[poll.name] = Hole(poll.about or self._ids, since_ns, reason)

    def pulse(self, now_ns: int) -> None:
        """Tell what is due: rejected inputs, long holes, quarantines that begin or end. A few times a second."""
        self.offset.wind_back(now_ns)
        gaps: list[Gap] = self._rejections.take()
        for hole in (*self._holes.values(), *self._ended.values(), *(n.hole for n in self._lines if n.hole)):
            gaps += hole.go_on(now_ns)
        for name, check in self.plausibility.checks.items():
            since_ns = check.quarantined_since_ns
            if since_ns is None:
                continue
            quarantine = self._quarantines.get(name)
            if quarantine is None:
                quarantine = self._quarantines[name] = Hole((name,), since_ns - MARGIN_NS, "quarantined")
            if check.release(now_ns):
                gaps += self._quarantines.pop(name).end(now_ns)
            else:
                gaps += quarantine.go_on(now_ns)
        if gaps:
            self._emit(gaps)

    def take(self, reading: Reading, receive_ns: int, line: Line | None, about: Sequence[str] = ()) -> None:
        """Pass on what was read, and clear it."""
        if reading.events:
            self._take_events(reading.events, receive_ns, line)
            reading.events.clear()
        if reading.ignored:
            for kind, count in reading.ignored.items():
                self.ignored[known_kind(self.ignored, kind)] += count
            reading.ignored.clear()
        if reading.evidence:
            self.readings.take(reading.evidence)
            reading.evidence.clear()
        if not (reading.rejected or reading.listings):  # the usual message
            if reading.acknowledged or reading.refused or reading.replies or reading.heartbeats:
                reading.clear()
            return
        ids = line.instruments if line is not None else about
        newest_ns = (line.newest_ns if line is not None else 0) or receive_ns
        for rejection in reading.rejected:
            self._reject(rejection.reason, rejection.instrument_id, ids, receive_ns, newest_ns)
        if reading.listings:
            self._compare(reading.listings, receive_ns)
        reading.clear()

    def _take_events(self, events: list[Event], receive_ns: int, line: Line | None) -> None:
        checks, offset, tallies = self.plausibility.checks, self.offset, self._tallies_of_kinds
        lag_ns = offset.median_ns or 0
        latest_ns = receive_ns + FUTURE_NS - (lag_ns if lag_ns < 0 else 0)
        believed: list[Event] = []
        before_ns = 0
        if line is not None:
            before_ns = line.newest_ns
            silence = line.silence(events, receive_ns, latest_ns)
            if silence and line.hole is None and not line.is_waiting:
                self._emit(silence)
        for event in events:
            kind = type(event)
            tally = tallies.get(kind)
            if tally is None:  # a gap that the venue's own numbers show
                assert isinstance(event, Gap)
                missed = event if line is None else line.missed(event)
                if missed is not None:
                    believed.append(missed)
                continue
            time_ns: int = event.time_ns  # type: ignore[union-attr]
            name: str = event.instrument_id  # type: ignore[union-attr]
            if line is not None and not line.is_heard_with(event, time_ns, tally.channel, latest_ns):
                self.overlapping += 1
                continue
            tally.heard_ns = receive_ns
            check = checks.get(name)
            reason = "other instrument" if check is None else check.judge(event, receive_ns, lag_ns)
            if reason is not None:
                if reason is SUPERSEDED:
                    self.ignored[SUPERSEDED] += 1
                else:
                    self.plausibility.rejected[name, reason] += 1
                    self._rejections.add(name, reason, time_ns, time_ns + 1)
                continue
            assert check is not None
            if check.quarantined_since_ns is not None:
                continue
            if receive_ns >= offset.due_ns and kind in _IN_TIME:
                offset.see(time_ns, receive_ns)
            if kind is Trade:
                if is_sampled(time_ns):
                    self._mirrors.see(check.instrument, event)  # type: ignore[arg-type]
            elif kind is Liquidation:
                evidence = evidence_of(event, check.price)  # type: ignore[arg-type]
                if evidence is not None:
                    self.readings.take((evidence,))
            tally.events += 1
            believed.append(event)
        if line is not None:
            line.moved(before_ns, receive_ns)
            if line.hole is not None and line.is_subscribed:
                self._end_hole(line, line.hole, events, receive_ns)
        if believed:
            self._emit(believed)

    def _end_hole(self, line: Line, hole: Hole, events: Sequence[Event], receive_ns: int) -> None:
        """End the hole before a line: of all instruments, or of those heard where the venue confirms nothing."""
        confirms = line.endpoint.acknowledgements
        heard = None if confirms else {event.instrument_id for event in events if not isinstance(event, TickEnd)}
        self._emit(hole.end(max(line.newest_ns or receive_ns, line.takes_from_ns or 0) + MARGIN_NS, heard))
        if hole.is_over:
            line.hole = None

    def _end_at_cut(self, line: Line, at_ns: int, reason: str, successor: Line) -> None:
        """Let a successor be heard alone; what the line has not heard up to the instant of taking over is missed."""
        successor.is_waiting = False
        if successor.hole is None:  # of instruments that the line has never heard
            successor.hole = line.hole
        until_ns = line.takes_until_ns
        if until_ns is not None and line.newest_ns < until_ns:
            self._emit(Hole(line.instruments, _missed_from(line, at_ns), reason).end(until_ns))

    def _compare(self, said: Sequence[VenueListing], receive_ns: int) -> None:
        """Hold what the venue says of its instruments against what the model takes them for."""
        by_name = {each.name: each for each in said}
        for listing in self.listings:
            each = by_name.get(listing.name)
            if each is None:
                continue
            decimals = listing.instrument.price_decimals
            if each.unit is not None and each.unit != listing.unit:
                tables = listing.instrument.rules_date
                reason = f"its contract is {each.unit} at the venue, {listing.unit} in the tables of {tables}"
                self.plausibility.checks[listing.instrument_id].distrust(reason, receive_ns)
            elif not each.is_trading:
                self.notes[listing.instrument_id] = f"{listing.instrument_id} is not trading"
            elif each.price_tick is not None and (each.price_tick * 10**decimals).denominator > 1:
                self.notes[listing.instrument_id] = (
                    f"{listing.instrument_id} has ticks of {each.price_tick}, finer than {decimals} decimals"
                )

    def _reject(
        self, reason: str, instrument_id: str | None, ids: Sequence[str], receive_ns: int, newest_ns: int
    ) -> None:
        """Count an input that could not be read; when it was is known only by what came before it."""
        if instrument_id is not None:
            ids = (instrument_id,)
        else:
            self.unread[reason] += 1
        for position, name in enumerate(ids):
            check = self.plausibility.checks.get(name)
            if check is None:
                continue
            # It may have been of any of them, and is one.
            span = (newest_ns - MARGIN_NS, max(newest_ns + MARGIN_NS, receive_ns + 1))
            self._rejections.add(name, reason, *span, count=0 if position else 1)
            check.fail(reason, receive_ns)
            if instrument_id is not None:
                self.plausibility.rejected[name, reason] += 1

    def _about(self, endpoint: Endpoint) -> tuple[str, ...]:
        return endpoint.about or self._ids


def _missed_from(line: Line, at_ns: int) -> int:
    """Return from when on things are missed that a line would have heard, which has ended at a receive time."""
    return (line.newest_ns or at_ns) - MARGIN_NS
