"""The daily file of CME."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.errors import ConfigError
from liqscape.feeds.venues.cme import (
    COLUMNS,
    DailyContext,
    DailyFile,
    DailyMonth,
    DailyRow,
    contexts_of,
    read_daily_file,
)
from tests.unit.feeds.venues.captured import captured

FIRST = ",".join(COLUMNS)

DAY = date(2026, 11, 20)

LATEST = date(2026, 11, 26)

KNOWN_NS = 1_795_233_600 * 10**9
"""2026-11-21 04:00 UTC."""

GOOD = "2026-11-20,BTC,2026-11,64310,1,1,F"


def read(*lines: str) -> DailyFile:
    return read_daily_file("\n".join([FIRST, *lines]).encode(), LATEST)


def days(*lines: str) -> tuple[DailyContext, ...]:
    """Return the days of BTC."""
    return contexts_of(read(*lines).rows)["BTC"]


def test_rows_are_read_as_written_and_those_of_other_products_counted() -> None:
    found = read(
        "2026-11-20,BTC,2026-11,64310.5,8123,21034,F",
        "2026-11-20,CL,2026-12,61.2,x,-1,?",
        "2026-11-20,MBT,2026-12,,5,0,P",
        "",
    )

    assert found == DailyFile(
        (
            DailyRow(DAY, "BTC", "2026-11", Fraction(128621, 2), 8123, 21034, True),
            DailyRow(DAY, "MBT", "2026-12", None, 5, 0, False),
        ),
        ignored=1,
    )


def test_a_day_sums_coins_takes_the_settlement_of_the_largest_month_and_is_final_when_all_of_it_is() -> None:
    found = contexts_of(
        read(
            "2026-11-20,BTC,2026-11,64310,8123,21034,F",
            "2026-11-20,BTC,2026-12,64900,10,100,F",
            "2026-11-20,MBT,2026-11,64311,1,25003,P",
            "2026-11-20,ETH,2026-11,3100,1,1000,F",
        ).rows
    )

    (btc,), (eth,) = found["BTC"], found["ETH"]
    assert (btc.symbol, btc.trade_date, btc.open_interest, btc.settle, btc.is_final) == (
        "BTC",
        DAY,
        10_817_030_000_000,
        Fraction(64310),
        False,
    )
    assert (btc.previous, btc.change, [month.change for month in btc.months]) == (None, None, [None, None, None])
    assert (btc.as_of_ns, btc.known_ns) == (KNOWN_NS - 6 * 3600 * 10**9, KNOWN_NS)
    assert (eth.open_interest, eth.settle, eth.is_final) == (50_000 * 10**8, Fraction(3100), True)
    assert (btc.label, eth.label) == (
        "CME, 2026-11-20, daily report, preliminary",
        "CME, 2026-11-20, daily report, final",
    )


def test_change_is_against_the_day_before_and_of_products_that_both_days_tell() -> None:
    friday, monday = days(
        "2026-11-20,BTC,2026-11,64310,1,20000,F",
        "2026-11-20,BTC,2026-12,64900,1,100,F",
        "2026-11-23,BTC,2026-12,66000,1,300,F",
        "2026-11-23,BTC,2027-01,66500,1,19000,F",
        "2026-11-23,MBT,2026-12,66000,1,70000,F",
    )

    assert friday.change is None
    assert (monday.previous, monday.change) == (DAY, Fraction(5 * (19_300 - 20_100)))
    assert [(m.row.product, m.row.contract_month, m.change) for m in monday.months] == [
        ("BTC", "2026-12", 200),
        ("BTC", "2027-01", 19_000),
        ("MBT", "2026-12", None),
    ]
    assert monday.months[0] == DailyMonth(
        DailyRow(date(2026, 11, 23), "BTC", "2026-12", Fraction(66000), 1, 300, True), 200
    )


def test_final_number_replaces_the_preliminary_one_whatever_the_order() -> None:
    preliminary, final = "2026-11-20,BTC,2026-11,64310,1,100,P", "2026-11-20,BTC,2026-11,64320,1,90,F"

    for lines in ((preliminary, final), (final, preliminary)):
        (day,) = days(*lines)
        assert (day.open_interest, day.settle, day.is_final) == (450 * 10**8, Fraction(64320), True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2026-11-20,BTC,2026-11,-1,1,1,F", "line 3, column settle: '-1' is not allowed; use US dollars above 0"),
        ("2026-11-20,BTC,2026-11,0,1,1,F", "column settle: '0'"),
        ("2026-11-20,BTC,2026-11,NaN,1,1,F", "column settle: 'NaN'"),
        ("2026-11-20,BTC,2026-11,6e4,1,1,F", "column settle: '6e4'"),
        (
            "2026-11-20,BTC,2026-11,64310,1.5,1,F",
            "column volume: '1.5' is not allowed; use a whole number of contracts",
        ),
        ("2026-11-20,BTC,2026-11,64310,1,-1,F", "column open_interest: '-1'"),
        ("2026-11-20,BTC,2026-11,64310,1,1000000001,F", "from 0 to 1000000000"),
        ("2026-11-20,BTC,2026-11,64310,1,\u0661,F", "column open_interest"),
        ("2026-11-20,BTC,2026-11,64310,1,1,X", "column status: 'X' is not allowed; use P (preliminary) or F (final)"),
        ("2026-11-27,BTC,2026-11,64310,1,1,F", "column trade_date: '2026-11-27' is not allowed"),
        ("2016-12-30,BTC,2026-11,64310,1,1,F", "a day as YYYY-MM-DD from 2017-01-01 to 2026-11-26"),
        ("2026-11-31,BTC,2026-11,64310,1,1,F", "column trade_date: '2026-11-31'"),
        ("20261120,BTC,2026-11,64310,1,1,F", "column trade_date: '20261120'"),
        ("2026-11-20,BTC,NOV26,64310,1,1,F", "column contract_month: 'NOV26' is not allowed; use a month as YYYY-MM"),
        ("2026-11-20,BTC,2026-10,64310,1,1,F", "a month as YYYY-MM, that of the trading day or one of 120 later"),
        ("2026-11-20,BTC,2036-12,64310,1,1,F", "column contract_month: '2036-12'"),
        ("2026-11-20,BTC,2026-11,64310,1,1", "line 3 has 6 columns; there are 7: trade_date,product"),
        (f'"{GOOD}', "line 3: unexpected end of data"),
    ],
)
def test_a_bad_row_refuses_the_file_and_names_line_column_and_what_is_allowed(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(GOOD, line)

    assert said in str(refusal.value)


@pytest.mark.parametrize("body", [b"", b"a,b", b"\xff\xfe", b'"', f"{FIRST},more".encode(), b"x" * ((8 << 20) + 1)])
def test_what_is_no_daily_file_is_refused(body: bytes) -> None:
    with pytest.raises(ConfigError):
        read_daily_file(body, LATEST)


def test_day_that_was_not_settled_or_has_no_contracts_has_no_settlement() -> None:
    found = contexts_of(read("2026-11-20,BTC,2026-11,,1,7,F", "2026-11-20,ETH,2026-11,3100,1,0,F").rows)

    assert [found[symbol][0].settle for symbol in ("BTC", "ETH")] == [None, None]


@given(st.text(max_size=300) | st.lists(st.text('0123456789-,.BTCPF"\n', max_size=40), max_size=5).map("\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    for body in (text.encode(), f"{FIRST}\n{text}".encode()):
        try:
            found = read_daily_file(body, LATEST)
        except ConfigError:
            continue
        assert all(day.open_interest >= 0 for every in contexts_of(found.rows).values() for day in every)


@pytest.mark.recorded
def test_real_answer_of_the_web_page_is_no_daily_file() -> None:
    (body,) = captured("cme", "instruments.rest.jsonl").read_bytes().splitlines()

    with pytest.raises(ConfigError, match=r"line 1: .*; use trade_date,product"):
        read_daily_file(body, LATEST)
