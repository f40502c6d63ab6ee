"""Answers of venues in the documented form, for what test_seam_kept asks of every venue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from liqscape.feeds.venues.bitfinex import BITFINEX
from liqscape.feeds.venues.bitget import BITGET
from liqscape.feeds.venues.bybit import BYBIT_INVERSE, BYBIT_LINEAR
from liqscape.feeds.venues.dialect import Listing, Venue
from liqscape.feeds.venues.gate import GATE_BTC, GATE_USD1, GATE_USDT
from liqscape.feeds.venues.htx import HTX_COIN, HTX_LINEAR
from liqscape.feeds.venues.kucoin import KUCOIN
from liqscape.feeds.venues.mexc import MEXC
from liqscape.feeds.venues.okx import OKX
from tests.unit.feeds.venues.captured import listing

AT = 1_795_219_200
"""Seconds: the first of every span asked for."""

PAID = AT + 8 * 3600

INVERSE: dict[str, Any] = {"contract": "inverse", "contract_value": Fraction(10)}


@dataclass(frozen=True)
class Case:
    """A venue, its instruments, and answers in the documented form.

    Attributes:
        venue: under test.
        listings: of it.
        listed: an answer to the request for listings.
        pages: an answer to each series of the past of the first listing.
    """

    venue: Venue
    listings: tuple[Listing, ...]
    listed: object
    pages: Sequence[object] = field(default=())


BYBIT_PAGES = [
    {"retCode": 0, "time": (AT + 90) * 1000, "result": {"list": rows}}
    for rows in (
        [[str(AT * 1000), "10.5", "11", "10", "10.6", "3", "30"]],
        [[str(AT * 1000), "10.5", "11", "10", "10.6"]],
        [{"openInterest": "20", "singleOpenInterest": "10", "timestamp": str(AT * 1000)}],
        [{"fundingRate": "0.0001", "fundingRateTimestamp": str(PAID * 1000)}],
    )
]

BYBIT_LISTED = {
    "retCode": 0,
    "result": {
        "list": [
            {
                "symbol": "X",
                "status": "Trading",
                "leverageFilter": {"maxLeverage": "100.00"},
                "priceFilter": {"tickSize": "0.10"},
            }
        ]
    },
}

OKX_PAGES = [
    {"code": "0", "data": rows}
    for rows in (
        [[str(AT * 1000), "10.5", "11", "10", "10.6", "300", "3", "30", "1"]],
        [[str(AT * 1000), "10.5", "11", "10", "10.6", "1"]],
        [[str(AT * 1000), "1000", "10", "100"]],
        [{"fundingRate": "0.0001", "realizedRate": "0.0001", "fundingTime": str(PAID * 1000)}],
    )
]

OKX_LISTED = {
    "code": "0",
    "data": [
        {
            "instId": "X-USDT-SWAP",
            "ctVal": "0.01",
            "ctMult": "1",
            "ctType": "linear",
            "tickSz": "0.1",
            "lever": "100",
            "state": "live",
        }
    ],
}

BITGET_ROWS = [[str(AT * 1000), "10.5", "11", "10", "10.6", "3", "30"]]

GATE_CANDLE = {"t": AT, "v": 3, "c": "10.6", "h": "11", "l": "10", "o": "10.5"}

GATE_PAGES = ([GATE_CANDLE], [GATE_CANDLE], [{"time": AT, "open_interest": 7}], [{"t": PAID, "r": "0.0001"}])

GATE_LISTED = [
    {
        "name": "BTC_USDT",
        "type": "direct",
        "quanto_multiplier": "0.0001",
        "order_price_round": "0.1",
        "leverage_max": "200",
        "in_delisting": False,
        "funding_interval": 28800,
    }
]

HTX_LISTED = {
    "status": "ok",
    "data": [{"contract_code": "BTC-USDT", "contract_size": 0.001, "price_tick": 0.1, "contract_status": 1}],
    "ts": AT * 1000,
}

HTX_PAGES = (
    {
        "status": "ok",
        "ts": (AT + 90) * 1000,
        "data": [{"id": AT, "open": 10.5, "close": 10.6, "high": 11, "low": 10, "vol": 6}],
    },
    {"status": "ok", "data": {"tick": [{"volume": 7, "amount_type": 1, "ts": AT * 1000}]}, "ts": AT * 1000},
)

MEXC_COLUMNS = {"time": [AT], "open": [10.5], "high": [11], "low": [10], "close": [10.6], "vol": [3]}

MEXC_PAGE = {"success": True, "code": 0, "data": MEXC_COLUMNS}

BITFINEX_STATUS = [AT * 1000, *[None] * 16, 5775.2]

CASES = (
    Case(BYBIT_LINEAR, (listing("bybit", "BTCUSDT"), listing("bybit", "ETHUSDT")), BYBIT_LISTED, BYBIT_PAGES),
    Case(BYBIT_INVERSE, (listing("bybit", "BTCUSD", **INVERSE),), BYBIT_LISTED, BYBIT_PAGES),
    Case(OKX, (listing("okx", "BTC-USDT-SWAP", unit=Fraction(1, 100)),), OKX_LISTED, OKX_PAGES),
    Case(
        BITGET,
        (listing("bitget", "BTCUSDT"), listing("bitget", "BTCPERP")),
        {"code": "00000", "data": [{"symbol": "X", "pricePlace": "1", "priceEndStep": "5", "maxLever": "150"}]},
        [{"code": "00000", "requestTime": (AT + 90) * 1000, "data": BITGET_ROWS}] * 2,
    ),
    Case(GATE_USDT, (listing("gate", "BTC_USDT", unit=Fraction(1, 10_000)),), GATE_LISTED, GATE_PAGES),
    Case(GATE_USD1, (listing("gate", "BTC_USD1", unit=Fraction(1, 10_000)),), GATE_LISTED, GATE_PAGES),
    Case(GATE_BTC, (listing("gate", "BTC_USD", **INVERSE),), GATE_LISTED, GATE_PAGES),
    Case(HTX_LINEAR, (listing("htx", "BTC-USDT", unit=Fraction(1, 1000)),), HTX_LISTED, HTX_PAGES),
    Case(HTX_COIN, (listing("htx", "BTC-USD", **INVERSE),), HTX_LISTED, HTX_PAGES),
    Case(
        KUCOIN,
        (listing("kucoin", "XBTUSDTM", unit=Fraction(1, 1000)),),
        {
            "code": "200000",
            "data": [
                {
                    "symbol": "XBTUSDTM",
                    "isInverse": False,
                    "multiplier": 0.001,
                    "tickSize": 0.1,
                    "maxLeverage": 125,
                    "status": "Open",
                    "openInterest": "9295921",
                }
            ],
        },
        [
            {"code": "200000", "data": rows}
            for rows in (
                [[AT * 1000, 10.5, 11, 10, 10.6, 3]],
                [{"symbol": "XBTUSDTM", "openInterest": "7", "ts": AT * 1000}],
                [{"symbol": "XBTUSDTM", "fundingRate": 2.26e-4, "timepoint": PAID * 1000}],
            )
        ],
    ),
    Case(
        MEXC,
        (listing("mexc", "BTC_USDT", unit=Fraction(1, 10_000)),),
        {
            "success": True,
            "data": [
                {
                    "symbol": "BTC_USDT",
                    "baseCoin": "BTC",
                    "settleCoin": "USDT",
                    "contractSize": 0.0001,
                    "priceUnit": 0.5,
                    "maxLeverage": 500,
                    "state": 0,
                }
            ],
        },
        (MEXC_PAGE, MEXC_PAGE),
    ),
    Case(
        BITFINEX,
        (listing("bitfinex", "tBTCF0:USTF0"),),
        [[["BTCF0:USTF0", [None, None, None, "0.0001", "100", None, None, None, 0.01, 0.005]]]],
        ([[AT * 1000, 10.5, 10.6, 11, 10, 3]], [BITFINEX_STATUS]),
    ),
)
