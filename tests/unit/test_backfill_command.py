"""The backfill command: what it takes, what it says, and what its status means."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.__main__ import EXIT_USAGE, main
from liqscape.backfill_command import coverage_lines, run_lines
from liqscape.feeds.backfill.coverage import Coverage
from liqscape.feeds.backfill.page_store import PageStore, SeriesKey
from liqscape.feeds.backfill.run import Backfill, VenueProgress
from liqscape.feeds.backfill.spans import Span
from liqscape.feeds.live.transport import Answer, Socket
from liqscape.feeds.venues.binance_history import CANDLES
from liqscape.feeds.venues.dialect import Request
from tests.unit.feeds.backfill.jumping_time import JumpingTime

MINUTE = 60_000_000_000
KEY = SeriesKey("binance-usdm", "BTCUSDT", "candles 1m")
BEGIN = 29_900_160 * MINUTE
"""2026-11-07 00:00 UTC."""


class NoTransport:
    async def connect(self, url: str, ping_s: float | None) -> Socket:
        raise NotImplementedError

    async def request(self, request: Request) -> Answer:
        raise NotImplementedError


def covered(rows: int, *gaps: Span, unasked: tuple[Span, ...] = (), damaged: int = 0) -> Coverage:
    wanted = Span(BEGIN, BEGIN + 1_000 * MINUTE)
    first, last = (BEGIN, BEGIN + 999 * MINUTE) if rows else (None, None)
    return Coverage(KEY, CANDLES, wanted, rows, first, last, unasked, gaps, damaged)


def minutes(first: int, length: int) -> Span:
    return Span(BEGIN + first * MINUTE, BEGIN + (first + length) * MINUTE)


def test_coverage_is_told_with_the_longest_gaps_and_what_was_not_fetched() -> None:
    gaps = [minutes(10, 1), minutes(20, 5), minutes(40, 2), minutes(60, 3), minutes(80, 1)]

    lines = coverage_lines(covered(988, *gaps, unasked=(minutes(990, 10),), damaged=2))

    assert lines == [
        "binance-usdm BTCUSDT candles 1m: 988 rows, 2026-11-07 00:00 to 2026-11-07 16:39, 98.8 % of what was asked for",
        "  gap: 2026-11-07 00:20 to 2026-11-07 00:25",
        "  gap: 2026-11-07 01:00 to 2026-11-07 01:03",
        "  gap: 2026-11-07 00:40 to 2026-11-07 00:42",
        "  and 2 more gaps, none longer",
        "  not fetched: 2026-11-07 16:30 to 2026-11-07 16:40",
        "  DAMAGED: 2 pages",
    ]


def test_series_without_a_row_says_so() -> None:
    assert coverage_lines(covered(0)) == ["binance-usdm BTCUSDT candles 1m: nothing"]
    assert coverage_lines(covered(0, damaged=1)) == ["binance-usdm BTCUSDT candles 1m: nothing; 1 damaged pages"]


def test_run_tells_what_failed_and_what_was_dropped(tmp_path: Path) -> None:
    ran = Backfill(PageStore(tmp_path, read_only=True), NoTransport(), JumpingTime(BEGIN))
    ran.progress = {
        "bybit": VenueProgress(5, 5, 4_200, {"told twice": 3}, {"HTTP 502": 2}),
        "okx": VenueProgress(4, 4, refused="HTTP 451: no"),
    }
    ran.set_aside = [Path("x.page.damaged")]

    assert run_lines(ran) == [
        "bybit: 4,200 rows of 5 pages",
        "  FAILED: 2 pages: HTTP 502",
        "  dropped: 3 rows: told twice",
        "okx: 0 rows of 4 pages",
        "  REFUSED: HTTP 451: no",
        "DAMAGED, fetched anew, what was there is in x.page.damaged",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--days", "0"), "days '0' is invalid; use a whole number from 1 to 3650"),
        (("--days", "many"), "days 'many' is invalid"),
        (("--venues", "mtgox"), "venue 'mtgox' is unknown"),
        (("--symbols", "NOCOIN"), "symbol 'NOCOIN' is unknown"),
        (("--relay", "ftp://x"), "relay 'ftp://x' is invalid"),
    ],
)
def test_wrong_argument_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    data = tmp_path / "data"

    assert main(("backfill", "--data", str(data), *arguments)) == EXIT_USAGE
    assert message in capsys.readouterr().err
    assert not data.exists()


def test_report_of_an_empty_folder_asks_nobody_and_finds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("backfill", "--data", str(tmp_path), "--report", "--venues", "binance-coinm", "--symbols", "BTC")

    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"binance-coinm BTCUSD_PERP {series}: nothing"
        for series in ("candles 1m", "mark 1m", "open interest 5m", "funding")
    ]
    assert list(tmp_path.iterdir()) == []


def test_documented_list_of_what_venues_keep_is_what_the_code_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("backfill", "--list")) == 0

    text = capsys.readouterr().out
    assert text in (Path(__file__).parents[2] / "docs" / "backfill.md").read_text("utf-8")
    assert "| `binance-usdm` | 1 min | 1 min | 5 min (29 days) | yes |" in text
    assert "| `hyperliquid` | 1 min (3.47 days), 1 h (208 days) | - | - | yes |" in text


def test_folder_is_needed_for_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("backfill", "--days", "3")) == EXIT_USAGE
    assert "backfill needs --data DIR, or --list" in capsys.readouterr().err
