"""The flow identity: traded volume and two samples of open interest -> lots opened and closed on each side.

Between two samples D is the change of open interest and V the position-taking part of what was traded. Every trade
gives one side something long and the other something short, so

    opens_long - closes_long = D = opens_short - closes_short
    opens_long + closes_short = V = opens_short + closes_long

One unknown is left, a = opens_long. Lots swept by liquidation are closes that are already known.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

POSITION_TAKING_SHARE: Final = Fraction(3, 5)
"""phi: share of the traded quantity that opens or closes a position held to the next sample. The rank correlation with
real liquidations is flat between 0.3 and 1.0."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Lots opened and closed between two samples, long and short; sweeps are part of the closes.

    volume is V as used; excess is what V had to be raised beyond the traded quantity: a model error.
    """

    opens_long: int
    closes_long: int
    opens_short: int
    closes_short: int
    volume: int
    excess: int


def solve_flow(*, traded: int, last: int, now: int, swept_long: int, swept_short: int) -> Flow:
    """Return the flow between two samples.

    Args:
        traded: lots traded between the samples.
        last: open interest of the earlier sample, lots.
        now: open interest of the later sample, lots.
        swept_long: long lots liquidated between them, at most `last`.
        swept_short: short lots liquidated between them, at most `last`.
    """
    change = now - last
    volume = traded * POSITION_TAKING_SHARE.numerator // POSITION_TAKING_SHARE.denominator
    volume = min(volume, 2 * last + change)
    least = max(0, -change, swept_long, swept_short, change + swept_long + swept_short)
    excess = max(0, least - traded) if volume < least else 0
    volume = max(volume, least)
    lowest = max(0, change + swept_long, volume - last)
    highest = min(volume + change, volume - swept_short, last + change)
    opens_long = min(max((volume + change) // 2, lowest), highest)
    closes_long = opens_long - change
    return Flow(
        opens_long=opens_long,
        closes_long=closes_long,
        opens_short=volume - closes_long,
        closes_short=volume - opens_long,
        volume=volume,
        excess=excess,
    )
