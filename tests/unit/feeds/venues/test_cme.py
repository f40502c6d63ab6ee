"""The daily file of CME."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.feeds.venues.cme import (
    COLUMNS,
    AssumedPosition,
    DailyContext,
    DailyRow,
    assumed,
    contexts_of,
    read_daily_file,
)
from liqscape.feeds.venues.dialect import Reading, Unreadable
from tests.unit.feeds.venues.captured import captured

FIRST = ",".join(COLUMNS)

DAY = date(2026, 11, 20)

KNOWN_NS = 1_795_233_600 * 10**9
"""2026-11-21 04:00 UTC."""


def read(*lines: str) -> tuple[tuple[DailyRow, ...], Reading]:
    into = Reading()
    return read_daily_file("\n".join([FIRST, *lines]).encode(), into), into


def test_rows_are_read_as_written() -> None:
    rows, into = read("2026-11-20,BTC,2026-11,64310.5,8123,21034,F", "2026-11-20,MBT,2026-12,,5,0,P", "")

    assert rows == (
        DailyRow(DAY, "BTC", "2026-11", Fraction(128621, 2), 8123, 21034, True),
        DailyRow(DAY, "MBT", "2026-12", None, 5, 0, False),
    )
    assert not into.rejected


def test_context_sums_coins_and_takes_the_settlement_of_the_largest_month() -> None:
    rows, _ = read(
        "2026-11-20,BTC,2026-11,64310,8123,21034,F",
        "2026-11-20,BTC,2026-12,64900,10,100,F",
        "2026-11-20,MBT,2026-11,64310,1,25000,P",
        "2026-11-20,ETH,2026-11,3100,1,1000,F",
        "2026-11-19,BTC,2026-11,64000,1,20000,F",
    )

    assert contexts_of(rows) == (
        DailyContext("BTC", date(2026, 11, 19), KNOWN_NS - 86_400 * 10**9, 100_000 * 10**8, Fraction(64000), True),
        DailyContext("BTC", DAY, KNOWN_NS, 108_170 * 10**8, Fraction(64310), False),
        DailyContext("ETH", DAY, KNOWN_NS, 50_000 * 10**8, Fraction(3100), True),
    )


def test_final_number_replaces_the_preliminary_one_whatever_the_order() -> None:
    preliminary, final = "2026-11-20,BTC,2026-11,64310,1,100,P", "2026-11-20,BTC,2026-11,64320,1,90,F"

    for lines in ((preliminary, final), (final, preliminary)):
        (context,) = contexts_of(read(*lines)[0])
        assert (context.open_interest, context.is_final) == (450 * 10**8, True)
        assert context.label == "CME, 2026-11-20, daily report, final"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2026-11-20,BTC,2026-11,-1,1,1,F", "price"),
        ("2026-11-20,BTC,2026-11,NaN,1,1,F", "malformed"),
        ("2026-11-20,BTC,2026-11,64310,1,-1,F", "contracts"),
        ("2026-11-20,BTC,2026-11,64310,1,9999999999,F", "contracts"),
        ("2026-11-20,BTC,2026-11,64310,1,1,X", "status"),
        ("9999-12-31,BTC,2026-11,64310,1,1,F", "trade date"),
        ("20 Nov,BTC,2026-11,64310,1,1,F", "malformed"),
        ("2026-11-20,BTC,,64310,1,1,F", "contract month"),
        ("2026-11-20,BTC,2026-11,64310,1,1", "malformed"),
    ],
)
def test_bad_row_is_counted_and_takes_no_good_one_with_it(line: str, reason: str) -> None:
    good = "2026-11-20,BTC,2026-11,64310,1,1,F"

    rows, into = read(good, line, "2026-11-20,CL,2026-11,60,1,1,F", good)

    assert len(rows) == 2
    assert [each.reason for each in into.rejected] == [reason]
    assert into.ignored == {"other product": 1}


@pytest.mark.parametrize("body", [b"", b"a,b", b"\xff\xfe", b'"', b"x" * ((8 << 20) + 1)])
def test_what_is_no_daily_file_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_daily_file(body, Reading())


def test_nothing_is_on_the_map_but_under_an_assumption_that_says_so() -> None:
    context = DailyContext("BTC", DAY, KNOWN_NS, 5 * 10**8, Fraction(60000), True)

    long, short = assumed(context, 3)

    label = "CME, 2026-11-20, daily report, final; 3x assumed"
    assert long == AssumedPosition("BTC", PositionSide.LONG, 5 * 10**8, Fraction(60000), 3, Fraction(40000), label)
    assert (short.side, short.liquidation_price) == (PositionSide.SHORT, Fraction(80000))
    for leverage in (0, 1, 21):
        with pytest.raises(InvalidArgument, match="2 to 20"):
            assumed(context, leverage)


def test_context_without_settlement_or_contracts_has_no_positions() -> None:
    rows, _ = read("2026-11-20,BTC,2026-11,,1,7,F", "2026-11-20,ETH,2026-11,3100,1,0,F")

    assert [assumed(context, 2) for context in contexts_of(rows)] == [(), ()]


@given(st.text(max_size=300) | st.lists(st.text('0123456789-,.BTCPF"\n', max_size=40), max_size=5).map("\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    for body in (text.encode(), f"{FIRST}\n{text}".encode()):
        try:
            rows = read_daily_file(body, Reading())
        except Unreadable:
            continue
        assert all(context.open_interest >= 0 for context in contexts_of(rows))


@pytest.mark.recorded
def test_real_answer_of_the_web_page_is_no_daily_file() -> None:
    (body,) = captured("cme", "instruments.rest.jsonl").read_bytes().splitlines()

    with pytest.raises(Unreadable, match="no daily file"):
        read_daily_file(body, Reading())
