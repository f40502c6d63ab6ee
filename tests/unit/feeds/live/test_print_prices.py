"""What the price of a printed liquidation is, by its distance from the market, from one print to the status.

Seen to fail when broken on purpose: print_prices.py with sides swapped; desk.py without the evidence; report.py without
the decisions; feeds.py without the log.
"""

from __future__ import annotations

import logging

import pytest

from liqscape.events import Liquidation, PositionSide, PrintPrice
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.feeds import log_readings
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.live.print_prices import BANKRUPTCY, FILL, QUESTIONS, evidence_of
from liqscape.feeds.venues.binance import BINANCE_USDM
from liqscape.feeds.venues.dialect import Reading
from tests.unit.feeds.live.test_desk import BTC, LISTINGS, mark, ns
from tests.unit.feeds.live.test_report import NOW_NS, parts, status_of

MARKET = 650_000


def printed(price: int, side: PositionSide = PositionSide.LONG, kind: PrintPrice = PrintPrice.FILL) -> Liquidation:
    return Liquidation(BTC, NOW_NS, price, 10**8, side, kind)


@pytest.mark.parametrize(
    ("price", "side", "says"),
    [
        (650_100, PositionSide.LONG, FILL),
        (649_400, PositionSide.LONG, FILL),
        (649_000, PositionSide.LONG, None),
        (648_000, PositionSide.LONG, BANKRUPTCY),
        (652_000, PositionSide.LONG, None),
        (652_000, PositionSide.SHORT, BANKRUPTCY),
        (648_000, PositionSide.SHORT, None),
    ],
)
def test_a_print_at_the_market_is_a_fill_and_one_at_a_loss_to_the_position_is_not(
    price: int, side: PositionSide, says: str | None
) -> None:
    evidence = evidence_of(printed(price, side), MARKET)

    assert (evidence and evidence[1]) == says


def test_without_a_price_a_print_shows_nothing() -> None:
    assert evidence_of(printed(650_000), 0) is None


def test_every_kind_of_print_is_asked_about_as_it_is_read() -> None:
    assert QUESTIONS.keys() == set(PrintPrice)
    assert QUESTIONS[PrintPrice.BANKRUPTCY].alternatives[0] == BANKRUPTCY
    assert QUESTIONS[PrintPrice.FILL].alternatives[0] == FILL


def hear(desk: VenueDesk, *prints: Liquidation) -> None:
    line = desk.open("market-0")
    line.hear(mark(0), ns(0))
    reading = Reading()
    reading.events += [
        Liquidation(BTC, ns(n), e.price, e.quantity, e.position_side, e.price_kind) for n, e in enumerate(prints)
    ]
    desk.take(reading, ns(100), line)


def test_prints_that_are_not_what_they_are_read_as_show_in_the_status() -> None:
    wrong, right = parts(), parts()
    hear(wrong[0], *[printed(648_000)] * 30)
    hear(right[0], *[printed(650_000)] * 30)

    messages = status_of(wrong).message, status_of(right).message

    assert messages == (f"price of a liquidation: 30 of 30 say {BANKRUPTCY}; still read as {FILL}", "")


def test_what_is_decided_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desk = VenueDesk(BINANCE_USDM, LISTINGS, PriceBoard(), MirrorWatch(), lambda events: None)
    hear(desk, *[printed(650_000)] * 30)

    log_readings(desk)
    log_readings(desk)
    hear(desk, *[printed(648_000)] * 400)
    log_readings(desk)

    first, *later = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert first == ("INFO", f"reading: price of a liquidation: {FILL} held (30 of 30)")
    assert [level for level, _ in later] == ["WARNING", "WARNING"]  # undecided for a while, then otherwise
    assert f" say {BANKRUPTCY}; still read as {FILL}" in later[-1][1]
