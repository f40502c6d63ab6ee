"""The list of products of Coinbase Derivatives, made up and real."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.events import Funding, OpenInterest
from liqscape.feeds.venues.coinbase_derivatives import COINBASE_DERIVATIVES
from liqscape.feeds.venues.dialect import Dialect, Reading, VenueListing, read_answer
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, read_all
from tests.unit.feeds.venues.hostile import check_event, mutations

BIP = "coinbase_derivatives:BIP-20DEC30-CDE"

DETAILS = {
    "contract_size": "0.01",
    "open_interest": "183283",
    "funding_rate": "0.000013",
    "funding_interval": "3600s",
    "intraday_margin_rate": {"long_margin_rate": "0.1000185", "short_margin_rate": "0.1000008"},
}

PRODUCT = {
    "product_id": "BIP-20DEC30-CDE",
    "price_increment": "5",
    "trading_disabled": False,
    "future_product_details": DETAILS,
}


def dialect(unit: Fraction = Fraction(1, 100)) -> Dialect:
    return COINBASE_DERIVATIVES.dialect(
        [listing("coinbase_derivatives", "BIP-20DEC30-CDE", price_decimals=0, unit=unit)]
    )


def answered(made: Dialect, poll: int, body: bytes) -> Reading:
    into = Reading()
    read_answer(made, made.polls[poll], body, RECEIVE_NS, into)
    return into


def products(*rows: object) -> bytes:
    return orjson.dumps({"products": list(rows)})


def test_contracts_open_become_coins() -> None:
    assert answered(dialect(), 1, products(PRODUCT)).events == [
        OpenInterest(BIP, RECEIVE_NS, 183_283_000_000),
        Funding(BIP, RECEIVE_NS, 13_000, 1),
    ]


def test_other_size_of_contract_is_refused_and_takes_no_good_one_with_it() -> None:
    other = {**PRODUCT, "future_product_details": {**DETAILS, "contract_size": "0.1"}}
    dated = {**PRODUCT, "future_product_details": {**DETAILS, "funding_rate": ""}}

    read = answered(dialect(), 1, products(other, {**PRODUCT, "product_id": "BIT-24APR26-CDE"}, dated))

    assert [each.reason for each in read.rejected] == ["contract size"]
    assert read.events == [OpenInterest(BIP, RECEIVE_NS, 183_283_000_000)]
    assert read.ignored == {"other instrument": 1}


def test_listings_and_refusals() -> None:
    made = dialect()

    read = answered(made, 0, products(PRODUCT, {}))

    assert read.listings == [VenueListing("BIP-20DEC30-CDE", Fraction(1, 100), Fraction(5), 9, True)]
    assert len(read.rejected) == 1
    assert answered(made, 1, b'{"error":"too many"}').refused == ["{'error': 'too many'}"]


def test_there_is_no_connection() -> None:
    assert not dialect().endpoints
    assert [each.reason for each in read_all(dialect(), [b"{}"]).rejected] == ["unknown message"]


@given(mutations([{"products": [PRODUCT, PRODUCT]}]))
def test_hostile_answers_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    for body in sent:
        for poll in (0, 1):
            for event in answered(dialect(), poll, body).events:
                check_event(event)


@pytest.mark.recorded
def test_real_list_of_products() -> None:
    (body,) = captured("coinbase_derivatives", "instruments.rest.jsonl").read_bytes().splitlines()

    read, listings = answered(dialect(), 1, body), answered(dialect(), 0, body)

    assert not read.rejected
    assert read.events == [OpenInterest(BIP, RECEIVE_NS, 183_283_000_000), Funding(BIP, RECEIVE_NS, 13_000, 1)]
    assert listings.listings[0] == VenueListing("BIP-20DEC30-CDE", Fraction(1, 100), Fraction(5), 9, True)
    assert not listings.rejected
