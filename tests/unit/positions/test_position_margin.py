"""One position under its venue's rules: worked prices of every venue, its tier, and the steps it is closed in."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.instruments import AT_ENTRY, Instrument, find_instrument, shipped_instruments
from liqscape.positions.position_margin import PositionMargin, position_margin

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
BINANCE = find_instrument("binance:BTCUSDT")


def margin_of(
    instrument: Instrument,
    leverage: int,
    side: PositionSide = LONG,
    size: str | None = None,
    tier: int | None = None,
    entry: int = 65_000,
) -> PositionMargin:
    return position_margin(
        instrument,
        side=side,
        entry=Fraction(entry),
        leverage=Fraction(leverage),
        size=None if size is None else Fraction(size),
        maintenance_tier=tier,
    )


def pair(instrument: Instrument, leverage: int) -> tuple[float, float]:
    """Return the liquidation prices of one coin at 65,000, long and short."""
    return (
        round(float(margin_of(instrument, leverage, LONG).liquidation_price), 2),
        round(float(margin_of(instrument, leverage, SHORT).liquidation_price), 2),
    )


@pytest.mark.parametrize(
    ("instrument_id", "leverage", "prices"),
    [
        ("binance:BTCUSDT", 10, (58_734.94, 71_215.14)),
        ("binance:BTCUSDT", 50, (63_955.82, 66_035.86)),
        ("binance:BTCUSD_PERP", 10, (59_327.27, 71_933.33)),
        ("binance:BTCUSD_PERP", 50, (63_980.39, 66_061.22)),
        ("bybit:BTCUSDT", 10, (58_793.97, 71_144.28)),
        ("bybit:BTCUSDT", 50, (64_020.10, 65_970.15)),
        ("bybit:BTCUSD", 10, (59_386.36, 71_861.11)),
        ("bybit:BTCUSD", 50, (64_044.12, 65_994.90)),
        ("okx:BTC-USDT-SWAP", 10, (58_764.44, 71_179.69)),
        ("okx:BTC-USDT-SWAP", 50, (63_987.95, 66_002.99)),
        ("okx:BTC-USD-SWAP", 10, (59_356.82, 71_897.22)),
        ("okx:BTC-USD-SWAP", 50, (64_012.25, 66_028.06)),
        ("bitget:BTCUSDT", 10, (58_770.34, 71_172.61)),
        ("bitget:BTCUSDT", 50, (63_994.37, 65_996.42)),
        ("gate:BTC_USDT", 10, (58_705.47, 71_250.62)),
        ("gate:BTC_USDT", 50, (63_923.73, 66_068.76)),
        ("kucoin:XBTUSDTM", 10, (58_770.34, 71_172.61)),
        ("kucoin:XBTUSDTM", 50, (63_994.37, 65_996.42)),
        ("mexc:BTC_USDT", 10, (58_760.00, 71_240.00)),
        ("mexc:BTC_USDT", 50, (63_960.00, 66_040.00)),
        ("kraken:PF_XBTUSD", 10, (59_090.91, 70_792.08)),
        ("kraken:PF_XBTUSD", 50, (64_343.43, 65_643.56)),
        ("kraken:PI_XBTUSD", 10, (59_681.82, 71_500.00)),
        ("kraken:PI_XBTUSD", 50, (64_362.75, 65_663.27)),
        ("deribit:BTC-PERPETUAL", 10, (59_684.77, 71_496.39)),
        ("deribit:BTC-PERPETUAL", 50, (64_365.93, 65_659.95)),
        ("deribit:BTC_USDC-PERPETUAL", 10, (59_093.89, 70_788.57)),
        ("deribit:BTC_USDC-PERPETUAL", 50, (64_346.68, 65_640.31)),
        ("hyperliquid:BTC", 10, (59_240.51, 70_617.28)),
        ("hyperliquid:BTC", 40, (64_177.22, 65_802.47)),
        ("dydx:BTC-USD", 10, (59_210.53, 70_652.17)),
        ("dydx:BTC-USD", 50, (64_473.68, 65_513.83)),
        ("bitfinex:tBTCF0:USTF0", 10, (58_793.97, 71_144.28)),
        ("phemex:BTCUSDT", 50, (64_020.10, 65_970.15)),
        ("bingx:BTC-USDT", 10, (58_693.69, 71_264.83)),
        ("bingx:BTC-USDT", 50, (63_910.91, 66_081.93)),
        # One BTC is 1,000 contracts, in the second step of 10x: a factor of 0.125.
        ("htx:BTC-USDT", 10, (59_240.51, 70_617.28)),
    ],
)
def test_worked_price_of_one_coin(instrument_id: str, leverage: int, prices: tuple[float, float]) -> None:
    assert pair(find_instrument(instrument_id), leverage) == prices


def test_older_rule_of_bybit_measures_maintenance_at_entry() -> None:
    older = replace(find_instrument("bybit:BTCUSDT"), margin_form=AT_ENTRY)

    assert (pair(older, 10), pair(older, 50)) == ((58_825.0, 71_175.0), (64_025.0, 65_975.0))


def test_bankruptcy_prices() -> None:
    assert [margin_of(BINANCE, leverage, side).bankruptcy_price for leverage in (10, 50) for side in (LONG, SHORT)] == [
        58_500,
        71_500,
        63_700,
        66_300,
    ]


def test_rate_of_deribit_grows_with_the_position() -> None:
    deribit = find_instrument("deribit:BTC-PERPETUAL")

    assert margin_of(deribit, 10).rate == Fraction("0.01005")
    assert margin_of(deribit, 10, size="21").rate == Fraction("0.01105")
    # 1 % + 0.005 % x 21 of the value at mark is the equity left there: 21 coins at 65,000, a tenth of them margin.
    price = margin_of(deribit, 10, size="21").liquidation_price
    value = 21 * Fraction(65_000) / price
    assert Fraction("2.1") + 21 - value == Fraction("0.01105") * value


@pytest.mark.parametrize(
    ("leverage", "size", "rate"),
    [
        (10, "0.999", "0.0075"),  # factor 0.075
        (10, "1", "0.0125"),
        (10, "40", "0.025"),
        (50, "1", "0.007"),
        (25, "0.05", "0.002"),  # 25x is not listed: the row of 30x, factor 0.05
        (125, "0.2", "0.00248"),
    ],
)
def test_rate_of_htx_depends_on_leverage_and_size(leverage: int, size: str, rate: str) -> None:
    assert margin_of(find_instrument("htx:BTC-USDT"), leverage, size=size).rate == Fraction(rate)


def test_tier_is_the_one_the_position_is_in_when_it_is_liquidated() -> None:
    """At 12.5 BTC x 65,000 = 812,500 a long is in the third tier, and falls into the second on the way down."""
    long, short = margin_of(BINANCE, 10, LONG, "12.5"), margin_of(BINANCE, 10, SHORT, "12.5")

    assert (long.maintenance_tier, short.maintenance_tier) == (1, 2)
    for margin, toward in ((long, 1), (short, -1)):
        value = Fraction("12.5") * margin.liquidation_price
        equity = Fraction("812500") / 10 + toward * (value - 812_500)
        assert margin.tier.notional_floor < value <= margin.tier.notional_cap
        assert equity == margin.rate * value - margin.tier.maintenance_amount


def test_long_without_leverage_is_liquidated_at_nothing() -> None:
    assert margin_of(BINANCE, 1, LONG, tier=11).liquidation_price == 0


def test_position_of_a_given_tier_is_of_its_middle() -> None:
    margin = margin_of(BINANCE, 10, tier=2)

    assert margin.size * 65_000 == (800_000 + 3_000_000) / 2
    assert margin.maintenance_tier == 2


def test_large_position_is_brought_down_tier_by_tier_and_each_step_is_further_away() -> None:
    steps = margin_of(BINANCE, 10, LONG, "100").steps

    assert [step.maintenance_tier for step in steps] == [3, 2, 1, 0]
    assert [step.share * 6_500_000 for step in steps] == [3_500_000, 2_200_000, 500_000, 300_000]
    prices = [step.price for step in steps]
    assert prices == sorted(prices, reverse=True)
    assert round(float(prices[-1]), 2) == 58_734.94


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_fifth_of_a_large_position_of_hyperliquid_goes_first(side: PositionSide) -> None:
    margin = margin_of(find_instrument("hyperliquid:BTC"), 40, side, "10")
    toward = 1 if side is LONG else -1

    first, rest = margin.steps

    assert (first.share, rest.share) == (Fraction(1, 5), Fraction(4, 5))
    assert first.price == margin.liquidation_price
    # Loss of the fifth to its price, of the rest to its own; what is left is maintenance of the rest.
    equity = 10 * Fraction(65_000) / 40 + toward * (2 * (first.price - 65_000) + 8 * (rest.price - 65_000))
    assert equity == Fraction("0.0125") * 8 * rest.price


def test_small_position_of_hyperliquid_goes_whole() -> None:
    assert [step.share for step in margin_of(find_instrument("hyperliquid:BTC"), 40, LONG, "1.5").steps] == [1]


def test_form_of_hyperliquid_is_the_general_one() -> None:
    """Its page: price - side x available / size / (1 - l x side), available = margin - maintenance at that price."""
    for side, toward in ((LONG, 1), (SHORT, -1)):
        margin = margin_of(find_instrument("hyperliquid:BTC"), 20, side, "3000", entry=65_000)
        rate, amount = margin.rate, margin.tier.maintenance_amount
        available = 3000 * 65_000 * (Fraction(1, 20) - rate) + amount

        assert margin.maintenance_tier == 1
        assert margin.liquidation_price == 65_000 - toward * available / 3000 / (1 - rate * toward)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"leverage": 0}, "leverage 0 at least 1"),
        ({"leverage": 10, "size": "-1"}, "must be above 0"),
        ({"leverage": 10, "tier": 12}, "maintenance tier 13 is unknown; use 1 to 12"),
        ({"leverage": 151}, "not offered in maintenance tier 1; use at most 150"),
        (
            {"leverage": 50, "size": "1000"},
            "leverage 50 on binance:BTCUSDT is not offered in maintenance tier 5; use at most 25",
        ),
        ({"leverage": 1, "size": "1e9"}, "is above what the table of binance:BTCUSDT holds: 1,800,000,000"),
    ],
)
def test_position_the_venue_does_not_offer_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        margin_of(BINANCE, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("instrument_id", sorted(shipped_instruments()))
def test_steps_of_every_contract_make_up_the_position_between_entry_and_bankruptcy(instrument_id: str) -> None:
    instrument = shipped_instruments()[instrument_id]

    for tier, of_tier in enumerate(instrument.maintenance_tiers):
        leverage = min(3, of_tier.max_leverage)
        if leverage == 1 or Fraction(1, leverage) <= of_tier.maintenance_margin_rate:
            continue
        for side, toward in ((LONG, 1), (SHORT, -1)):
            margin = margin_of(instrument, leverage, side, tier=tier)
            assert sum(step.share for step in margin.steps) == 1
            assert margin.steps[0].price == margin.liquidation_price
            assert all(toward * (step.price - margin.bankruptcy_price) > 0 for step in margin.steps)
            assert all(toward * (margin.entry - step.price) > 0 for step in margin.steps)
            prices = [toward * step.price for step in margin.steps]
            assert prices == sorted(prices, reverse=True)
