"""--accounts and --find-accounts: the file, and where they fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.clock import ManualClock
from liqscape.config import MAX_FOUND_ACCOUNTS, SourceConfig, parse_find_accounts
from liqscape.errors import ConfigError
from liqscape.feeds.accounts_file import MAX_FILE_BYTES, MAX_NAMED, read_accounts
from liqscape.feeds.build import build_source
from liqscape.feeds.exact import ReportsExact
from liqscape.feeds.venues.hyperliquid_accounts import address_of


def address(number: int) -> str:
    return f"0x{number:040x}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "accounts.txt"


def test_addresses_are_read_in_order_and_comments_and_empty_lines_left_out(file: Path) -> None:
    file.write_text(f"# desks\n\n  {address(0xAB).upper().replace('0X', '0x')}  # one\r\n{address(2)}\n#{address(3)}\n")

    assert read_accounts(file, address_of) == (address(0xAB), address(2))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"{address(1)}\n0x12\n", r"accounts\.txt, line 2: address '0x12' is none of Hyperliquid; it has 0x and 40"),
        (f"{address(1)} {address(2)}\n", r"line 1: address '0x0"),
        (
            f"{address(10)}\n\n{address(10).upper().replace('0X', '0x')}\n",
            "line 3 repeats line 1; name an account once",
        ),
        ("# nobody\n", "names no account; it has one address a line"),
        ("", "names no account"),
        ("#" * (MAX_FILE_BYTES + 1), f"more than {MAX_FILE_BYTES} bytes; at most {MAX_NAMED} addresses fit"),
    ],
)
def test_wrong_line_is_named_with_what_is_allowed(file: Path, text: str, error: str) -> None:
    file.write_text(text)

    with pytest.raises(ConfigError, match=error):
        read_accounts(file, address_of)


def test_most_accounts_are_read_and_one_more_is_refused(file: Path) -> None:
    file.write_text("\n".join(map(address, range(MAX_NAMED))))
    assert len(read_accounts(file, address_of)) == MAX_NAMED

    file.write_text("\n".join(map(address, range(MAX_NAMED + 1))))
    with pytest.raises(ConfigError, match="line 501: more than 500 accounts; that many are allowed"):
        read_accounts(file, address_of)


def test_file_that_is_absent_or_no_text_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_accounts(file, address_of)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no UTF-8 text"):
        read_accounts(file, address_of)


@pytest.mark.parametrize("text", ["-1", "501", "x", "", "1.5", "²"])
def test_number_of_accounts_to_find_is_bounded(text: str) -> None:
    assert parse_find_accounts("0") == 0
    assert parse_find_accounts("500") == MAX_FOUND_ACCOUNTS

    with pytest.raises(ConfigError, match="use a whole number from 0 to 500"):
        parse_find_accounts(text)


def build(**settings: object) -> object:
    return build_source(SourceConfig(**settings), ManualClock())  # type: ignore[arg-type]


def test_live_source_follows_accounts_where_a_venue_shows_them(file: Path) -> None:
    file.write_text(address(1))

    source = build(kind="live", venues=("hyperliquid", "binance-usdm"), symbols=("BTC",), accounts=file)

    assert isinstance(source, ReportsExact)
    assert source.exact() == ()  # nothing is asked before it runs


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (
            {"kind": "live", "venues": ("binance-usdm",)},
            "no venue that is listened to shows .*; those that do: hyperliq",
        ),
        ({"kind": "simulate"}, "accounts and find-accounts are of live venues; use --source live"),
        ({"kind": "history", "manifest": Path("m.toml")}, "use --source live"),
        ({"kind": "replay", "manifest": Path("f.jsonl")}, "use --source live"),
    ],
)
def test_accounts_where_nobody_can_be_asked_are_refused(file: Path, settings: dict[str, object], error: str) -> None:
    file.write_text(address(1))

    for wanted in ({"accounts": file}, {"find_accounts": 3}):
        with pytest.raises(ConfigError, match=error):
            build(**settings, **wanted)


def test_wrong_file_is_told_before_anybody_is_asked(file: Path) -> None:
    file.write_text("nonsense")

    with pytest.raises(ConfigError, match="line 1: address 'nonsense' is none of Hyperliquid"):
        build(kind="live", venues=("hyperliquid",), accounts=file)
