"""What the price of a printed liquidation is, by how far it lies from the market. Pure.

A position is closed by an order that trades at the market; its bankruptcy price lies on the losing side of that, by
the maintenance margin at least, which no venue has below 0.3 %.
"""

from __future__ import annotations

from typing import Final

from liqscape.events import Liquidation, PositionSide, PrintPrice
from liqscape.feeds.venues.readings import Evidence, Question

NEAR_PER_MILLE: Final = 1
"""Of the last price heard, within which a print is a fill: what a market moves while a mark is under way."""

FAR_TENTHS_PER_MILLE: Final = 25
"""On the losing side, beyond which it is a bankruptcy price: less than any maintenance margin."""

FILL, BANKRUPTCY = "a fill", "the bankruptcy price"

QUESTIONS: Final = {
    PrintPrice.FILL: Question("price of a liquidation", (FILL, BANKRUPTCY), needs=30),
    PrintPrice.BANKRUPTCY: Question("price of a liquidation", (BANKRUPTCY, FILL), needs=30),
    PrintPrice.ORDER: Question("price of a liquidation", ("the limit of the order", FILL, BANKRUPTCY), needs=30),
    PrintPrice.UNKNOWN: Question("price of a liquidation", ("unknown", FILL, BANKRUPTCY), needs=30),
}
"""By what a dialect takes it for."""


def evidence_of(event: Liquidation, price: int) -> Evidence | None:
    """Return what a print speaks for; None: for neither.

    Args:
        event: a print.
        price: the last one heard of the instrument, in its units; 0: none.
    """
    if price <= 0:
        return None
    lost = price - event.price if event.position_side is PositionSide.LONG else event.price - price
    if abs(lost) * 1000 <= NEAR_PER_MILLE * price:
        return QUESTIONS[event.price_kind], FILL
    if lost * 10_000 >= FAR_TENTHS_PER_MILLE * price:
        return QUESTIONS[event.price_kind], BANKRUPTCY
    return None
