"""A market beside the map: how old its newest day is, and what share of all open interest the map explains. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from liqscape.events import QUANTITY_DECIMALS
from liqscape.feeds.context import MarketContext
from liqscape.feeds.venues.cme import VENUE, DailyContext
from liqscape.grid.updates import Coverage

MEANING: Final = (
    "open interest and settlements of a daily report, for context: no rule says where these positions are closed, so no"
    " cell, total or share of the map contains them"
)

WARN_BELOW: Final = 0.5
"""Share of all open interest that a map explains: below it more is unknown than known."""

WARNING: Final = f"the map explains less than {WARN_BELOW:.0%} of the open interest of its venues and CME together"


def market_context(day: DailyContext, coverage: Iterable[Coverage], at_ns: int) -> MarketContext:
    """Return a market as it is at a moment.

    Args:
        day: its newest one.
        coverage: of the instruments of the map, of the same coin.
        at_ns: the moment, ns since 1970.
    """
    live = both = market = 0
    for part in coverage:
        live += sum(part.live_lots)
        both += sum(part.live_lots) + sum(part.uncovered_lots)
        unit = int(10 ** (QUANTITY_DECIMALS - part.lot_decimals))
        market = 2 * (day.open_interest // unit)  # one-sided; those of the map are long and short
    covered = live / (both + market) if both else None
    return MarketContext(
        venue=VENUE,
        day=day,
        age_ns=max(0, at_ns - day.as_of_ns),
        open_interest_share=market / (both + market) if both else None,
        covered_share=covered,
        warning="" if covered is None or covered >= WARN_BELOW else WARNING,
    )
