"""Real messages, as another reader of these venues made them into its own form: its results against ours.

The captures hold, for messages that a well-known library tests itself by, what it makes of them. Its trades, tickers
and liquidations are compared value by value; its order books and the like are not ours to read. Its side of a
liquidation is that of the closing order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import Event, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, Trade
from liqscape.feeds.venues.coinbase_intl import COINBASE_INTL
from liqscape.feeds.venues.cryptocom import CRYPTOCOM
from liqscape.feeds.venues.deribit import DERIBIT
from liqscape.feeds.venues.dialect import Listing, Reading, Venue, read_answer, read_message
from liqscape.feeds.venues.dydx import DYDX
from liqscape.feeds.venues.hyperliquid import HYPERLIQUID
from liqscape.feeds.venues.kraken import KRAKEN
from liqscape.feeds.venues.lighter import LIGHTER
from liqscape.feeds.venues.phemex import PHEMEX
from liqscape.feeds.venues.woox import WOOX
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all, replayed
from tests.unit.feeds.venues.hostile import check_event, mutations

DECIMALS = 8


@dataclass(frozen=True)
class Reader:
    """A venue whose messages were read twice.

    Attributes:
        venue: ours.
        folder: of the captures.
        markets: what the other reader calls it.
        is_inverse: by the venue's name of an instrument; counted in contracts of 1 in quote, as the other counts.
        agreed: values that both tell alike.
        coins: whether the other counts open interest in coins or contracts; else it repeats the venue's own worth in
            quote, and per cent of funding.
    """

    venue: Venue
    folder: str
    markets: tuple[str, ...]
    is_inverse: Callable[[str], bool]
    agreed: int
    coins: bool = True


READERS = (
    Reader(KRAKEN, "kraken_futures", ("cryptofacilities",), lambda name: not name.startswith("PF_"), agreed=13),
    Reader(DERIBIT, "deribit", ("deribit",), lambda name: "USDC" not in name, agreed=11),
    Reader(COINBASE_INTL, "coinbase_intl", ("coinbase-international",), lambda name: False, agreed=5),
    Reader(HYPERLIQUID, "hyperliquid", ("hyperliquid",), lambda name: False, agreed=5),
    Reader(DYDX, "dydx", ("dydx-v4",), lambda name: False, agreed=13),
    Reader(PHEMEX, "phemex", ("phemex",), lambda name: not name.endswith("USDT"), agreed=13),
    Reader(CRYPTOCOM, "cryptocom", ("crypto-com",), lambda name: False, agreed=17),
    Reader(WOOX, "woox", ("woo-x",), lambda name: False, agreed=8),
    Reader(LIGHTER, "lighter", ("lighter",), lambda name: False, agreed=4, coins=False),
)

OTHERWISE = {
    ("funding", "PI_LTCUSD"): "it tells the amount per contract, we the relative rate",
}
"""Kind and instrument of values that we read otherwise, with the reason."""

EACH = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.venue.name)


def listed(reader: Reader, name: str) -> Listing:
    if reader.is_inverse(name):
        return listing(
            reader.venue.instruments_of,
            name,
            contract="inverse",
            contract_value=Fraction(1),
            price_decimals=DECIMALS,
        )
    return listing(reader.venue.instruments_of, name, price_decimals=DECIMALS)


def read_twice(reader: Reader) -> list[tuple[bytes, list[dict[str, Any]]]]:
    """Return the messages that the other reader has read, with what it made of each."""
    found = []
    for line in captured(reader.folder, "INDEX.jsonl").read_text().splitlines():
        entry = json.loads(line)
        made = entry.get("tardis_normalised")
        if made and entry.get("market") in reader.markets:
            found.append((list(messages(reader.folder, entry["file"]))[entry["line"] - 1], made))
    return found


def ns(text: str) -> int:
    told = datetime.fromisoformat(text)
    return int(told.timestamp()) * 10**9 + told.microsecond * 1000


def units(value: float) -> int:
    return int(Fraction(repr(value)) * 10**8)


def compared(event: Event) -> tuple[Any, ...] | None:
    """Return an event in a form that both readers' results have."""
    name = event.instrument_id.partition(":")[2] if not hasattr(event, "render") else ""
    if isinstance(event, Trade):
        return ("trade", name, event.time_ns // 1000, event.price, event.quantity, event.taker_side.value)
    if isinstance(event, Liquidation):
        closing = "sell" if event.position_side is PositionSide.LONG else "buy"
        return ("liquidation", name, event.time_ns // 1000, event.price, event.quantity, closing)
    if isinstance(event, MarkPrice):
        return ("mark", name, event.price)
    if isinstance(event, OpenInterest):
        return ("open interest", name, event.quantity)
    if isinstance(event, Funding):
        return ("funding", name, event.rate_ppb)
    return None


def of_the_other(made: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for each in made:
        name = each["symbol"]
        if each["type"] in ("trade", "liquidation"):
            at = ns(each["timestamp"]) // 1000
            found.append((each["type"], name, at, units(each["price"]), units(each["amount"]), each["side"]))
        elif each["type"] == "derivative_ticker":
            if each["markPrice"] is not None:
                found.append(("mark", name, units(each["markPrice"])))
            if each["openInterest"]:
                found.append(("open interest", name, units(each["openInterest"])))
            if each["fundingRate"] is not None:
                found.append(("funding", name, int(Fraction(repr(each["fundingRate"])) * 10**9 // 1)))
    return found


@pytest.mark.recorded
@EACH
def test_both_readers_agree_on_every_value_that_ours_tells(reader: Reader) -> None:
    twice = read_twice(reader)
    assert twice

    agreed = 0
    for message, made in twice:
        names = sorted({each["symbol"] for each in made})
        dialect = reader.venue.dialect([listed(reader, name) for name in names])
        if reader.venue is HYPERLIQUID:  # the first trades are taken for old ones by both readers
            read_all(dialect, [orjson.dumps({"channel": "trades", "data": [{"coin": name} for name in names]})])
        read = read_all(dialect, [message])
        ours = [told for event in read.events if (told := compared(event)) is not None]
        theirs = of_the_other(made)

        assert not read.rejected
        theirs = [told for told in theirs if told[:2] not in OTHERWISE and told[1].encode() in message]
        # Their tickers are the state so far, and not every message is one: what only one of the two tells is no
        # disagreement. Every value of a kind that both tell of an instrument must be the same.
        both = {told[:2] for told in theirs} & {told[:2] for told in ours}
        if not reader.coins:
            both = {key for key in both if key[0] in ("trade", "liquidation", "mark")}
        for told in ours:
            if told[:2] in both:
                assert told in theirs, message[:200]
                agreed += 1
        for told in theirs:
            if told[0] in ("trade", "liquidation"):
                assert told in ours, message[:200]
                agreed += 1
    assert agreed == reader.agreed


@pytest.mark.recorded
@EACH
def test_real_messages_made_hostile_raise_nothing_and_make_no_absurd_event(reader: Reader) -> None:
    folder = captured(reader.folder)
    files = sorted(each.name for each in folder.glob("*.jsonl") if each.name.count(".") == 1)
    said = [
        message
        for name in files
        if not name.startswith(("INDEX", "replay"))
        for message in messages(reader.folder, name)
        if len(message) < 2000
    ]
    names = sorted({name for message in said for name in _names(orjson.loads(message))})

    @given(mutations(said), st.integers(0, 3))
    def check(sent: list[bytes], begun: int) -> None:
        into, dialect = Reading(), reader.venue.dialect([listed(reader, name) for name in names])
        for message in sent[begun:]:
            read_message(dialect, message, RECEIVE_NS, into)
        for event in into.events:
            check_event(event)

    check()


@pytest.mark.recorded
@EACH
def test_every_real_message_leaves_a_trace(reader: Reader) -> None:
    dialect = reader.venue.dialect([listed(reader, "BTC")])
    for file in captured(reader.folder).glob("*.jsonl"):
        if file.name == "INDEX.jsonl" or file.name.endswith(".node.jsonl"):
            continue
        said = (
            (message for _, message in replayed(reader.folder, file.name))
            if file.name.startswith("replay")
            else messages(reader.folder, file.name)
        )
        for message in said:
            into = Reading()
            if file.name.endswith(".rest.jsonl"):
                read_answer(dialect, dialect.polls[0], message, RECEIVE_NS, into)
            else:
                read_message(dialect, message, RECEIVE_NS, into)
            traces = (into.events, into.rejected, into.ignored, into.acknowledged, into.refused, into.listings)
            assert any(traces) or into.heartbeats, (file.name, message[:200])


def _names(said: object) -> set[str]:
    """Return every text that a message uses as the name of an instrument."""
    keys = ("product_id", "instrument_name", "coin", "symbol", "s", "id")
    if isinstance(said, list):
        return {name for each in said for name in _names(each)}
    if not isinstance(said, dict):
        return set()
    found = {name for each in said.values() for name in _names(each)}
    return found | {said[key] for key in keys if isinstance(said.get(key), str) and said[key]}
