"""Whether what a venue says may be believed: each event against the venue's own past and the other venues. Pure.

Nothing from a venue is trusted. A price is compared with the venue's range of the last minutes and, outside of it, with
the median of the other venues of the symbol: they decide whether the market has moved. Open interest is compared with
the sample before. An instrument that keeps failing is quarantined: nothing of it is passed on, its positions stay as
they are and grow old, and it comes back after a time without a failure. Times are receive times, never a clock.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from statistics import median_high, median_low
from typing import Final

from liqscape.events import Candle, Event, Funding, Gap, Liquidation, MarkPrice, OpenInterest, TickEnd, Trade
from liqscape.instruments import Instrument

SECOND_NS: Final = 1_000_000_000

BAND_PERCENT: Final = 10
"""Beyond the venue's own range of RANGE_NS. Bitcoin has moved 10 % in five minutes on one day in years; what does is
then confirmed by the other venues, or by itself."""

RANGE_NS: Final = 300 * SECOND_NS
"""Half of the time that a range remembers; it remembers this much at least."""

AWAY_PERCENT: Final = 20
"""From the median of other venues. In October 2025 small venues were 10 % off for minutes, and that was real."""

LEAST_OTHERS: Final = 2
"""Instruments of other venues that can prove one wrong. One other may be wrong itself."""

FRESH_NS: Final = 60 * SECOND_NS
"""Age of the price of another venue that may still be compared with."""

BOARD_NS: Final = SECOND_NS
"""Between two looks at the other venues: the hot path stays two comparisons of integers."""

CONFIRMATIONS: Final = 50
"""Prices near each other, over CONFIRMING_NS at least, that move the range of a venue which nobody contradicts."""

CONFIRMING_NS: Final = 10 * SECOND_NS

LIQUIDATION_PERCENT: Final = 50
"""Printed liquidations may be bankruptcy prices: Bybit's were seen 3 to 5 % outside its book."""

FUTURE_NS: Final = 5 * SECOND_NS
"""Ahead of the venue's own usual distance to our clock, or of our clock: beyond what clocks and ways differ by."""

LATE_NS: Final = 120 * SECOND_NS
"""Age of a trade when it comes. Venues repeat old ones on subscription; they were counted then or never will be."""

BACKWARDS_NS: Final = 10 * SECOND_NS
"""A trade older than the newest of its instrument by more is out of order; less is the usual disorder of servers."""

LATE: Final = "late"
"""Of what comes too late to count. Who repeats old trades has not failed."""

SUPERSEDED: Final = "superseded"
"""Of a mark or a sample that comes after a newer one: nothing is missed, and nobody has failed."""

CROSSED_PERCENT: Final = 5
"""How near to a power of ten the ratio of two samples has to be to be called a change of units: between two samples
open interest moves by thousandths."""

JUMP_FACTOR: Final = 2
"""Open interest that doubles or halves between two samples is a change of units or of what is counted, until
JUMP_CONFIRMATIONS samples have said so."""

JUMP_CONFIRMATIONS: Final = 10

MOST: Final = 1 << 62
"""Of a price or quantity: all that the model computes with fits 64 bits."""

MOST_FUNDING_PPB: Final = 100_000_000
"""A rate of 10 % an interval: venues cap theirs at 0.5 to 4 %."""

CROSSED_IN_A_ROW: Final = 3
"""Samples in crossed units that quarantine an instrument at once."""

FAILURES: Final = 20
"""In FAILURES_NS, beside FAILED_PERCENT of all: less is noise."""

FAILED_PERCENT: Final = 20

FAILURES_NS: Final = 60 * SECOND_NS

PROBATION_NS: Final = 60 * SECOND_NS
"""Without one failure, before an instrument is believed again."""

PROBATION_EVENTS: Final = 10
"""That must have passed in it: silence proves nothing."""

COMMON_DECIMALS: Final = 18
"""Prices of instruments with different ticks are compared in this unit."""


class PriceBoard:
    """Newest prices of all instruments as their venues say them, believed or not, by symbol, for comparison."""

    def __init__(self) -> None:
        self._prices: dict[str, dict[str, tuple[int, int]]] = {}

    def show(self, instrument: Instrument, price: int, receive_ns: int) -> None:
        """Put up a price, in units of its instrument."""
        common = price * 10 ** (COMMON_DECIMALS - instrument.price_decimals)
        self._prices.setdefault(instrument.symbol, {})[instrument.instrument_id] = (common, receive_ns)

    def distance(self, instrument: Instrument, price: int, receive_ns: int) -> tuple[int, int]:
        """Return how many fresh prices of other venues there are, and how far a price is from their median, percent.

        Of an even number of them the nearer middle one counts: one venue alone proves none of two others wrong.
        """
        shown = self._prices.get(instrument.symbol, {})
        own = instrument.venue + ":"
        others = [p for name, (p, at) in shown.items() if not name.startswith(own) and receive_ns - at <= FRESH_NS]
        if not others:
            return 0, 0
        common = price * 10 ** (COMMON_DECIMALS - instrument.price_decimals)
        medians = (median_low(others), median_high(others))
        return len(others), min(-(-abs(common - median) * 100 // median) for median in medians)


class _Range:
    """Lowest and highest price of the last one to two RANGE_NS."""

    def __init__(self, price: int, receive_ns: int) -> None:
        self._before = (price, price)
        self.low = self.high = price
        self.until_ns = receive_ns + RANGE_NS
        self._bound()

    def add(self, price: int, receive_ns: int) -> None:
        if receive_ns >= self.until_ns:
            self._before = (self.low, self.high) if receive_ns < self.until_ns + RANGE_NS else (price, price)
            self.low = self.high = price
            self.until_ns = receive_ns + RANGE_NS
            self._bound()
        elif not self.low <= price <= self.high:
            self.low, self.high = min(self.low, price), max(self.high, price)
            self._bound()

    def _bound(self) -> None:
        low, high = min(self.low, self._before[0]), max(self.high, self._before[1])
        self.least = low * (100 - BAND_PERCENT) // 100
        self.most = high * (100 + BAND_PERCENT) // 100


class InstrumentCheck:
    """What is known of one instrument, and the judgement on what it says next.

    Args:
        instrument: which.
        board: of all venues.

    Attributes:
        quarantined_since_ns: receive time of the oldest input that is in doubt; None while it is believed.
        quarantine_reason: why.
        open_interest: the last sample believed, in units of events.
        price: the last price believed; 0 before the first.
    """

    def __init__(self, instrument: Instrument, board: PriceBoard) -> None:
        self.instrument = instrument
        self._board = board
        self._range: _Range | None = None
        self._away = False
        self._board_due_ns = 0
        self._pending: deque[tuple[int, int]] = deque(maxlen=CONFIRMATIONS)
        self._newest: dict[type[object], int] = {}
        self.open_interest: int | None = None
        self.price = 0
        self._sampled_ns = 0
        self._jumps: list[int] = []
        self._crossed = 0
        self._accepted = 0
        self._failed = 0
        self._window_until_ns = 0
        self._clean_since_ns = 0
        self._clean = 0
        self._is_distrusted = False
        self.quarantined_since_ns: int | None = None
        self.quarantine_reason = ""

    def judge(self, event: Event, receive_ns: int, lag_ns: int) -> str | None:
        """Return why an event is thrown away (SUPERSEDED: it is not needed), or None if it is believed.

        Args:
            event: of this instrument.
            receive_ns: when it came.
            lag_ns: receive time - venue time as usual of this venue; 0 where it is not known.
        """
        kind = type(event)
        if (kind is Trade or kind is MarkPrice) and self._is_usual(event, receive_ns):  # type: ignore[arg-type]
            self._accepted += 1
            self._clean += 1
            return None
        reason = self._reason(event, receive_ns, lag_ns)
        if reason == SUPERSEDED:
            return reason
        if receive_ns >= self._window_until_ns:
            self._accepted = self._failed = 0
            self._window_until_ns = receive_ns + FAILURES_NS
        if reason is None:
            self._accepted += 1
            self._clean += 1
        elif reason != LATE:
            self.fail(reason, receive_ns)
        return reason

    def _is_usual(self, said: Trade | MarkPrice, receive_ns: int) -> bool:
        """Return whether something is so plain that nothing has to be looked up; then it is noted as believed.

        What is said here holds in _reason too: it is the short way for most of what is heard, and changes nothing.
        """
        kind, known, price, time_ns = type(said), self._range, said.price, said.time_ns
        if (
            known is not None
            and known.low <= price <= known.high
            and receive_ns < self._board_due_ns
            and receive_ns < known.until_ns
            and receive_ns < self._window_until_ns
            and time_ns >= self._newest.get(kind, MOST)
            and time_ns - FUTURE_NS <= receive_ns <= time_ns + LATE_NS
            and (type(said) is not Trade or 0 < said.quantity <= (self.open_interest or MOST - 1))
            and not self._away
        ):
            self._newest[kind] = time_ns
            self.price = price
            return True
        return False

    def fail(self, reason: str, receive_ns: int) -> None:
        """Count a failure, also of an input that could not be read at all."""
        self._failed += 1
        self._clean_since_ns, self._clean = receive_ns, 0
        if self.quarantined_since_ns is not None:
            return
        often = self._failed >= FAILURES and self._failed * 100 > FAILED_PERCENT * (self._failed + self._accepted)
        if self._crossed >= CROSSED_IN_A_ROW:
            # What was traded since the last good sample was in these units too.
            self.quarantined_since_ns, self.quarantine_reason = self._sampled_ns, reason
        elif often:
            self.quarantined_since_ns, self.quarantine_reason = receive_ns, reason

    def distrust(self, reason: str, receive_ns: int) -> None:
        """Quarantine it for good: the venue itself says that it is not what the model takes it for."""
        self._is_distrusted = True
        self.quarantined_since_ns = self.quarantined_since_ns or receive_ns
        self.quarantine_reason = reason

    def release(self, receive_ns: int) -> bool:
        """Believe a quarantined instrument again if its probation is over; return whether."""
        if self.quarantined_since_ns is None or self._is_distrusted or self._clean < PROBATION_EVENTS:
            return False
        if receive_ns - max(self._clean_since_ns, self.quarantined_since_ns) < PROBATION_NS:
            return False
        self.quarantined_since_ns = None
        self._accepted = self._failed = 0
        return True

    def _reason(self, event: Event, receive_ns: int, lag_ns: int) -> str | None:
        if isinstance(event, Trade):
            if not 0 < event.quantity < MOST:
                return "quantity is not positive"
            if self.open_interest and event.quantity > self.open_interest:
                return "trade exceeds open interest"
            reason = self._age(event.time_ns, receive_ns, lag_ns) or self._backwards(Trade, event.time_ns)
            return reason or self._price(event.price, receive_ns)
        if isinstance(event, MarkPrice):
            reason = self._age(event.time_ns, receive_ns, lag_ns) or self._superseded(MarkPrice, event.time_ns)
            return reason or self._price(event.price, receive_ns)
        if isinstance(event, OpenInterest):
            reason = self._future(event.time_ns, receive_ns, lag_ns) or self._superseded(OpenInterest, event.time_ns)
            return reason or self._open_interest(event.quantity, receive_ns)
        if isinstance(event, Liquidation):
            return self._liquidation(event, receive_ns, lag_ns)
        if isinstance(event, Funding):  # of an interval, which may begin later
            return "funding rate is absurd" if abs(event.rate_ppb) > MOST_FUNDING_PPB else None
        if isinstance(event, Candle):
            return self._price(event.low, receive_ns) or self._price(event.high, receive_ns)
        assert isinstance(event, Gap | TickEnd)
        return None

    def _age(self, time_ns: int, receive_ns: int, lag_ns: int) -> str | None:
        ahead = time_ns - receive_ns
        if ahead > FUTURE_NS or -ahead > LATE_NS:
            return self._future(time_ns, receive_ns, lag_ns) or (LATE if -ahead - lag_ns > LATE_NS else None)
        return None

    def _future(self, time_ns: int, receive_ns: int, lag_ns: int) -> str | None:
        # A venue whose clock is ahead as a rule is read by its own clock.
        return "from the future" if time_ns - receive_ns > FUTURE_NS + max(0, -lag_ns) else None

    def _backwards(self, kind: type[object], time_ns: int) -> str | None:
        newest = self._newest.get(kind, 0)
        if time_ns >= newest:
            self._newest[kind] = time_ns
        elif newest - time_ns > BACKWARDS_NS:
            return "time goes backwards"
        return None

    def _superseded(self, kind: type[object], time_ns: int) -> str | None:
        """Return what is wrong with the time of something of which the newest counts."""
        return self._backwards(kind, time_ns) or (SUPERSEDED if time_ns < self._newest[kind] else None)

    def _price(self, price: int, receive_ns: int) -> str | None:
        if not 0 < price < MOST:
            return "price is not positive"
        known = self._range
        if receive_ns >= self._board_due_ns or self._away:
            reason = self._beside_others(price, receive_ns)
            if reason is not None:
                return reason
        if known is None:
            self._range = _Range(price, receive_ns)
        elif known.least <= price <= known.most:
            known.add(price, receive_ns)
        elif self._has_moved(price, receive_ns):
            self._range = _Range(price, receive_ns)
        else:
            return "price is far from its range"
        self.price = price
        return None

    def _beside_others(self, price: int, receive_ns: int) -> str | None:
        others, percent = self._board.distance(self.instrument, price, receive_ns)
        self._board.show(self.instrument, price, receive_ns)
        self._board_due_ns = receive_ns + BOARD_NS
        self._away = others >= LEAST_OTHERS and percent > AWAY_PERCENT
        return "price is far from other venues" if self._away else None

    def _has_moved(self, price: int, receive_ns: int) -> bool:
        """Return whether a price outside the range is the market's: the others say so, or it itself for long enough."""
        self._board.show(self.instrument, price, receive_ns)
        others, percent = self._board.distance(self.instrument, price, receive_ns)
        if others:
            return percent <= BAND_PERCENT
        if self._pending and abs(price - self._pending[-1][0]) * 100 > BAND_PERCENT * self._pending[-1][0]:
            self._pending.clear()
        self._pending.append((price, receive_ns))
        if len(self._pending) < CONFIRMATIONS or receive_ns - self._pending[0][1] < CONFIRMING_NS:
            return False
        self._pending.clear()
        return True

    def _liquidation(self, event: Liquidation, receive_ns: int, lag_ns: int) -> str | None:
        if not 0 < event.quantity < MOST:
            return "quantity is not positive"
        if not 0 < event.price < MOST:
            return "price is not positive"
        known = self._range
        if known is not None:
            least, most = known.least * LIQUIDATION_PERCENT, known.most * (200 - LIQUIDATION_PERCENT)
            if not least <= event.price * 100 <= most:
                return "price is far from its range"
        # A slow order is printed when it is filled: only its age is judged.
        return self._future(event.time_ns, receive_ns, lag_ns) or (
            LATE if receive_ns - event.time_ns - max(0, lag_ns) > LATE_NS else None
        )

    def _open_interest(self, quantity: int, receive_ns: int) -> str | None:
        if not 0 <= quantity < MOST:
            return "open interest is negative or absurd"
        known = self.open_interest
        if known and quantity and _is_power_of_ten(quantity, known):
            self._crossed += 1
            return "crossed units"
        self._crossed = 0
        if known and not known <= quantity * JUMP_FACTOR <= known * JUMP_FACTOR * JUMP_FACTOR:
            if self._jumps and not self._jumps[-1] <= quantity * JUMP_FACTOR <= self._jumps[-1] * JUMP_FACTOR**2:
                self._jumps.clear()
            self._jumps.append(quantity)
            if len(self._jumps) < JUMP_CONFIRMATIONS:
                return "open interest jumps"
        self._jumps.clear()
        self.open_interest = quantity
        self._sampled_ns = receive_ns
        return None


class Plausibility:
    """The checks of a venue's instruments.

    Args:
        instruments: of the venue.
        board: shared with the other venues.

    Attributes:
        checks: by instrument id.
        rejected: inputs thrown away, by (instrument id, reason); counted by whoever asks the checks.
    """

    def __init__(self, instruments: Iterable[Instrument], board: PriceBoard) -> None:
        self.checks = {i.instrument_id: InstrumentCheck(i, board) for i in instruments}
        self.rejected: Counter[tuple[str, str]] = Counter()


def _is_power_of_ten(new: int, old: int) -> bool:
    """Return whether new / old is nearly 10^k, k not 0."""
    if new < old:
        new, old = old, new
    scaled = old
    while scaled * 100 <= new * (100 + CROSSED_PERCENT):
        if scaled != old and abs(new - scaled) * 100 <= CROSSED_PERCENT * scaled:
            return True
        scaled *= 10
    return False
