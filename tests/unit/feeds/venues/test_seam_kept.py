"""What every venue owes the seam: endpoints, polls and pages that hold together, and answers that break nothing."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.events import Funding
from liqscape.feeds.venues.bingx import BINGX_INVERSE, BINGX_LINEAR
from liqscape.feeds.venues.coinbase_derivatives import COINBASE_DERIVATIVES
from liqscape.feeds.venues.coinbase_intl import COINBASE_INTL
from liqscape.feeds.venues.cryptocom import CRYPTOCOM
from liqscape.feeds.venues.deribit import DERIBIT
from liqscape.feeds.venues.dialect import (
    Channel,
    Completeness,
    Dialect,
    Listing,
    Reading,
    Unreadable,
    read_answer,
)
from liqscape.feeds.venues.dydx import DYDX
from liqscape.feeds.venues.hyperliquid import HYPERLIQUID
from liqscape.feeds.venues.kraken import KRAKEN
from liqscape.feeds.venues.lighter import LIGHTER
from liqscape.feeds.venues.numbers import UnreadableNumber
from liqscape.feeds.venues.pages import HOUR_NS
from liqscape.feeds.venues.phemex import PHEMEX
from liqscape.feeds.venues.woox import WOOX
from tests.unit.feeds.venues.captured import RECEIVE_NS, listing
from tests.unit.feeds.venues.hostile import check_event, mutations
from tests.unit.feeds.venues.seam_cases import CASES as OTHER_CASES
from tests.unit.feeds.venues.seam_cases import Case

CANDLE = {"open": "10.5", "high": "11", "low": "10", "close": "10.6", "volume": "3"}

SHORT = {"o": "10.5", "h": "11", "l": "10", "c": "10.6", "v": "3", "t": 1_795_219_200_000}

AT_NS = 1_795_219_200 * 10**9

INVERSE = {"contract": "inverse", "contract_value": Fraction(10)}

MAY_BE_RAISED = (Unreadable, UnreadableNumber, KeyError, ValueError, TypeError, IndexError)
"""By read_page, as the seam says."""


def instruments(venue: str, *names: str, **changes: object) -> tuple[Listing, ...]:
    return tuple(listing(venue, name, **changes) for name in names)


KRAKEN_CANDLES = {"candles": [{**CANDLE, "time": 1_795_219_200_000}]}

DERIBIT_CANDLES = {
    "result": {
        **{name: [10.5] for name in ("open", "high", "low", "close")},
        "ticks": [1_795_219_200_000],
        "volume": [1],
        "cost": [10],
    },
    "usOut": 1_795_219_300_000_000,
}

DERIBIT_FUNDING = {"result": [{"timestamp": 1_795_222_800_000, "interest_1h": 0.00001}]}

FUTURE = {"kind": "future", "instrument_name": "BTC-PERPETUAL", "tick_size": 0.5, "is_active": True, "max_leverage": 50}

HYPER_CANDLES = [SHORT]

DYDX_CANDLES = {
    "candles": [
        {
            **CANDLE,
            "startedAt": "2026-11-21T00:00:00.000Z",
            "baseTokenVolume": "1",
            "startingOpenInterest": "2",
        }
    ]
}

CASES = (
    Case(
        KRAKEN,
        instruments("kraken", "PF_XBTUSD"),
        {"result": "success", "instruments": [{"symbol": "pf_x", "tickSize": 1, "contractSize": 1, "tradeable": True}]},
        (
            KRAKEN_CANDLES,
            KRAKEN_CANDLES,
            {"rates": [{"timestamp": "2026-11-21T00:00:00Z", "relativeFundingRate": "0.00001"}]},
        ),
    ),
    Case(
        DERIBIT,
        instruments("deribit", "BTC-PERPETUAL", **INVERSE),
        {"result": [FUTURE]},
        (DERIBIT_CANDLES, DERIBIT_FUNDING),
    ),
    Case(
        COINBASE_INTL,
        instruments("coinbase_intl", "BTC-PERP"),
        {"result": [FUTURE]},
        (DERIBIT_CANDLES, DERIBIT_FUNDING),
    ),
    Case(
        HYPERLIQUID,
        instruments("hyperliquid", "BTC"),
        {"universe": [{"name": "BTC", "maxLeverage": 40}]},
        (
            HYPER_CANDLES,
            HYPER_CANDLES,
            [{"coin": "BTC", "fundingRate": "0.00001", "time": 1_795_222_800_031}],
        ),
    ),
    Case(
        DYDX,
        instruments("dydx", "BTC-USD", "ETH-USD"),
        {"markets": {"X": {"ticker": "X", "tickSize": "1", "initialMarginFraction": "0.02", "status": "ACTIVE"}}},
        (
            DYDX_CANDLES,
            DYDX_CANDLES,
            {"historicalFunding": [{"effectiveAt": "2026-11-21T01:00:00.2Z", "rate": "0.00001"}]},
        ),
    ),
    Case(
        PHEMEX,
        (*instruments("phemex", "BTCUSDT"), *instruments("phemex", "BTCUSD", **INVERSE)),
        {"code": 0, "data": {"products": [{"type": "Spot"}]}},
        (
            {"code": 0, "data": {"rows": [[1_795_219_200, 60, "1", "10.5", "11", "10", "10.6", "3", "1"]]}},
            {
                "code": 0,
                "data": {
                    "rows": [
                        {"fundingTime": "1795248000000", "intervalSeconds": "28800", "fundingRate": "0.0001"},
                    ]
                },
            },
        ),
    ),
    Case(
        BINGX_LINEAR,
        instruments("bingx", "BTC-USDT"),
        {"code": 0, "data": [{"symbol": "X", "pricePrecision": 1, "status": 1}]},
        (
            {"code": 0, "data": [{**CANDLE, "time": 1_795_219_200_000}]},
            {"code": 0, "data": [{**CANDLE, "openTime": 1_795_219_200_000}]},
            {"code": 0, "data": [{"fundingTime": 1_795_248_000_000, "fundingRate": "0.0001"}]},
        ),
    ),
    Case(BINGX_INVERSE, instruments("bingx", "BTC-USD", **INVERSE), {"code": 0, "data": []}),
    Case(
        CRYPTOCOM,
        instruments("cryptocom", "BTCUSD-PERP"),
        {
            "code": 0,
            "result": {
                "data": [
                    {
                        "symbol": "X",
                        "inst_type": "PERPETUAL_SWAP",
                        "price_tick_size": "1",
                        "max_leverage": "50",
                        "tradable": True,
                    }
                ]
            },
        },
        (
            {"code": 0, "result": {"data": [SHORT]}},
            {"code": 0, "result": {"data": [{"v": "0.00001", "t": 1_795_222_800_000}]}},
        ),
    ),
    Case(
        WOOX,
        instruments("woox", "PERP_BTC_USDT"),
        {"success": True, "data": {"rows": [{"symbol": "PERP_X", "quoteTick": "1", "status": "TRADING"}]}},
        (
            {
                "success": True,
                "timestamp": 1_795_219_300_000,
                "data": {"rows": [{**CANDLE, "startTimestamp": 1_795_219_200_000}]},
            },
            {
                "success": True,
                "data": {"rows": [{"fundingRateTimestamp": 1_795_248_000_000, "fundingRate": "0.0001"}]},
            },
        ),
    ),
    Case(
        LIGHTER,
        instruments("lighter", "BTC"),
        {
            "code": 200,
            "order_book_details": [
                {
                    "symbol": "X",
                    "market_type": "perp",
                    "min_initial_margin_fraction": 200,
                    "price_decimals": 1,
                    "status": "active",
                }
            ],
        },
        ({"code": 200, "c": [{**SHORT, "v": 3}]},),
    ),
    Case(
        COINBASE_DERIVATIVES,
        instruments("coinbase_derivatives", "BIP-20DEC30-CDE", unit=Fraction(1, 100)),
        {"products": [{"product_id": "X"}]},
    ),
    *OTHER_CASES,
)

EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.venue.name)

EACH_WITH_A_PAST = pytest.mark.parametrize(
    "case", [case for case in CASES if case.pages], ids=lambda case: case.venue.name
)


def dialect(case: Case) -> Dialect:
    return case.venue.dialect(case.listings)


def test_names_of_venues_differ() -> None:
    assert len({case.venue.name for case in CASES}) == len(CASES)


@EACH
def test_connections_say_what_they_ask_for_and_what_they_tell(case: Case) -> None:
    endpoints = dialect(case).endpoints

    assert len({each.name for each in endpoints}) == len(endpoints)
    for each in endpoints:
        assert each.url.startswith("wss://")
        assert each.subscribe
        assert all(isinstance(orjson.loads(text), dict) for text in each.subscribe)
        assert each.control in each.channels
        assert each.sends_per_s > 0
        assert set(each.about) <= {listed.instrument_id for listed in case.listings}
    told = frozenset[Channel]().union(*(each.channels for each in endpoints))
    assert (Channel.LIQUIDATIONS in told) == (case.venue.liquidations is not Completeness.NONE)


@EACH
def test_polls_draw_on_budgets_that_can_bear_them_and_ask_for_listings_first(case: Case) -> None:
    made = dialect(case)

    budgets = {each.name: each for each in made.budgets}
    assert len({each.name for each in made.polls}) == len(made.polls)
    assert not made.polls[0].channels
    for poll in made.polls:
        assert poll.request.url.startswith("https://")
        assert poll.weight <= budgets[poll.budget].weight
        assert set(poll.about) <= {each.instrument_id for each in case.listings}


@EACH
def test_everything_the_model_needs_is_streamed_or_polled(case: Case) -> None:
    made = dialect(case)

    heard = frozenset[Channel]().union(*(e.channels for e in made.endpoints), *(p.channels for p in made.polls))

    wanted = {Channel.OPEN_INTEREST, Channel.FUNDING}
    if case.venue is not COINBASE_DERIVATIVES:  # open interest alone is public there
        wanted |= {Channel.TRADES, Channel.MARK}
    assert heard >= wanted


def test_venues_without_pages_have_no_past() -> None:
    assert [case.venue.name for case in CASES if case.venue.history is None] == [
        case.venue.name for case in CASES if not case.pages
    ]


@EACH_WITH_A_PAST
def test_past_is_asked_for_in_pages_and_read(case: Case) -> None:
    assert case.venue.history is not None
    past = case.venue.history(case.listings[0])

    budgets = {each.name: each for each in past.budgets}
    assert len(past.series) == len(case.pages)
    for series, page in zip(past.series, case.pages, strict=True):
        into = Reading()
        asked = past.request(series, AT_NS, AT_NS + series.page * series.step_ns)
        past.read_page(series, orjson.dumps(page), into)
        assert asked.url.startswith("https://")
        assert series.weight <= budgets[series.budget].weight
        assert not into.rejected
        (event,) = into.events
        check_event(event)
        if isinstance(event, Funding):  # it belongs to the span of its payment, whole
            assert AT_NS < event.time_ns + event.interval_hours * HOUR_NS < AT_NS + 9 * HOUR_NS


@EACH
def test_listings_are_read_and_hostile_ones_break_nothing(case: Case) -> None:
    made = dialect(case)
    into = Reading()

    read_answer(made, made.polls[0], orjson.dumps(case.listed), RECEIVE_NS, into)

    assert not into.refused

    @given(mutations([case.listed]))
    def check(sent: list[bytes]) -> None:
        told = Reading()
        for body in sent:
            for poll in made.polls:
                read_answer(made, poll, body, RECEIVE_NS, told)
        for each in told.listings:
            assert each.price_tick is None or isinstance(each.price_tick, Fraction)
            assert each.max_leverage is None or isinstance(each.max_leverage, int)
        for event in told.events:
            check_event(event)

    check()


@EACH_WITH_A_PAST
def test_hostile_pages_raise_only_what_the_seam_says(case: Case) -> None:
    assert case.venue.history is not None
    past = case.venue.history(case.listings[0])

    @given(mutations(case.pages))
    def check(sent: list[bytes]) -> None:
        told = Reading()
        for body in sent:
            for series in past.series:
                past.request(series, 0, 2**61)
                try:
                    past.read_page(series, body, told)
                except MAY_BE_RAISED:
                    continue
        for event in told.events:
            check_event(event)

    check()
