"""Documents hold the cells that are meant, levels are looked up in the table, and figures say what was counted."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from benchmarks import bench_wire
from benchmarks.bench_wire import Sizes
from liqscape.axes import RowRange, SymbolScale, Timeframe
from liqscape.broadcast.levels import LEVELS, level_of_usd, lower_bound_usd
from liqscape.grid.updates import CandleColumns, Channel, ChannelAxes, ChannelUpdate

FRAME = Timeframe("12h", 1, 4, 120, 2)
SCALE = SymbolScale("BTC", price_decimals=2, base_step=1000, lot_decimals=5)


def some_candles() -> CandleColumns:
    return CandleColumns(*(np.array([n], np.int64) for n in (7, 100, 120, 90, 110)))


def test_grid_document_has_every_cell_that_is_not_empty() -> None:
    levels = np.array([[0, 3], [0, 0], [9, 0]], np.uint8)
    dollars = np.array([[10, 200], [0, 0], [1234, 5]], np.int64)

    document = json.loads(bench_wire.grid_document(levels, dollars, [1.5, 2.0], some_candles()))

    assert document == {
        "y_axis": [1.5, 2.0],
        "cells": [[0, 1, 200], [2, 0, 1234]],
        "candles": [[7, 100, 120, 90, 110]],
    }


def test_changed_document_has_the_cells_of_the_delta() -> None:
    update = ChannelUpdate(
        channel=Channel(1, "BTC", FRAME),
        generation=1,
        axes=None,
        newest_column=7,
        cells=np.array([1, 4, 5], np.uint32),
        levels=np.array([8, 0, 255], np.uint8),
        candles=CandleColumns.none(),
        all_candles=CandleColumns.none(),
    )

    document = json.loads(gzip.decompress(bench_wire.squeezed(bench_wire.changed_document(update, 2))))

    assert document == {"cells": [[0, 1, 8], [2, 0, 0], [2, 1, 255]], "candles": []}


def test_levels_of_dollars_are_those_of_the_formula() -> None:
    amounts = sorted({usd + step for level in range(LEVELS) for usd in [lower_bound_usd(level)] for step in (0, 1, 63)})

    found = bench_wire.levels_of(np.array([amounts], np.float64))

    assert found.tolist() == [[level_of_usd(usd) for usd in amounts]]


def test_row_prices_are_the_lower_ends_of_rows() -> None:
    axes = ChannelAxes(FRAME, SCALE, RowRange(100, 3, 2))

    assert bench_wire.row_prices(axes) == [2000.0, 2020.0, 2040.0]


def summaries() -> dict[str, dict[str, float]]:
    sizes = Sizes(
        ticks=8,
        deltas=[100, 200, 3000, 4000],
        changed_json=[400, 800, 9000, 9000],
        keyframes=[50_000],
        sent=60_000,
        json_plain=[2_000_000],
        json_gzip=[500_000],
        levels_gzip=[400_000],
    )
    return {"24h": sizes.summary(days=2.0)}


def test_summary_counts_what_was_sent_and_what_json_would_have_been() -> None:
    found = summaries()["24h"]

    assert (found["delta_median"], found["delta_p90"], found["delta_max"]) == (1600.0, 4000.0, 4000.0)
    assert found["delta_share_of_ticks"] == 0.5
    assert found["day"] == 15_000
    assert found["json_gzip_day"] == 1_000_000
    assert found["gzip_over_delta"] == pytest.approx(312.5)


def test_figures_name_timeframes_and_the_day() -> None:
    figures = bench_wire.figures_of("5m", summaries(), [100, 200, 3000, 4000], other_day=5_000)

    assert figures["5m ticks, any channel"] == "delta 3.0 KB / 4.0 KB / 4.0 KB"
    assert figures["5m ticks, 24h"].startswith(
        "delta 1.6 KB / 4.0 KB / 4.0 KB, keyframe 50 KB, 15 KB a day; JSON 2.0 MB"
    )
    assert figures["5m ticks, a symbol a day"] == "20 KB; JSON gzip 1.0 MB (x 50), changed cells 4.8 KB (x 0.2)"


def test_what_is_larger_than_wanted_is_named() -> None:
    found = summaries()
    found["1y"] = found["24h"] | {"delta_median": 2_100.0, "gzip_over_delta": 49.0}

    assert bench_wire.shortfalls("5m", found) == ["5m 1y delta 2.1 KB", "5m 1y x 49"]
