"""A recording as a source of events: Parquet by a TOML manifest, at N times the clock's speed or as fast as it goes.

Everything is read and checked when the source is made; from then on it only passes events on. The order within one
instant t, for each instrument by symbol: gaps in the candles, the candle that ends at t, gaps in the open interest, the
open interest at t; then one TickEnd(t) for all. So a sample closes the bar that ends with it. A sample where the first
candle opens comes before all candles, with a TickEnd of its own. Where the manifest says `path = "legs"`, the legs of a
candle take its place, each at its own end.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np

from liqscape.clock import Clock
from liqscape.errors import ConfigError
from liqscape.events import Event, TickEnd
from liqscape.feeds import candle_path
from liqscape.feeds.manifest import CANDLES, OPEN_INTEREST, Manifest, Series, load_manifest
from liqscape.feeds.recorded_events import EventStream, candle_streams, open_interest_streams
from liqscape.feeds.recordings import read_candles, read_samples, stamp_text
from liqscape.feeds.recordings import recordings_folder as recordings_folder
from liqscape.feeds.source import Progress, SourceDescription

COUNTERS: Final = (
    "candle_legs",
    "candles",
    "candles_without_end_sample",
    "gaps",
    "interpolated_samples",
    "open_interest_outside_candles",
    "open_interest_samples",
    "rejected_open_interest",
    "snapped_stamps",
)


class HistorySource:
    """An EventSource of recorded candles and open interest.

    Attributes:
        manifest: what was read.
        counters: what the recording of the chosen symbols holds, by the names in COUNTERS, whatever `until_ns` is.
    """

    def __init__(
        self,
        manifest_path: Path,
        *,
        recordings: Path,
        clock: Clock,
        speed: float | None,
        symbols: tuple[str, ...] | None = None,
        until_ns: int | None = None,
    ) -> None:
        """Read and check everything.

        Args:
            manifest_path: the TOML manifest.
            recordings: folder the manifest's files are relative to.
            clock: what speed is measured by.
            speed: recorded seconds a second of the clock; None: as fast as it goes, and only the last step is rendered.
            symbols: the symbols wanted; None: all.
            until_ns: data up to here, exclusive; a sample of open interest at this very instant closes the last bar
                and is included.

        Raises:
            ConfigError: the manifest, symbols, speed or until_ns is wrong, or Parquet cannot be read here.
            InputDataError: a file breaks a rule.
        """
        if speed is not None and not (math.isfinite(speed) and speed > 0):
            raise ConfigError(f"speed is {speed!r}; allowed is a positive number, or max")
        self.manifest: Manifest = load_manifest(manifest_path)
        self._speed = speed
        self._clock = clock
        chosen = _choose(self.manifest, symbols)
        counts: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
        self._streams = _read_streams(chosen, recordings, counts)
        self.counters: dict[str, int] = dict(counts)
        steps = np.unique(np.concatenate([stream.time_ns for stream in self._streams]))
        if until_ns is not None:
            if until_ns < steps[0]:
                begin = stamp_text(int(steps[0]))
                raise ConfigError(f"until is {stamp_text(until_ns)}; the first step of the recording is {begin}")
            steps = steps[steps <= until_ns]
        self._total = len(steps)
        self._last_ns = int(steps[-1])
        self._done = 0
        self._after_ns = -1
        self._description = _describe(self.manifest.name, chosen, speed)

    @property
    def description(self) -> SourceDescription:
        """Return what this source is."""
        return self._description

    def resume(self, after_ns: int) -> None:
        """Let events() begin after the step of that instant."""
        self._after_ns = after_ns

    def progress(self) -> Progress:
        """Return how many steps were passed on; at a finite speed nothing is built beforehand, so it is complete."""
        return Progress(self._done if self._speed is None else self._total, self._total, "bars")

    def iterate(self) -> Iterator[Event]:
        """Yield all events as fast as they are taken, without an event loop. Each call starts anew."""
        for _, events in self._steps():
            yield from events

    async def events(self) -> AsyncIterator[Event]:
        """Yield all events at the speed asked for."""
        start_ns = self._clock.now_ns()
        first_ns: int | None = None
        for time_ns, events in self._steps():
            if time_ns <= self._after_ns:
                continue
            first_ns = time_ns if first_ns is None else first_ns
            # At full speed this still lets other tasks run once a step.
            wait_ns = 0 if self._speed is None else round((time_ns - first_ns) / self._speed)
            await self._clock.sleep_until_ns(start_ns + wait_ns)
            for event in events:
                yield event

    def _steps(self) -> Iterator[tuple[int, list[Event]]]:
        """Yield each instant with its events, TickEnd last."""
        self._done = 0
        merged = heapq.merge(*(_numbered(i, stream) for i, stream in enumerate(self._streams)))
        for time_ns, group in groupby(merged, key=itemgetter(0)):
            events: list[Event] = [event for _, _, event in group]
            events.append(TickEnd(time_ns, render=self._speed is not None or time_ns == self._last_ns))
            self._done += 1
            yield time_ns, events
            if time_ns == self._last_ns:
                return


def _numbered(number: int, stream: EventStream) -> Iterator[tuple[int, int, Event]]:
    # One entry of a stream is in the merge at a time and numbers differ, so events themselves are never compared.
    for time_ns, event in zip(stream.time_ns.tolist(), stream.build(), strict=True):
        yield time_ns, number, event


def _choose(manifest: Manifest, symbols: tuple[str, ...] | None) -> list[Series]:
    """Return the series of the symbols wanted, by symbol and instrument."""
    wanted = manifest.symbols if symbols is None else symbols
    for symbol in wanted:
        if symbol not in manifest.symbols:
            known = ", ".join(manifest.symbols)
            raise ConfigError(f"symbol {symbol!r} is not in recording {manifest.name!r}; it has {known}")
    if not wanted:
        raise ConfigError("no symbol is wanted; name one or more")
    series = [s for s in manifest.series if s.instrument.symbol in wanted]
    return sorted(series, key=lambda s: (s.instrument.symbol, s.instrument.instrument_id))


def _read_streams(chosen: list[Series], recordings: Path, counts: Counter[str]) -> list[EventStream]:
    """Return the streams in the order in which they speak within one instant."""
    streams: list[EventStream] = []
    for _, group in groupby(chosen, key=lambda s: s.instrument.instrument_id):
        by_kind = {s.kind: s for s in group}
        candle_series = by_kind[CANDLES]
        candles = read_candles(candle_series, recordings)
        counts["snapped_stamps"] += candles.snapped
        said = candle_path.cut if candle_series.legs else candle_path.whole
        legs = said(candles, candle_series.step_ns)
        streams += candle_streams(candle_series, candles, legs, counts)
        if OPEN_INTEREST in by_kind:
            samples = read_samples(by_kind[OPEN_INTEREST], recordings)
            counts["snapped_stamps"] += samples.snapped
            streams += open_interest_streams(by_kind[OPEN_INTEREST], samples, candle_series, candles, legs, counts)
    return streams


def _describe(name: str, chosen: list[Series], speed: float | None) -> SourceDescription:
    step_ms = min(s.step_ns for s in chosen if s.kind == CANDLES) // 1_000_000
    return SourceDescription(
        name=f"history {name} " + ("max" if speed is None else f"x {speed:g}"),
        instruments=tuple({s.instrument.instrument_id: s.instrument for s in chosen}.values()),
        tick_ms=1 if speed is None else max(1, round(step_ms / speed)),
        replay=True,
    )
