"""Finds venues that show the same trades: one book under two names, whose positions would be counted twice. Pure.

Coinbase International has been served by Deribit's books since September 2026. Nobody promises to say so the next time.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

from liqscape.events import Trade
from liqscape.instruments import Instrument

SECOND_NS: Final = 1_000_000_000

SAMPLED_SECONDS: Final = 8
"""Trades of one second in so many, by venue time, are compared: the same ones of both sides."""

_CYCLE_NS: Final = SAMPLED_SECONDS * SECOND_NS

LOOK_NS: Final = 60 * SECOND_NS

LEAST_TRADES: Final = 10
"""In common, for a verdict: two books have a trade of one price, size and millisecond in common by chance, not ten."""

MOST_TRADES: Final = 2_000
"""Kept of an instrument between two looks."""

_DECIMALS: Final = 18


def is_sampled(time_ns: int) -> bool:
    """Return whether trades of a second are compared."""
    return time_ns % _CYCLE_NS < SECOND_NS


class MirrorWatch:
    """Compares the trades of the instruments of a symbol."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, set[tuple[int, int, int]]]] = {}
        self._due_ns = 0
        self._found: dict[frozenset[str], int] = {}

    def see(self, instrument: Instrument, trade: Trade) -> None:
        """Take a trade of a second for which is_sampled says so."""
        kept = self._seen.setdefault(instrument.symbol, {}).setdefault(trade.instrument_id, set())
        if len(kept) < MOST_TRADES:
            price = trade.price * 10 ** (_DECIMALS - instrument.price_decimals)
            kept.add((trade.time_ns // 1_000_000, price, trade.quantity))

    def look(self, now_ns: int) -> None:
        """Compare what was seen since the last look, once a minute."""
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + LOOK_NS
        for by_instrument in self._seen.values():
            for (one, trades), (other, others) in combinations(by_instrument.items(), 2):
                if one.partition(":")[0] == other.partition(":")[0]:
                    continue
                fewer = min(len(trades), len(others))
                common = len(trades & others)
                pair = frozenset((one, other))
                if common >= LEAST_TRADES and common * 2 >= fewer:
                    self._found[pair] = self._found.get(pair, 0) + 1
                elif fewer >= LEAST_TRADES and common * 10 < fewer:
                    self._found.pop(pair, None)
        self._seen.clear()

    def mirrors_of(self, instrument_id: str) -> tuple[str, ...]:
        """Return the instruments that show the same trades."""
        return tuple(sorted(other for pair in self._found if instrument_id in pair for other in pair - {instrument_id}))
