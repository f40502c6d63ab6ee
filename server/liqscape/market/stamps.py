"""What the stamps of one instrument are believed to say: which events come too late, twice, or from a clock that leapt.

An event counts in the tick in which it is heard, whatever its stamp. Stamps decide only

    late        a price or trade stamped more than MAX_LATE_NS before our clock at the end of the last tick is refused:
                what has opened since must not be swept by a price of before
    disordered  one that is older than another of its kind in the same tick widens its range, and is not its close
    a sample    of open interest older than the newest one is refused; with the same stamp it is the same sample, said
                again. A candle that begins before the newest one has ended is one of them said again
    leapt       what stays behind for LEAP_NS of ticks comes from a venue that has set its clock back, and is believed
    ahead       no stamp is believed that is more than MAX_AHEAD_NS after the end of the tick in which it was heard

Everything refused is counted. What is remembered from tick to tick is in InstrumentCarry.
"""

from __future__ import annotations

import enum
from typing import Final

MAX_LATE_NS: Final = 60 * 10**9
"""A minute, the finest column: the past before it is not told anew. Reconnecting, venues send again what is older."""

LEAP_NS: Final = 60 * 10**9
"""What is sent again after a reconnect is over within seconds; a clock that was set back stays so."""

MAX_AHEAD_NS: Final = 5 * 10**9
"""Venue's clocks and ours differ by less than a second while both are kept in step."""


def in_time_from(clock_ns: int | None) -> int:
    """Return the stamp from which on a price or trade is in time; clock_ns: see Stamps.price."""
    return 0 if clock_ns is None else clock_ns - MAX_LATE_NS


class Verdict(enum.Enum):
    """What becomes of an event; the value is the name of its counter."""

    TAKEN = ""
    LEAPT = "leapt_events"
    """Taken, though it is behind."""
    LATE = "late_events"
    REPEATED = "repeated_events"


TAKEN: Final = Verdict.TAKEN
"""A name of its own for the usual path: Python 3.11 finds a member of an enumeration slower than it judges."""


class Stamps:
    """The stamps of one instrument.

    Attributes:
        sampled_ns: of the newest sample of open interest; 0 before the first.
        candle_ns: end of the newest candle; 0 before the first.
        prices_behind_ns: what our clock said when it began that every price and trade was late; 0 while they are not.
        samples_behind_ns: the same of samples.
    """

    __slots__ = ("candle_ns", "prices_behind_ns", "sampled_ns", "samples_behind_ns")

    def __init__(self) -> None:
        self.sampled_ns = self.candle_ns = self.prices_behind_ns = self.samples_behind_ns = 0

    def price(self, time_ns: int, clock_ns: int | None) -> Verdict:
        """Judge a price or a trade.

        Args:
            time_ns: its stamp.
            clock_ns: what our clock said at the end of the last tick; None before the first.
        """
        if clock_ns is None or time_ns >= in_time_from(clock_ns):
            self.prices_behind_ns = 0
            return TAKEN
        self.prices_behind_ns = self.prices_behind_ns or clock_ns
        return Verdict.LEAPT if clock_ns - self.prices_behind_ns >= LEAP_NS else Verdict.LATE

    def sample(self, time_ns: int, clock_ns: int | None) -> Verdict:
        """Judge a sample of open interest; see price."""
        if time_ns == self.sampled_ns:
            return Verdict.REPEATED
        verdict = TAKEN
        if time_ns < self.sampled_ns:
            clock_ns = clock_ns or 0
            self.samples_behind_ns = self.samples_behind_ns or clock_ns
            if clock_ns - self.samples_behind_ns < LEAP_NS:
                return Verdict.LATE
            verdict = Verdict.LEAPT
        self.sampled_ns, self.samples_behind_ns = time_ns, 0
        return verdict

    def candle(self, open_ns: int, close_ns: int) -> Verdict:
        """Judge a candle."""
        if open_ns < self.candle_ns:
            return Verdict.REPEATED
        self.candle_ns = close_ns
        return TAKEN

    def bound(self, end_ns: int) -> bool:
        """Believe no stamp that is far after the end of the tick; return whether there was one."""
        most_ns = end_ns + MAX_AHEAD_NS
        is_ahead = max(self.sampled_ns, self.candle_ns) > most_ns
        if is_ahead:
            self.sampled_ns = end_ns if self.sampled_ns > most_ns else self.sampled_ns
            self.candle_ns = end_ns if self.candle_ns > most_ns else self.candle_ns
        return is_ahead
