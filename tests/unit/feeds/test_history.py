"""A recording becomes events in order, gaps are said, and whatever breaks a rule stops before the first event."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqscape.clock import ManualClock
from liqscape.errors import ConfigError, InputDataError
from liqscape.events import Candle, Event, Gap, OpenInterest, TickEnd
from liqscape.feeds.history import HistorySource, recordings_folder
from liqscape.feeds.source import Progress

HOUR_NS = 3_600_000_000_000
START_NS = 1_764_547_200_000_000_000  # 2025-12-01T00:00:00Z
COIN = 100_000_000
BTC, ETH = "binance:BTCUSDT", "binance:ETHUSDT"


def at(hour: float) -> int:
    return START_NS + round(hour * HOUR_NS)


def ms(hours: Iterable[float]) -> list[int]:
    return [at(h) // 1_000_000 for h in hours]


class Recording:
    """A recordings folder and its manifest, made bit by bit; one-hour candles unless said otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._series: list[str] = []

    def candles(
        self,
        hours: Iterable[float],
        *,
        symbol: str = "BTC",
        span: tuple[int, int] | None = None,
        keys: str = "",
        **changed: Any,
    ) -> Recording:
        """Add candles at these hours; changed replaces whole columns."""
        hours = list(hours)
        table = {
            "t": ms(hours),
            "o": [100.0 + h for h in hours],
            "h": [103.0 + h for h in hours],
            "l": [99.0 + h for h in hours],
            "c": [101.5 + h for h in hours],
            "v": [2.5] * len(hours),
        }
        columns = '{ open = "o", high = "h", low = "l", close = "c", volume = "v" }'
        whole = {**table, **changed}
        self._add(symbol, "candles", whole, "open", columns, 1, span or (int(hours[0]), int(hours[-1])), keys)
        return self

    def samples(
        self,
        levels: dict[float, float],
        *,
        symbol: str = "BTC",
        step: int = 1,
        span: tuple[int, int] | None = None,
        keys: str = "",
        **changed: Any,
    ) -> Recording:
        """Add open interest by hour."""
        table = {"t": ms(levels), "oi": list(levels.values())}
        hours = [int(h) for h in levels]
        whole = {**table, **changed}
        columns = '{ open_interest = "oi" }'
        self._add(symbol, "open_interest", whole, "instant", columns, step, span or (hours[0], hours[-1]), keys)
        return self

    def _add(
        self,
        symbol: str,
        kind: str,
        table: dict[str, Any],
        stamp: str,
        columns: str,
        step: int,
        span: tuple[int, int],
        keys: str = "",
    ) -> None:
        file = f"{symbol}_{kind}.parquet"
        pq.write_table(
            pa.table({name: column for name, column in table.items() if column is not None}), self.folder / file
        )
        first, last = (datetime.fromtimestamp(at(hour) / 1e9, UTC).isoformat() for hour in span)
        unit = "" if "time_unit" in keys else 'time_unit = "ms"'
        self._series.append(
            f'[[series]]\nsymbol = "{symbol}"\ninstrument = "binance:{symbol}USDT"\nkind = "{kind}"\nfile = "{file}"\n'
            f'time_column = "t"\n{unit}\nstamp = "{stamp}"\ncolumns = {columns}\nquantity_unit = "base"\n'
            f'step = "{step}h"\nfrom = "{first}"\nto = "{last}"\n{keys}\n'
        )

    def source(
        self,
        *,
        speed: float | None = None,
        clock: ManualClock | None = None,
        symbols: tuple[str, ...] | None = None,
        until_ns: int | None = None,
    ) -> HistorySource:
        path = self.folder / "made_up.toml"
        path.write_text('name = "made up"\ndescription = "synthetic"\n' + "".join(self._series), "utf-8")
        return HistorySource(
            path,
            recordings=self.folder,
            clock=clock or ManualClock(),
            speed=speed,
            symbols=symbols,
            until_ns=until_ns,
        )


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path)


def said(events: Iterable[Event]) -> list[str]:
    """Return events in short, such as `BTC candle 1`: the hour at which each is said."""
    words = []
    for event in events:
        match event:
            case Candle():
                words.append(f"{event.instrument_id[8:11]} candle {(event.close_time_ns - START_NS) / HOUR_NS:g}")
            case OpenInterest():
                words.append(f"{event.instrument_id[8:11]} sample {(event.time_ns - START_NS) / HOUR_NS:g}")
            case Gap():
                hours = [(t - START_NS) / HOUR_NS for t in (event.from_ns, event.to_ns)]
                words.append(f"{event.instrument_id[8:11]} gap {hours[0]:g}-{hours[1]:g}")
            case TickEnd():
                words.append(f"tick {(event.time_ns - START_NS) / HOUR_NS:g}")
    return words


def levels(events: Iterable[Event]) -> dict[float, tuple[int, bool]]:
    return {
        (e.time_ns - START_NS) / HOUR_NS: (e.quantity, e.interpolated) for e in events if isinstance(e, OpenInterest)
    }


def gaps(events: Iterable[Event]) -> list[Gap]:
    return [e for e in events if isinstance(e, Gap)]


def test_events_of_an_instant_come_by_symbol_candle_before_sample_then_one_tick(recording: Recording) -> None:
    recording.candles([0, 1], symbol="ETH").samples({0: 5.0, 1: 6.0}, symbol="ETH")
    recording.candles([0, 1]).samples({0: 5.0, 1: 6.0})

    events = list(recording.source().iterate())

    assert said(events) == [
        *("BTC sample 0", "ETH sample 0", "tick 0"),
        *("BTC candle 1", "BTC sample 1", "ETH candle 1", "ETH sample 1", "tick 1"),
        *("BTC candle 2", "ETH candle 2", "tick 2"),
    ]


def test_values_become_integers_of_the_instrument(recording: Recording) -> None:
    recording.candles([0], o=[90764.9], h=[90815.5], l=[90730], c=[90815.4], v=[176.17]).samples({0: 89832.175})

    sample, _, candle, _ = recording.source().iterate()

    assert candle == Candle(BTC, at(0), at(1), 907_649, 908_155, 907_300, 908_154, 17_617_000_000)
    assert sample == OpenInterest(BTC, at(0), 8_983_217_500_000, interpolated=False)


def test_price_that_float64_holds_just_below_becomes_the_right_integer(recording: Recording) -> None:
    recording.candles([0], symbol="ETH", o=[1.15], h=[1.15], l=[1.15], c=[1.15])

    candle, _ = recording.source().iterate()

    assert 1.15 * 100 < 115
    assert candle == Candle(ETH, at(0), at(1), 115, 115, 115, 115, 250_000_000)


def test_candles_alone_are_a_recording(recording: Recording) -> None:
    source = recording.candles([0, 1]).source()

    events = list(source.iterate())

    assert said(events) == ["BTC candle 1", "tick 1", "BTC candle 2", "tick 2"]
    assert source.counters["candles_without_end_sample"] == 0


@pytest.mark.parametrize(
    ("unit", "stamps"),
    [
        ("s", [at(h) // 10**9 for h in range(2)]),
        ("text", ["2025-12-01T00:00:00", "2025-12-01T01:00:00Z"]),
        ("timestamp", pa.array([at(h) // 1000 for h in range(2)], pa.timestamp("us", tz="UTC"))),
        ("timestamp", pa.array([at(h) for h in range(2)], pa.timestamp("ns"))),
    ],
)
def test_every_time_unit_gives_the_same_instants(recording: Recording, unit: str, stamps: Any) -> None:
    recording.candles([0, 1]).samples({0: 5.0, 1: 6.0}, keys=f'time_unit = "{unit}"', t=stamps)

    events = recording.source().iterate()

    assert list(levels(events)) == [0, 1]


def test_stamp_within_the_tolerance_is_moved_onto_the_grid_and_counted(recording: Recording) -> None:
    late = 1 + 2 / 3600
    source = recording.candles([0, 1, 2]).samples({0: 5.0, late: 6.0, 2: 7.0}, keys='tolerance = "3s"').source()

    events = list(source.iterate())

    assert list(levels(events)) == [0, 1, 2]
    assert source.counters["snapped_stamps"] == 1
    assert gaps(events) == []


def test_rows_outside_from_and_to_are_not_read(recording: Recording) -> None:
    source = recording.candles(range(6), span=(2, 3), c=[-1.0, 102, 103, 104, 105, float("nan")]).source()

    assert said(source.iterate()) == ["BTC candle 3", "tick 3", "BTC candle 4", "tick 4"]


def test_interpolation_is_floored_in_integers_and_marked(recording: Recording) -> None:
    recording.candles(range(4)).samples({0: 1.0, 4: 1.0 - 7e-8}, step=4, keys='interpolation = "linear"')

    events = recording.source().iterate()

    # -7 units over four hours: -1.75, -3.5, -5.25, each floored.
    assert levels(events) == {
        0: (COIN, False),
        1: (COIN - 2, True),
        2: (COIN - 4, True),
        3: (COIN - 6, True),
        4: (COIN - 7, False),
    }


def test_legs_are_said_one_by_one_with_a_level_at_the_end_of_each(recording: Recording) -> None:
    recording.candles([0], keys='path = "legs"', o=[500.0], h=[502.0], l=[499.0], c=[501.0])
    source = recording.samples({0: 1.0, 1: 1.2}, keys='interpolation = "linear"').source()

    events = list(source.iterate())

    assert said(events) == [
        *("BTC sample 0", "tick 0"),
        *("BTC candle 0.25", "BTC sample 0.25", "tick 0.25"),
        *("BTC candle 0.5", "BTC sample 0.5", "tick 0.5"),
        *("BTC candle 0.75", "BTC sample 0.75", "tick 0.75"),
        *("BTC candle 1", "BTC sample 1", "tick 1"),
    ]
    found = [e for e in events if isinstance(e, Candle)]  # the leg of 30 is cut: 1/250 of the price is 20
    assert [(c.open, c.close) for c in found] == [(5000, 4990), (4990, 5005), (5005, 5020), (5020, 5010)]
    assert sum(c.quantity for c in found) == 2.5 * COIN
    assert levels(events)[0.5] == (COIN * 11 // 10, True)
    assert levels(events)[1] == (COIN * 12 // 10, False)
    assert (source.counters["candles"], source.counters["candle_legs"]) == (1, 4)
    assert source.counters["candles_without_end_sample"] == 0


def test_legs_without_interpolation_have_the_sample_at_their_end_alone(recording: Recording) -> None:
    recording.candles([0], keys='path = "legs"', o=[500.0], h=[502.0], l=[499.0], c=[501.0]).samples({0: 1.0, 1: 1.2})

    events = list(recording.source().iterate())

    assert list(levels(events)) == [0, 1]
    assert len([e for e in events if isinstance(e, Candle)]) == 4


def test_interpolation_does_not_overflow(recording: Recording) -> None:
    recording.candles(range(4)).samples({0: 4e9, 4: 3.9e10}, step=4, keys='interpolation = "linear"')

    events = recording.source().iterate()

    assert levels(events)[1] == (1_275_000_000 * 10 * COIN, True)


def test_first_candle_open_between_samples_gets_an_interpolated_level(recording: Recording) -> None:
    recording.candles([3, 4]).samples({0: 4.0, 4: 8.0}, step=4, keys='interpolation = "linear"')
    source = recording.source()

    events = list(source.iterate())

    assert said(events)[:2] == ["BTC sample 3", "tick 3"]
    assert levels(events) == {3: (7 * COIN, True), 4: (8 * COIN, False)}
    assert source.counters["open_interest_outside_candles"] == 1
    assert source.counters["interpolated_samples"] == 1


def test_nothing_is_extrapolated_beyond_the_last_sample(recording: Recording) -> None:
    source = recording.candles(range(7)).samples({0: 4.0, 4: 8.0}, step=4, keys='interpolation = "linear"').source()

    events = list(source.iterate())

    assert list(levels(events)) == [0, 1, 2, 3, 4]
    assert gaps(events) == []
    assert source.counters["candles_without_end_sample"] == 3


def test_missing_candles_are_a_gap_and_samples_inside_and_after_it_are_said(recording: Recording) -> None:
    source = recording.candles([0, 1, 4]).samples({h: 5.0 for h in range(5)}).source()

    events = list(source.iterate())

    assert said(events)[5:] == [
        *("BTC candle 2", "BTC sample 2", "tick 2"),
        *("BTC sample 3", "tick 3"),
        *("BTC gap 2-4", "BTC sample 4", "tick 4"),
        *("BTC candle 5", "tick 5"),
    ]
    assert gaps(events) == [Gap(BTC, at(2), at(4), "no candles")]
    assert source.counters["gaps"] == 1


def test_candles_missing_at_either_end_of_the_declared_range_are_gaps(recording: Recording) -> None:
    source = recording.candles([2, 3], span=(0, 5)).source()

    events = list(source.iterate())

    assert said(events) == [
        *("BTC gap 0-2", "tick 2"),
        *("BTC candle 3", "tick 3"),
        *("BTC candle 4", "tick 4"),
        *("BTC gap 4-6", "tick 6"),
    ]


def test_interpolation_gives_a_level_where_candles_resume(recording: Recording) -> None:
    recording.candles([0, 3]).samples({0: 4.0, 4: 8.0}, step=4, keys='interpolation = "linear"')

    events = list(recording.source().iterate())

    assert levels(events) == {
        0: (4 * COIN, False),
        1: (5 * COIN, True),
        3: (7 * COIN, True),
        4: (8 * COIN, False),
    }


def test_missing_samples_are_a_gap(recording: Recording) -> None:
    source = recording.candles(range(5)).samples({0: 5.0, 1: 5.0, 4: 5.0}).source()

    events = list(source.iterate())

    assert list(levels(events)) == [0, 1, 4]
    assert gaps(events) == [Gap(BTC, at(2), at(4), "no open interest")]
    assert said(events)[-6:-2] == ["BTC candle 4", "BTC gap 2-4", "BTC sample 4", "tick 4"]


def test_samples_missing_at_either_end_of_the_declared_range_are_gaps(recording: Recording) -> None:
    source = recording.candles(range(5)).samples({1: 5.0, 2: 5.0}, span=(0, 4)).source()

    assert gaps(source.iterate()) == [
        Gap(BTC, at(0), at(1), "no open interest"),
        Gap(BTC, at(3), at(5), "no open interest"),
    ]


def test_nothing_is_interpolated_across_a_missing_sample(recording: Recording) -> None:
    recording.candles(range(12)).samples({0: 4.0, 8: 8.0, 12: 8.0}, step=4, keys='interpolation = "linear"')
    source = recording.source()

    events = list(source.iterate())

    assert list(levels(events)) == [0, 8, 9, 10, 11, 12]
    assert gaps(events) == [Gap(BTC, at(1), at(8), "no open interest")]


@pytest.mark.parametrize("jump", [50.0, 500.0, 0.5, 0.0])
def test_tenfold_jump_is_rejected_counted_and_said_as_a_gap(recording: Recording, jump: float) -> None:
    source = recording.candles(range(4)).samples({0: 5.0, 1: jump, 2: 5.5, 3: 5.0}).source()

    events = list(source.iterate())

    assert levels(events) == {0: (500_000_000, False), 2: (550_000_000, False), 3: (500_000_000, False)}
    assert gaps(events) == [Gap(BTC, at(1), at(2), "open interest jumped 10-fold or more", rejected=1)]
    assert source.counters["rejected_open_interest"] == 1
    assert source.counters["gaps"] == 1


@pytest.mark.parametrize("change", [49.99, 0.51, 5.0 * 0.61])
def test_change_below_tenfold_is_accepted(recording: Recording, change: float) -> None:
    source = recording.candles(range(2)).samples({0: 5.0, 1: change}).source()

    assert len(levels(source.iterate())) == 2


def test_jump_is_measured_against_the_last_accepted_sample(recording: Recording) -> None:
    source = recording.candles(range(4)).samples({0: 5.0, 1: 60.0, 2: 55.0, 3: 30.0}).source()

    events = list(source.iterate())

    assert list(levels(events)) == [0, 3]
    assert [(g.from_ns, g.to_ns, g.rejected) for g in gaps(events)] == [(at(1), at(2), 1), (at(2), at(3), 1)]


def test_market_that_opens_at_zero_is_accepted(recording: Recording) -> None:
    source = recording.candles(range(3)).samples({0: 0.0, 1: 5.0, 2: 6.0}).source()

    assert len(levels(source.iterate())) == 3


def test_nothing_is_interpolated_beside_a_rejected_sample(recording: Recording) -> None:
    recording.candles(range(12)).samples({0: 4.0, 4: 40.0, 8: 4.0, 12: 4.0}, step=4, keys='interpolation = "linear"')

    events = list(recording.source().iterate())

    assert list(levels(events)) == [0, 8, 9, 10, 11, 12]
    assert [(g.from_ns, g.to_ns, g.rejected) for g in gaps(events)] == [(at(1), at(8), 1)]


def test_gap_after_a_rejected_sample_starts_where_the_rejection_ended(recording: Recording) -> None:
    recording.candles(range(12)).samples({0: 4.0, 4: 40.0, 12: 4.0}, step=4, keys='interpolation = "linear"')

    events = recording.source().iterate()

    assert [(g.from_ns, g.to_ns, g.rejected) for g in gaps(events)] == [(at(1), at(8), 1), (at(8), at(12), 0)]


def test_gap_that_begins_before_the_candles_is_said_from_their_start(recording: Recording) -> None:
    recording.candles(range(3, 9)).samples({0: 4.0, 8: 4.0}, step=4, keys='interpolation = "linear"')

    events = recording.source().iterate()

    assert gaps(events) == [Gap(BTC, at(3), at(8), "no open interest")]


def test_at_full_speed_only_the_last_tick_renders(recording: Recording) -> None:
    source = recording.candles(range(3)).source()

    ticks = [e for e in source.iterate() if isinstance(e, TickEnd)]

    assert ticks == [TickEnd(at(1), False), TickEnd(at(2), False), TickEnd(at(3), True)]


def test_until_ends_with_the_last_bar_before_it_and_its_end_sample(recording: Recording) -> None:
    recording.candles(range(5)).samples({h: 5.0 for h in range(5)})

    events = list(recording.source(until_ns=at(2.5)).iterate())

    assert said(events)[-3:] == ["BTC candle 2", "BTC sample 2", "tick 2"]
    assert events[-1] == TickEnd(at(2), True)


def test_until_gives_the_same_beginning_as_the_whole(recording: Recording) -> None:
    recording.candles([0, 1, 4, 5]).samples({0: 5.0, 2: 6.0, 4: 7.0}, step=2, keys='interpolation = "linear"')

    part = said(recording.source(until_ns=at(5)).iterate())
    whole = said(recording.source().iterate())

    assert part == whole[: len(part)]
    assert part[-1] == "tick 5"


def test_until_before_the_first_step_is_refused(recording: Recording) -> None:
    recording.candles(range(3))

    with pytest.raises(ConfigError, match=r"until is 2025-12-01T00:30:00Z; the first step .* 2025-12-01T01:00:00Z"):
        recording.source(until_ns=at(0.5))


async def test_at_speed_n_recorded_time_passes_n_times_as_fast(recording: Recording) -> None:
    clock = ManualClock(1_000)
    source = recording.candles([0, 1, 4]).source(speed=60.0, clock=clock)
    heard = []

    async for event in source.events():
        heard.append((type(event), clock.now_ns()))

    minute_ns = HOUR_NS // 60
    assert heard == [
        (Candle, 1_000),
        (TickEnd, 1_000),
        (Candle, 1_000 + minute_ns),
        (TickEnd, 1_000 + minute_ns),
        (Gap, 1_000 + 3 * minute_ns),
        (TickEnd, 1_000 + 3 * minute_ns),
        (Candle, 1_000 + 4 * minute_ns),
        (TickEnd, 1_000 + 4 * minute_ns),
    ]


async def test_at_speed_n_every_tick_renders_and_progress_is_complete(recording: Recording) -> None:
    source = recording.candles([0, 1]).source(speed=0.5)

    before = source.progress()
    ticks = [event async for event in source.events() if isinstance(event, TickEnd)]

    assert before == Progress(2, 2, "bars")
    assert [tick.render for tick in ticks] == [True, True]


async def test_at_full_speed_no_time_passes_and_events_equal_the_plain_iterator(recording: Recording) -> None:
    clock = ManualClock(7)
    source = recording.candles(range(4)).samples({0: 5.0, 2: 5.0}, step=2).source(clock=clock)

    heard = [event async for event in source.events()]

    assert clock.now_ns() == 7
    assert heard == list(source.iterate())


def test_progress_at_full_speed_counts_steps_passed_on(recording: Recording) -> None:
    source = recording.candles(range(3)).source()

    seen = [source.progress(), *(source.progress() for e in source.iterate() if isinstance(e, TickEnd))]

    assert seen == [Progress(n, 3, "bars") for n in range(4)]


@pytest.mark.parametrize(
    ("speed", "name", "tick_ms"),
    [
        (None, "history made up max", 1),
        (1.0, "history made up x 1", 3_600_000),
        (14_400.0, "history made up x 14400", 250),
        (1e9, "history made up x 1e+09", 1),
    ],
)
def test_description_says_speed_and_replay(recording: Recording, speed: float | None, name: str, tick_ms: int) -> None:
    recording.candles([0], symbol="ETH").candles([0])

    description = recording.source(speed=speed).description

    assert (description.name, description.tick_ms) == (name, tick_ms)
    assert [i.instrument_id for i in description.instruments] == [BTC, ETH]
    assert description.replay
    assert not description.simulated


def test_only_the_symbols_wanted_are_read(recording: Recording) -> None:
    recording.candles([0], symbol="ETH", c=[-1.0]).candles([0])

    assert said(recording.source(symbols=("BTC",)).iterate()) == ["BTC candle 1", "tick 1"]


def test_unknown_symbol_is_refused_with_those_that_exist(recording: Recording) -> None:
    recording.candles([0], symbol="ETH").candles([0])

    with pytest.raises(ConfigError, match=r"'DOGE' is not in recording 'made up'; it has BTC, ETH"):
        recording.source(symbols=("DOGE",))


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_speed_that_is_not_positive_is_refused(recording: Recording, speed: float) -> None:
    recording.candles([0])

    with pytest.raises(ConfigError, match="allowed is a positive number, or max"):
        recording.source(speed=speed)


@pytest.mark.parametrize(
    ("changed", "row", "words"),
    [
        ({"c": None}, None, "column 'c' is missing"),
        ({"t": None}, None, "column 't' is missing"),
        ({"c": ["a", "b", "c"]}, None, "column 'c' has type string"),
        ({"t": [float(t) for t in ms(range(3))]}, None, "column 't' has type double"),
        ({"t": ms([0, 2, 1])}, 2, "stamp 2025-12-01T01:00:00Z is earlier than the row before"),
        ({"t": ms([0, 1, 1])}, 2, "stamp 2025-12-01T01:00:00Z repeats the row before"),
        ({"t": [ms([0])[0], None, ms([2])[0]]}, 1, "column 't' is null"),
        ({"t": [-5, *ms([1, 2])]}, 0, "column 't' is -5; a stamp lies between"),
        ({"t": ms([0, 1 + 1 / 3600, 2])}, 1, "is 1 s off the 3600 s step; the tolerance is 0 s"),
        ({"t": ms([7, 8, 9])}, None, "no row between"),
        ({"c": [101.5, None, 101.5]}, 1, "column 'c' is null"),
        ({"c": [101.5, float("nan"), 101.5]}, 1, "column 'c' is nan; a price is positive"),
        ({"h": [103.0, 104.0, float("inf")]}, 2, "column 'h' is inf; a price is positive"),
        ({"l": [99.0, 0.0, 99.0]}, 1, "column 'l' is 0.0; a price is positive"),
        ({"o": [-100.0, 100.0, 100.0]}, 0, "column 'o' is -100.0; a price is positive"),
        ({"o": [1e300, 100.0, 100.0]}, 0, "column 'o' is 1e+300; a price is positive and at most"),
        ({"o": [100.0, 100.05, 102.0]}, 1, "column 'o' is 100.05; the tick size is 1e-1"),
        ({"l": [1e-9, 99.0, 99.0]}, 0, "column 'l' is 1e-09; the tick size is 1e-1"),
        ({"h": [101.4, 104.0, 105.0]}, 0, "high is below open or close"),
        ({"l": [99.0, 100.0, 102.1]}, 2, "low is above open or close"),
        ({"v": [2.5, -0.1, 2.5]}, 1, "column 'v' is -0.1; a volume is finite, not negative"),
        ({"v": [2.5, 2.5, float("nan")]}, 2, "column 'v' is nan; a volume is finite"),
        ({"v": [2.5, 2.5, 1e11]}, 2, "column 'v' is 100000000000.0; a volume is finite"),
    ],
)
def test_bad_candles_stop_at_the_boundary_with_file_row_and_rule(
    recording: Recording, changed: dict[str, Any], row: int | None, words: str
) -> None:
    recording.candles(range(3), **changed)

    with pytest.raises(InputDataError) as caught:
        recording.source()

    assert (caught.value.file, caught.value.row) == ("BTC_candles.parquet", row)
    assert words in caught.value.rule


@pytest.mark.parametrize(
    ("changed", "row", "words"),
    [
        ({"oi": [5.0, -5.0]}, 1, "column 'oi' is -5.0; an open interest is finite, not negative"),
        ({"oi": [float("nan"), 5.0]}, 0, "column 'oi' is nan; an open interest is finite"),
        ({"t": ms([0, 1 - 4 / 3600])}, 1, "stamp 2025-12-01T00:59:56Z is 4 s off"),
        ({"t": ms([1 - 1 / 3600, 1])}, 1, "stamp 2025-12-01T01:00:00Z falls on the same step as the row before"),
    ],
)
def test_bad_open_interest_stops_at_the_boundary_with_file_row_and_rule(
    recording: Recording, changed: dict[str, Any], row: int, words: str
) -> None:
    recording.candles([0, 1]).samples({0: 5.0, 1: 5.0}, keys='tolerance = "3s"', **changed)

    with pytest.raises(InputDataError) as caught:
        recording.source()

    assert (caught.value.file, caught.value.row) == ("BTC_open_interest.parquet", row)
    assert words in caught.value.rule


@pytest.mark.parametrize("text", ["first of December", "2025-12-01T01:00:00+01:00", "1912-12-01T01:00:00"])
def test_bad_text_stamp_is_refused_with_its_row(recording: Recording, text: str) -> None:
    recording.candles([0, 1]).samples({0: 5.0, 1: 5.0}, keys='time_unit = "text"', t=["2025-12-01T00:00:00", text])

    with pytest.raises(InputDataError, match=r"row 1: column 't' is .* a stamp is ISO and UTC"):
        recording.source()


def test_row_is_counted_from_the_start_of_the_file(recording: Recording) -> None:
    recording.candles(range(6), span=(2, 4), v=[2.5, 2.5, 2.5, -1.0, 2.5, 2.5])

    with pytest.raises(InputDataError, match="row 3: column 'v' is -1"):
        recording.source()


def test_missing_file_is_refused_with_the_folder(recording: Recording) -> None:
    recording.candles([0])
    (recording.folder / "BTC_candles.parquet").unlink()

    with pytest.raises(InputDataError, match=r"BTC_candles\.parquet: no such file .* LIQSCAPE_RECORDINGS"):
        recording.source()


def test_file_that_is_not_parquet_is_refused(recording: Recording) -> None:
    recording.candles([0])
    (recording.folder / "BTC_candles.parquet").write_bytes(b"open,high,low,close\n" * 20)

    with pytest.raises(InputDataError, match=r"BTC_candles\.parquet: not readable as Parquet"):
        recording.source()


def test_missing_extra_says_what_to_install(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    recording.candles([0])
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"pip install liqscape\[server\]"):
        recording.source()


def test_recordings_folder_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIQSCAPE_RECORDINGS", str(tmp_path / "elsewhere"))

    assert recordings_folder() == tmp_path / "elsewhere"


def test_recordings_folder_is_beside_the_project_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.delenv("LIQSCAPE_RECORDINGS", raising=False)
    monkeypatch.chdir(tmp_path / "project")

    assert recordings_folder() == tmp_path / "shared"
