"""Checked arrays of one instrument -> streams of events: candles, open interest, and the gaps in both.

Pure and without files or clocks. A stream is sorted by the instant at which its events are said: a candle at its end, a
sample at its instant, a gap when the first stamp after it arrives (or, at the end of a series, when the series ends).
What a consumer gets is what a live feed could have said, with two declared exceptions: linear interpolation looks ahead
to the next sample, and the legs of a candle are told one by one as if they had been seen (candle_path.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np

from liqscape.events import Candle, Event, Gap, OpenInterest
from liqscape.feeds.candle_path import CandleLegs
from liqscape.feeds.manifest import Series
from liqscape.feeds.recordings import Flags, Integers, RecordedCandles, RecordedSamples

JUMP: Final = 10
"""Open interest this many times larger or smaller than the last accepted sample is a fault of the recording: the
hardest real fall in the sets used here was 28 % (ETH, the last four hours of 2025-10-10)."""


@dataclass(frozen=True, slots=True)
class EventStream:
    """Events and when they are said: time_ns is int64[event], ascending; build yields that many events."""

    time_ns: Integers
    build: Callable[[], Iterator[Event]]


def candle_streams(
    series: Series, candles: RecordedCandles, legs: CandleLegs, counters: Counter[str]
) -> list[EventStream]:
    """Return the gaps and the candles of an instrument, said as these legs; count what they hold."""
    name, step = series.instrument.instrument_id, series.step_ns
    expected = np.concatenate(([series.from_ns - step], candles.open_ns, [series.to_ns + step]))
    holes = np.flatnonzero(np.diff(expected) > step)
    gaps = [Gap(name, int(expected[i]) + step, int(expected[i + 1]), "no candles") for i in holes]
    counters["candles"] += len(candles.open_ns)
    counters["candle_legs"] += len(legs.open_ns) if series.legs else 0
    counters["gaps"] += len(gaps)
    columns = (legs.open_ns, legs.close_ns, legs.open, legs.high, legs.low, legs.close, legs.quantity)

    def build() -> Iterator[Event]:
        return map(Candle, repeat(name), *(column.tolist() for column in columns))

    return [_gap_stream([(gap.to_ns, gap) for gap in gaps]), EventStream(legs.close_ns, build)]


def open_interest_streams(
    series: Series,
    samples: RecordedSamples,
    candle_series: Series,
    candles: RecordedCandles,
    legs: CandleLegs,
    counters: Counter[str],
) -> list[EventStream]:
    """Return the gaps and the samples of an instrument; count what they hold.

    Samples outside the span of the candles are used for interpolation, counted and not yielded. Where levels may be
    interpolated, there is one at the end of each leg.
    """
    name = series.instrument.instrument_id
    begin, end = candle_series.from_ns, candle_series.to_ns + candle_series.step_ns
    accepted = accept_samples(samples.quantity)
    due_ns = min(series.step_ns, candle_series.step_ns) if series.linear else series.step_ns
    gaps = [
        (min(max(at, begin), end), Gap(name, max(gap.from_ns, begin), gap.to_ns, gap.reason, gap.rejected))
        for at, gap in _sample_gaps(series, samples.time_ns, accepted, due_ns)
        if gap.from_ns <= end and gap.to_ns > begin
    ]
    time_ns, quantity = samples.time_ns[accepted], samples.quantity[accepted]
    inside = (time_ns >= begin) & (time_ns <= end)
    said_ns, said, interpolated = time_ns[inside], quantity[inside], np.zeros(int(inside.sum()), dtype=np.bool_)
    if series.linear:
        wanted = candle_instants(candles.open_ns, candle_series.step_ns, legs.close_ns)
        between_ns, between = interpolate(time_ns, quantity, wanted, series.step_ns)
        order = np.argsort(np.concatenate((said_ns, between_ns)), kind="stable")
        said_ns = np.concatenate((said_ns, between_ns))[order]
        said = np.concatenate((said, between))[order]
        interpolated = np.concatenate((interpolated, np.ones(len(between), dtype=np.bool_)))[order]
    counters["open_interest_samples"] += int(inside.sum())
    counters["open_interest_outside_candles"] += int((~inside).sum())
    counters["interpolated_samples"] += int(interpolated.sum())
    counters["rejected_open_interest"] += int((~accepted).sum())
    counters["gaps"] += len(gaps)
    ends_ns = candles.open_ns + candle_series.step_ns
    counters["candles_without_end_sample"] += int((~np.isin(ends_ns, said_ns)).sum())

    def build() -> Iterator[Event]:
        return map(OpenInterest, repeat(name), said_ns.tolist(), said.tolist(), interpolated.tolist())

    return [_gap_stream(gaps), EventStream(said_ns, build)]


def accept_samples(quantity: Integers) -> Flags:
    """Return bool[sample]: false where a sample is JUMP times the last accepted one, or a JUMP-th of it."""
    accepted = np.ones(len(quantity), dtype=np.bool_)
    last = 0
    for index, value in enumerate(quantity.tolist()):
        # A market that opens at zero has no last level to compare with.
        if last and (value >= JUMP * last or value * JUMP <= last):
            accepted[index] = False
        else:
            last = value
    return accepted


def candle_instants(open_ns: Integers, step_ns: int, leg_ends_ns: Integers) -> Integers:
    """Return the ends of all legs, and the open of each candle that follows none: where a bar needs a level."""
    after_none = np.ones(len(open_ns), dtype=np.bool_)
    after_none[1:] = np.diff(open_ns) != step_ns
    return np.union1d(leg_ends_ns, open_ns[after_none])


def interpolate(time_ns: Integers, quantity: Integers, wanted_ns: Integers, step_ns: int) -> tuple[Integers, Integers]:
    """Return the instants strictly between two samples one step apart, and the floored linear level at each.

    Args:
        time_ns: int64[sample], ascending.
        quantity: int64[sample], 10^-8 base coin.
        wanted_ns: int64[instant], ascending.
        step_ns: samples farther apart than this are not joined.
    """
    before = np.searchsorted(time_ns, wanted_ns, "right") - 1
    usable = (before >= 0) & (before + 1 < len(time_ns))
    before, wanted_ns = before[usable], wanted_ns[usable]
    joined = (time_ns[before] != wanted_ns) & (time_ns[before + 1] - time_ns[before] == step_ns)
    before, wanted_ns = before[joined], wanted_ns[joined]
    # Python integers: a change of open interest times nanoseconds passes 2^63.
    levels = [
        q0 + (q1 - q0) * (t - t0) // step_ns
        for t, t0, q0, q1 in zip(
            wanted_ns.tolist(),
            time_ns[before].tolist(),
            quantity[before].tolist(),
            quantity[before + 1].tolist(),
            strict=True,
        )
    ]
    return wanted_ns, np.array(levels, dtype=np.int64)


def _sample_gaps(series: Series, time_ns: Integers, accepted: Flags, due_ns: int) -> Iterator[tuple[int, Gap]]:
    """Yield (when it is said, gap) for holes and rejected samples; no instant is announced twice.

    Args:
        series: the samples' series.
        time_ns: int64[sample], on the grid.
        accepted: bool[sample].
        due_ns: distance at which levels are due: the candles' step where they may be interpolated, else the samples'.
    """
    name, step = series.instrument.instrument_id, series.step_ns
    previous, announced = series.from_ns - step, series.from_ns
    for time, good in zip(time_ns.tolist(), accepted.tolist(), strict=True):
        if time - previous > step:
            yield time, Gap(name, max(previous + due_ns, announced), time, "no open interest")
            announced = time
        if not good:
            reason = f"open interest jumped {JUMP}-fold or more"
            yield time, Gap(name, max(previous + due_ns, announced), time + step, reason, rejected=1)
            announced = time + step
        previous = time
    if previous < series.to_ns:
        end = series.to_ns + due_ns
        yield series.to_ns, Gap(name, max(previous + due_ns, announced), end, "no open interest")


def _gap_stream(gaps: list[tuple[int, Gap]]) -> EventStream:
    return EventStream(np.array([at for at, _ in gaps], dtype=np.int64), lambda: iter([gap for _, gap in gaps]))
