"""The incremental tick is the full recompute: with any weights, over slides, waiting rolls and late compactions.

Seen to fail when broken on purpose, one at a time, in numpy_backend.py:
- NumpyChannelBuffer._grow: weights left out, `first_minute` a column too early, `view.appended - self._seen` of the
  call before;
- NumpyChannelBuffer.advance: `_grow` although the window has moved on.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.axes import TIMEFRAMES
from liqscape.device.backend import CohortBatch
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from tests.property.test_age_tiers import KEYS, START, rows_of, weights_of

BACKEND = NumpyBackend()
DAY = 1440

# Minutes that pass before a tick: within a minute, the next one, across columns, days without a tick.
_STEPS = st.one_of(st.integers(0, 1), st.integers(0, 1), st.integers(2, 40), st.sampled_from((720, DAY, 9 * DAY)))
_TICKS = st.lists(
    st.tuples(_STEPS, st.integers(0, 12), st.booleans(), st.sampled_from((None, 0, 61, DAY))), max_size=25
)


@pytest.mark.slow
@given(
    seed=st.integers(0, 1 << 30),
    numbers=st.sets(st.integers(0, len(TIMEFRAMES) - 1), min_size=1, max_size=3),
    ticks=_TICKS,
)
def test_incremental_tick_is_the_full_recompute(
    seed: int, numbers: set[int], ticks: list[tuple[int, int, bool, int | None]]
) -> None:
    rng = np.random.default_rng(seed)
    weights = weights_of(seed)
    ledger = BACKEND.ledger()
    usd = {n: rng.uniform(0.001, 10.0, rows_of(n).count) for n in numbers}
    buffers = {n: BACKEND.channel_buffer(TIMEFRAMES[n], rows_of(n), weights, usd[n]) for n in numbers}
    newest: dict[int, int] = {}
    minute = START

    for step, count, rolls, compact_late in ticks:
        minute += step
        for _ in range(count):
            age = int(10 ** rng.uniform(0, 6)) - 1
            if rng.random() < 0.5:  # about where a window begins
                frame = TIMEFRAMES[int(rng.choice(sorted(numbers)))]
                age = frame.columns * frame.column_minutes - int(rng.integers(-1, 3) * frame.column_minutes)
            opened = np.array([minute - age], np.int32)
            row, key = np.array([rng.integers(0, 250)], np.int32), np.array([rng.integers(0, KEYS)], np.uint16)
            batch = CohortBatch(opened, row, key, rng.integers(1, 1 << 40, 1))
            ledger.append(minute, batch, int(rng.choice((-1, 1))), int(rng.integers(0, 3)))
        if compact_late is not None:
            ledger.adopt(ledger.capture().compacted(minute - compact_late))
        view = ledger.capture()
        for n in numbers:
            frame = TIMEFRAMES[n]
            # A roll may wait, but for no longer than the day that the merged past leaves room for.
            may_wait = n in newest and frame.column_of(minute) - newest[n] <= 1
            newest[n] = newest[n] if may_wait and not rolls else frame.column_of(minute)
            buffers[n].advance(view, minute, newest[n])

            wanted = BACKEND.project(view, frame, minute, rows_of(n), weights, newest[n])

            assert (buffers[n].cells() == wanted).all(), frame.name
            ring = buffers[n].levels()
            for index, column in enumerate(range(newest[n] - frame.columns + 1, newest[n] + 1)):
                assert (ring[column % frame.columns] == levels_of(wanted[index], usd[n])).all(), frame.name
