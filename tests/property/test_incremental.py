"""The incremental tick is the full recompute: with any weights, over slides, waiting rolls and late compactions.

Seen to fail when broken on purpose, one at a time, in numpy_channel.py:
- _sum: weights left out, `first_minute` a column too early; _grow: one event too many;
- advance: `_grow` although the window has moved on;
- _roll: either half of the correction left out; `corrected` or `evicted` not told;
- _evict: the first tier left out, the raw events left out, `np.clip` without its upper end, `first_column - 1` set to
  `first_column`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.axes import TIMEFRAMES
from liqscape.device.backend import CohortBatch, Ledger
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from tests.property.test_age_tiers import KEYS, START, rows_of, weights_of

BACKEND = NumpyBackend()
DAY = 1440

# Minutes that pass before a tick: within a minute, the next one, one column of some timeframe, days without a tick.
_STEPS = st.one_of(
    st.integers(0, 1), st.integers(0, 1), st.integers(2, 40), st.sampled_from((2, 5, 15, 60, 180, 720, 9 * DAY))
)
_MOVES = st.sampled_from(("waits", "rolls once", "rolls", "rolls", "is not rendered"))
_TICKS = st.lists(
    st.tuples(_STEPS, st.integers(0, 12), _MOVES, st.sampled_from((None, 0, 61, DAY))), min_size=10, max_size=30
)


class Market:
    """A ledger with a past, and what happens to it."""

    def __init__(self, seed: int, numbers: set[int], ledger: Ledger | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.minute = START
        self.ledger: Ledger = BACKEND.ledger() if ledger is None else ledger
        self._frames = [TIMEFRAMES[n] for n in sorted(numbers)]
        opened = sorted(START + int(10 ** self.rng.uniform(0, 3.3)) - self._age_at_edge() for _ in range(60))
        for open_minute in opened:
            self._log(min(open_minute, START), min(open_minute, START))
        for end in sorted(self.rng.integers(min(opened), START, 60).tolist()):
            if end > opened[-1]:
                self._log(int(end), int(self.rng.choice(opened)))

    def happen(self, count: int) -> None:
        """Log events of this minute, half of them of cohorts opened about where a window begins."""
        for _ in range(count):
            at_edge = self.rng.random() < 0.5
            age = self._age_at_edge() if at_edge else int(10 ** self.rng.uniform(0, 6)) - 1
            self._log(self.minute, self.minute - age)

    def _age_at_edge(self) -> int:
        frame = self._frames[int(self.rng.integers(0, len(self._frames)))]
        return (frame.columns - int(self.rng.integers(-1, 3))) * frame.column_minutes

    def _log(self, minute: int, opened: int) -> None:
        rng = self.rng
        row, key = np.array([rng.integers(0, 120)], np.int32), np.array([rng.integers(0, KEYS)], np.uint16)
        batch = CohortBatch(np.array([opened], np.int32), row, key, rng.integers(1, 1 << 40, 1))
        self.ledger.append(minute, batch, int(rng.choice((-1, 1))), int(rng.integers(0, 3)))


@pytest.mark.slow
@given(
    seed=st.integers(0, 1 << 30),
    numbers=st.sets(st.integers(0, len(TIMEFRAMES) - 1), min_size=1, max_size=3),
    ticks=_TICKS,
)
def test_incremental_tick_is_the_full_recompute(
    seed: int, numbers: set[int], ticks: list[tuple[int, int, str, int | None]]
) -> None:
    market, weights = Market(seed, numbers), weights_of(seed)
    usd = {n: market.rng.uniform(0.001, 10.0, rows_of(n).count) for n in numbers}
    buffers = {n: BACKEND.channel_buffer(TIMEFRAMES[n], rows_of(n), weights, usd[n]) for n in numbers}
    newest: dict[int, int] = {}

    for step, count, move, compact_late in [(0, 0, "rolls", 0), *ticks]:
        market.minute += step
        market.happen(count)
        if compact_late is not None:
            market.ledger.adopt(market.ledger.capture().compacted(market.minute - compact_late))
        view = market.ledger.capture()
        for n in numbers if move != "is not rendered" else ():
            frame = TIMEFRAMES[n]
            present = frame.column_of(market.minute)
            # A roll may wait, but for no longer than the day that the merged past leaves room for.
            behind = present - newest.get(n, present - 9)
            may_wait = 0 < behind <= 2 and behind * frame.column_minutes <= DAY
            newest[n] = newest[n] + (move == "rolls once") if may_wait and move != "rolls" else present
            buffers[n].advance(view, market.minute, newest[n])

            wanted = BACKEND.project(view, frame, market.minute, rows_of(n), weights, newest[n])

            assert (buffers[n].cells() == wanted).all(), frame.name
            ring = np.roll(levels_of(wanted, usd[n]), (newest[n] + 1) % frame.columns, axis=0)
            assert (buffers[n].levels() == ring).all(), frame.name
