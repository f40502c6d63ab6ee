"""Lines of a venue that confirms no subscription: an instrument was missed until it is heard, whatever others say.

Seen to fail when broken on purpose, one at a time: desk.py, _end_hole of all instruments at once; end without join;
_end_at_cut without the hole of the line. holes.py, go_on with one begin for all.
"""

from __future__ import annotations

import orjson

from liqscape.events import Event, Gap
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.holes import MARGIN_NS, PIECE_NS
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.venues.dialect import Listing
from liqscape.feeds.venues.woox import WOOX
from liqscape.instruments import find_instrument

LISTINGS = (Listing(find_instrument("woox:PERP_BTC_USDT")), Listing(find_instrument("woox:PERP_ETH_USDT")))
BTC, ETH = (listing.instrument_id for listing in LISTINGS)
T0_MS = 1_795_219_200_000


class Desk:
    """A desk and the gaps it has told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.desk = VenueDesk(WOOX, LISTINGS, PriceBoard(), MirrorWatch(), self.events.extend)

    def gaps(self, instrument_id: str) -> list[tuple[int, int, str]]:
        """Return (from, to, reason) of those of an instrument, in ms."""
        found = (e for e in self.events if isinstance(e, Gap) and e.instrument_id == instrument_id)
        return [(_ms(gap.from_ns), _ms(gap.to_ns), gap.reason) for gap in found]


def _ms(time_ns: int) -> int:
    return time_ns // 10**6 - T0_MS


def ns(ms: int) -> int:
    return (T0_MS + ms) * 10**6


def mark(ms: int, name: str = "PERP_BTC_USDT") -> bytes:
    data = {"s": name, "px": "65000.1" if "BTC" in name else "3000.11", "ts": T0_MS + ms}
    return orjson.dumps({"topic": f"markprice@{name}", "ts": T0_MS + ms, "data": data})


MARGIN_MS = MARGIN_NS // 10**6


def test_the_hole_of_an_instrument_ends_when_that_instrument_is_heard() -> None:
    made = Desk()
    made.desk.begin(ns(0))
    line = made.desk.open("public")

    line.hear(mark(700), ns(710))
    told_of_others = made.gaps(ETH)
    line.hear(mark(9_000, "PERP_ETH_USDT"), ns(9_010))

    assert made.gaps(BTC) == [(0, 700 + MARGIN_MS, "connecting")]
    assert told_of_others == []
    assert made.gaps(ETH) == [(0, 9_000 + MARGIN_MS, "connecting")]
    assert line.hole is None


def test_what_is_not_heard_yet_is_told_in_pieces_while_the_rest_is_heard() -> None:
    made = Desk()
    made.desk.begin(ns(0))
    line = made.desk.open("public")
    line.hear(mark(700), ns(710))
    piece_ms = PIECE_NS // 10**6

    made.desk.pulse(ns(piece_ms))
    line.hear(mark(piece_ms + 500, "PERP_ETH_USDT"), ns(piece_ms + 510))

    assert made.gaps(BTC) == [(0, 700 + MARGIN_MS, "connecting")]
    last = (piece_ms, piece_ms + 500 + MARGIN_MS, "connecting")
    assert made.gaps(ETH) == [(0, piece_ms, "connecting"), last]


def test_a_line_that_ends_before_it_has_heard_all_leaves_one_hole_of_each() -> None:
    made = Desk()
    made.desk.begin(ns(0))
    line = made.desk.open("public")
    line.hear(mark(5_000), ns(5_010))

    made.desk.end(line, ns(6_000), "disconnected")
    again = made.desk.open("public")
    again.hear(mark(8_000), ns(8_010))
    again.hear(mark(8_500, "PERP_ETH_USDT"), ns(8_510))

    assert made.gaps(BTC)[1:] == [(5_000 - MARGIN_MS, 8_000 + MARGIN_MS, "disconnected")]
    assert made.gaps(ETH) == [(0, 8_500 + MARGIN_MS, "connecting")]


def test_what_a_line_has_never_heard_stays_missed_when_another_takes_over() -> None:
    made = Desk()
    made.desk.begin(ns(0))
    old = made.desk.open("public")
    old.hear(mark(5_000), ns(5_010))
    new = made.desk.open("public", takes_over=True)
    new.hear(mark(5_500), ns(5_510))
    made.desk.hand_over(old, new)
    old.hear(mark(7_000), ns(7_010))

    made.desk.retire(old, new)
    new.hear(mark(7_500), ns(7_510))
    new.hear(mark(9_000, "PERP_ETH_USDT"), ns(9_010))

    assert made.gaps(BTC) == [(0, 5_000 + MARGIN_MS, "connecting")]
    assert made.gaps(ETH) == [(0, 9_000 + MARGIN_MS, "connecting")]
