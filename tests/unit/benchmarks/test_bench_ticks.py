"""Time is counted where it is spent, and copies of a market are markets of their own."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import bench_ticks, report
from benchmarks.bench_ticks import Spread, summarise
from benchmarks.many_markets import Market, largest_venues, renamed, scaled
from benchmarks.tick_work import BESIDE, CHECK_EVERY_TICKS, PARTS, Stopwatch
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


def some_run(ticks: int = 4) -> bench_ticks.Run:
    times = {name: np.zeros(ticks) for name in ("tick", "events", *PARTS, *BESIDE)}
    times["grids"][:] = np.resize((1, 200, 1, 300), ticks)
    times["view"][:] = 1
    times["tick"][:] = np.resize((3, 203, 3, 303), ticks)
    times["events"][:] = 2
    times["encoding"][:] = np.resize((10, 20, 10, 40), ticks)
    times["self-check"][::CHECK_EVERY_TICKS] = 80
    return summarise(
        times,
        np.resize((0, 1, 0, 4), ticks),
        symbols=2,
        instruments=6,
        ledger_events=10,
        live_cohorts=5,
        build_seconds=1.0,
        peak_mib=100.0,
        merge_seconds=2.0,
        wrong=[],
    )


def test_late_ticks_and_parts_are_summed_up() -> None:
    found = some_run()

    assert found.ticks == Spread(4, 128.0, 203.0, 303.0, 303.0)
    assert (found.late, found.late_rolling, found.most_rolls) == (1, 1, 4)
    assert found.rolling == Spread(2, 253.0, 303.0, 303.0, 303.0)
    assert found.part_ms["grids"] == pytest.approx(125.5)
    assert found.part_ms["rest"] == pytest.approx((1 + 2 + 1 + 2) / 4)
    assert found.part_rolling_ms["grids"] == pytest.approx(250)


def test_what_runs_beside_a_tick_is_no_part_of_it_but_of_all_together() -> None:
    found = some_run(4 * CHECK_EVERY_TICKS)

    assert found.beside["encoding"] == Spread(4 * CHECK_EVERY_TICKS, 20.0, 20.0, 40.0, 40.0)
    assert found.beside["self-check"] == Spread(4, 80.0, 80.0, 80.0, 80.0)
    assert found.ticks.mean == 128.0
    assert found.together_share == pytest.approx((128 + 2 + 20 + 80 / CHECK_EVERY_TICKS) / 250)


def test_figures_say_each_thing_once() -> None:
    figures = bench_ticks.figures_of(some_run())

    assert figures["ticks over 250 ms"] == "25.00% of 4"
    assert figures["a tick, p50 / p99 / max"] == "203.0 / 303.0 / 303 ms"
    assert figures["beside: merging all logs (each hour)"] == "2.0 s"


def test_times_of_nothing_are_zero() -> None:
    assert Spread.of(np.zeros(0)) == Spread(0, 0.0, 0.0, 0.0, 0.0)


def test_parts_are_named_from_the_largest_on() -> None:
    assert bench_ticks.by_part({"book": 1.0, "grids": 3.0, "log": 0.001}) == "grids 3.00 ms (75%), book 1.00 ms (25%)"


def test_renamed_copies_are_instruments_of_their_own() -> None:
    first, second = renamed(BTC, "BTC3", 1), renamed(BTC, "BTC3", 2)

    assert (first.instrument_id, first.symbol) == ("binance:BTC3USDT", "BTC3")
    assert (second.instrument_id, second.symbol) == ("binance2:BTC3USDT", "BTC3")
    assert renamed(BTC, "BTC", 1) == BTC


def test_instruments_of_all_symbols_differ_whatever_a_venue_calls_its_coin() -> None:
    venues = largest_venues("BTC")
    names = [renamed(i, symbol, copy).instrument_id for i in venues for symbol in ("BTC", "BTC2") for copy in (1, 2)]

    assert venues[0] == BTC
    assert len(venues) >= 5
    assert len(set(names)) == len(names)


def test_quantities_of_a_copy_are_divided_and_prices_are_not() -> None:
    candle = Candle("a", 0, 1, 10, 12, 9, 11, quantity=7, taker_buy_quantity=5)
    mark = MarkPrice("a", 0, 9)

    assert scaled(candle, 2) == Candle("a", 0, 1, 10, 12, 9, 11, quantity=3, taker_buy_quantity=2)
    assert scaled(OpenInterest("a", 0, 9), 3) == OpenInterest("a", 0, 3)
    assert scaled(mark, 2) is mark
    assert scaled(candle, 1) is candle


@pytest.mark.slow
def test_market_has_as_many_instruments_as_wanted_and_copies_say_what_their_originals_say() -> None:
    native = len(largest_venues("BTC"))
    market = Market(2, native + 1, (PastSpan(60, 60),), 250, MIDNIGHT_MINUTE * MINUTE_NS)

    steps = list(market.ticks(20))

    assert market.symbol == "BTC2"
    assert len({i.instrument_id for i in market.instruments}) == native + 1
    assert sum(end.render for _, end in steps) == 20
    events = [e for said, _ in steps for e in said if not isinstance(e, TickEnd)]
    said_of = [[e for e in events if e.instrument_id == i.instrument_id] for i in market.instruments]
    assert all(len(said) > 20 for said in said_of)
    assert [type(e) for e in said_of[0]] == [type(e) for e in said_of[-1]]
    prices = [[e.price for e in said if isinstance(e, Trade | MarkPrice)] for said in (said_of[0], said_of[-1])]
    assert prices[0] == prices[1]


@pytest.mark.slow
def test_smaller_run_is_printed_and_not_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "store", lambda *_: pytest.fail("a smaller run was stored"))
    monkeypatch.setitem(bench_ticks.PASTS, "coarse", (PastSpan(2880, 60),))

    status = bench_ticks.main(("--symbols", "2", "--instruments", "2", "--minutes", "1"))

    assert status == 0
    printed = capsys.readouterr().out
    assert "2 symbols of 2 instruments, 18 grids, 1 minutes" in printed
    assert "beside: encoding a tick" in printed


def test_each_number_of_symbols_is_stored_before_the_next_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def fake_run(symbols: int, *_: object) -> bench_ticks.Run:
        said.append(f"run {symbols}")
        return some_run()

    monkeypatch.setattr(bench_ticks, "run", fake_run)
    monkeypatch.setattr(report, "store", lambda name, *_: said.append(name))

    statuses = [bench_ticks.main(arguments) for arguments in ((), ("--no-store",), ("--symbols", "3"))]

    assert statuses == [0, 0, 0]
    assert said[:6] == ["run 1", "ticks_01", "run 3", "ticks_03", "run 10", "ticks_10"]
    assert said[6:] == ["run 1", "run 3", "run 10", "run 3", "ticks_03"]


@pytest.mark.slow
def test_grid_that_differs_ends_the_run_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(bench_ticks.PASTS, "coarse", (PastSpan(2880, 60),))
    monkeypatch.setattr(StreamEncoder, "levels", lambda *_: np.zeros(1, np.uint8))

    status = bench_ticks.main(("--symbols", "1", "--instruments", "1", "--minutes", "1"))

    assert status == 1
    assert "levels of BTC 12h differ" in capsys.readouterr().err
