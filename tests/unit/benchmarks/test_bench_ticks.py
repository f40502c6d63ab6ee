"""Time is counted where it is spent, and copies of a market are markets of their own."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import bench_ticks, report
from benchmarks.bench_ticks import PARTS, Stopwatch, summarise
from benchmarks.many_markets import Market, renamed, scaled
from benchmarks.year_book import MIDNIGHT_MINUTE
from liqscape.axes import MINUTE_NS
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.events import Candle, MarkPrice, OpenInterest, TickEnd, Trade
from liqscape.feeds.simulate import PastSpan
from liqscape.instruments import find_instrument

BTC = find_instrument("binance:BTCUSDT")


class Worker:
    """Something to watch."""

    def work(self, amount: int, *, twice: bool = False) -> int:
        return amount * (1 + twice)


def test_watched_method_works_as_before_and_is_counted() -> None:
    watch = Stopwatch()
    original = Worker.work

    with watch.watching(Worker, "work", "part"):
        result = Worker().work(3, twice=True)

    assert result == 6
    assert watch.seconds["part"] > 0
    assert Worker.work is original


def test_method_is_restored_after_a_failure() -> None:
    original = Worker.work

    with pytest.raises(TypeError), Stopwatch().watching(Worker, "work", "part"):
        Worker().work("a", twice=None)  # type: ignore[arg-type]

    assert Worker.work is original


def test_late_ticks_and_parts_are_summed_up() -> None:
    parts = np.zeros((4, len(PARTS) + 2))
    parts[:, PARTS.index("grids")] = (1, 200, 1, 300)
    parts[:, PARTS.index("encode")] = 1
    parts[:, len(PARTS)] = (3, 203, 3, 303)
    parts[:, -1] = 0.5
    rolled = np.array([False, True, False, True])

    found = summarise(
        parts, rolled, symbols=2, instruments=6, ledger_events=10, live_cohorts=5, build_seconds=1.0, wrong=[]
    )

    assert (found.ticks, found.late_share, found.rolls, found.late_rolls) == (4, 0.25, 2, 1)
    assert (found.p50, found.p99, found.most, found.roll_p50) == (203, 303, 303, 303)
    assert found.part_ms["grids"] == pytest.approx(125.5)
    assert found.part_ms["rest"] == pytest.approx((1 + 2 + 1 + 2) / 4)
    assert found.part_roll_ms["grids"] == pytest.approx(250)
    assert found.events_ms == pytest.approx(0.5)


def test_parts_are_named_from_the_largest_on() -> None:
    assert bench_ticks.by_part({"book": 1.0, "grids": 3.0, "log": 0.001}) == "grids 3.00 ms (75%), book 1.00 ms (25%)"


def test_renamed_copies_are_instruments_of_their_own() -> None:
    first, second = renamed(BTC, "BTC3", 1), renamed(BTC, "BTC3", 2)

    assert (first.instrument_id, first.symbol) == ("binance:BTC3USDT", "BTC3")
    assert (second.instrument_id, second.symbol) == ("binance2:BTC3USDT", "BTC3")
    assert renamed(BTC, "BTC", 1) == BTC


def test_quantities_of_a_copy_are_divided_and_prices_are_not() -> None:
    candle = Candle("a", 0, 1, 10, 12, 9, 11, quantity=7, taker_buy_quantity=5)
    mark = MarkPrice("a", 0, 9)

    assert scaled(candle, 2) == Candle("a", 0, 1, 10, 12, 9, 11, quantity=3, taker_buy_quantity=2)
    assert scaled(OpenInterest("a", 0, 9), 3) == OpenInterest("a", 0, 3)
    assert scaled(mark, 2) is mark
    assert scaled(candle, 1) is candle


@pytest.mark.slow
def test_market_says_the_same_of_each_of_its_instruments() -> None:
    market = Market(2, 3, (PastSpan(60, 60),), 250, MIDNIGHT_MINUTE * MINUTE_NS)

    steps = list(market.ticks(20))

    assert market.symbol == "BTC2"
    assert len({i.instrument_id for i in market.instruments}) == 3
    assert sum(end.render for _, end in steps) == 20
    assert all(isinstance(end, TickEnd) for _, end in steps)
    events = [e for said, _ in steps for e in said if not isinstance(e, TickEnd)]
    said_of = [[e for e in events if e.instrument_id == i.instrument_id] for i in market.instruments]
    assert len(said_of[0]) > 20
    assert [type(e) for e in said_of[0]] == [type(e) for e in said_of[1]] == [type(e) for e in said_of[2]]
    prices = [[e.price for e in said if isinstance(e, Trade | MarkPrice)] for said in said_of]
    assert prices[0] == prices[1] == prices[2]


@pytest.mark.slow
def test_small_run_is_printed_and_not_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "store", lambda *_: pytest.fail("a partial run was stored"))
    monkeypatch.setitem(bench_ticks.PASTS, "coarse", (PastSpan(2880, 60),))

    status = bench_ticks.main(("--symbols", "2", "--instruments", "2", "--minutes", "1"))

    assert status == 0
    assert "2 symbols of 2 instruments, ticks over 250 ms" in capsys.readouterr().out


@pytest.mark.slow
def test_grid_that_differs_ends_the_run_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(bench_ticks.PASTS, "coarse", (PastSpan(2880, 60),))
    monkeypatch.setattr(StreamEncoder, "levels", lambda *_: np.zeros(1, np.uint8))

    status = bench_ticks.main(("--symbols", "1", "--instruments", "1", "--minutes", "1"))

    assert status == 1
    assert "levels of BTC 12h differ" in capsys.readouterr().err
