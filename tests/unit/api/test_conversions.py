"""Answers as messages: fragments, states, names of counters."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest

from liqscape.api.conversions import grid_fragments, grid_header, status_response
from liqscape.broadcast.accounts import Account
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.grid.updates import EngineStatus, PositionModel, SymbolStatus
from liqscape.metrics import Stage
from liqscape.v1 import query_pb2, stream_pb2
from tests.fake_engine import EPOCH, FakeEngine, candle_columns, describe, grid_answer


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (3, 1), (864, 1024), (720, 2), (5, 200_000)])
def test_fragments_hold_whole_columns_and_make_up_the_grid(columns: int, rows: int) -> None:
    answer = grid_answer(columns, rows)

    fragments = [part.fragment for part in grid_fragments(answer)]

    assert sum(fragment.columns for fragment in fragments) == columns
    assert b"".join(fragment.cells for fragment in fragments) == answer.cells.astype("<i8").tobytes()
    if rows <= 1024:
        assert all(part.ByteSize() <= 1 << 20 for part in grid_fragments(answer))


def test_columns_that_are_not_contiguous_arrive_in_order() -> None:
    answer = grid_answer(4, 6)
    answer.cells[:] = np.asfortranarray(np.arange(24).reshape(4, 6))

    (part,) = grid_fragments(answer)

    assert np.frombuffer(part.fragment.cells, "<i8").tolist() == list(range(24))


def test_header_of_a_grid_without_a_price_leaves_candles_out() -> None:
    answer = replace(grid_answer(2, 3), candles=candle_columns({}))

    header = grid_header(answer, []).header

    assert not header.HasField("candles")
    assert list(header.states) == []


def test_header_of_a_grid_names_its_model_and_what_that_means() -> None:
    ours = grid_header(grid_answer(2, 3), []).header
    theirs = grid_header(replace(grid_answer(2, 3), model=PositionModel.OPEN_ONLY, reconciled=False), []).header

    assert (ours.model, theirs.model) == (query_pb2.POSITION_MODEL_NET_OF_CLOSES, query_pb2.POSITION_MODEL_OPEN_ONLY)
    assert (ours.reconciled, theirs.reconciled) == (True, False)
    assert "open-only" not in ours.meaning
    assert "estimate by the open-only model" in theirs.meaning


def test_status_joins_engine_and_streams() -> None:
    engine = FakeEngine()
    hub = Hub(InProcessFrameSource(describe()), now_ns=lambda: 77)
    hub.counters.streams_open = 3
    hub.counters.ticks_conflated = 11
    hub.counters.count_lagged(stream_pb2.Lagged.REASON_OUT_OF_RING)
    symbol = SymbolStatus("BTC", 65_000, 0, 9, 100, 200, (engine.coverage("BTC"),), 12.5)
    status = EngineStatus("serving", "", 1.0, None, EPOCH, 5, "numpy", "fake", (symbol,), {"gaps": 2})

    answer = status_response(status, hub, Account(hub.counters, hub.timings))

    assert (answer.state, answer.streams, answer.ticks_conflated) == (query_pb2.ENGINE_STATE_SERVING, 3, 11)
    assert answer.counters["gaps"] == 2
    assert answer.counters["stream_lagged_out_of_ring"] == 1
    assert answer.server_unix_ns == 77
    assert answer.symbols[0].tick_compute_ms == 12.5
    assert answer.symbols[0].coverage[0].live_long_lots == 100


@pytest.mark.parametrize("state", ["building", "serving", "ended", "failed"])
def test_every_engine_state_has_a_name_on_the_wire(state: str) -> None:
    hub = Hub(InProcessFrameSource(describe()))

    answer = status_response(EngineStatus(state, "", 0.5, 3.0, 1, 0, "numpy", "fake"), hub, Account())

    assert query_pb2.EngineState.Name(answer.state) == f"ENGINE_STATE_{state.upper()}"
    assert answer.seconds_left == 3.0


def test_status_has_the_histograms_of_every_stage_as_metrics_has_them() -> None:
    hub = Hub(InProcessFrameSource(describe()))
    observed = hub.timings.freshness[Stage.FRAME_TO_SENT]
    for seconds in (0.0004, 0.002, 0.002, 3600.0):
        observed.observe(seconds)

    answer = status_response(
        EngineStatus("serving", "", 1.0, None, 1, 0, "numpy", "fake"), hub, Account(hub.counters, hub.timings)
    )

    assert [latency.stage for latency in answer.freshness] == [stage.value for stage in Stage]
    shown = next(latency for latency in answer.freshness if latency.stage == "frame_to_sent")
    bounds = [*answer.latency_bounds_seconds, float("inf")]
    assert list(zip(bounds, accumulate(shown.counts), strict=True)) == observed.cumulative()
    assert shown.sum_seconds == observed.sum
