"""Liquidation maps as messages: every number in its place, fragments within their size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest

from liqscape.api.map_conversions import map_fragments, map_header
from liqscape.api.web_answers import row_json
from liqscape.axes import WEIGHT_ONE
from liqscape.config import MAX_FOUND_ACCOUNTS
from liqscape.events import PositionSide
from liqscape.feeds.accounts_file import MAX_NAMED
from liqscape.grid.exact_layer import ExactPositions, ExactRow, ExactTotal
from liqscape.grid.liquidation_map import ABOVE, BELOW, INSIDE, MAX_MAP_ROWS, MAX_MAP_SERIES
from liqscape.grid.updates import PositionModel
from liqscape.v1 import query_pb2, stream_pb2
from tests.fake_engine import EPOCH, map_answer


@pytest.mark.parametrize(("series", "rows"), [(1, 1), (396, 2260), (2, MAX_MAP_ROWS), (256, MAX_MAP_ROWS), (2048, 7)])
def test_fragments_hold_whole_series_and_make_up_the_map(series: int, rows: int) -> None:
    answer = map_answer(series, rows)

    parts = list(map_fragments(answer))

    assert [p.fragment.series_index for p in parts] == [0, *np.cumsum([p.fragment.series for p in parts])[:-1].tolist()]
    assert b"".join(p.fragment.cells for p in parts) == answer.map.cells.astype("<i8").tobytes()
    assert all(part.ByteSize() <= 1 << 20 for part in parts)


def test_largest_header_fits_a_message() -> None:
    answer = map_answer(MAX_MAP_SERIES, MAX_MAP_ROWS)

    assert map_header(answer, []).ByteSize() <= 1 << 20


def test_map_without_series_has_no_fragment() -> None:
    answer = map_answer(0, 5)

    assert list(map_fragments(answer)) == []
    assert map_header(answer, []).header.cells_bytes == 0


def test_header_tells_how_to_read_the_cells() -> None:
    answer = map_answer(3, 5)

    header = map_header(answer, [stream_pb2.DATA_STATE_REPLAY]).header

    assert (header.symbol, header.epoch, header.tick) == ("BTC", EPOCH, 9)
    assert header.axis == query_pb2.RowAxis(
        first_row=2900, rows=5, base_steps_per_row=2, base_step=1000, price_decimals=2
    )
    assert (header.lot_decimals, header.weight_one, header.mark_price) == (5, WEIGHT_ONE, 6_500_000)
    assert (header.price_row, header.source_watermark_unix_ns) == (3250, 9 * 10**9)
    assert list(header.usd_per_weighted_lot) == answer.map.usd_per_weighted_lot.tolist()
    assert list(header.states) == [stream_pb2.DATA_STATE_REPLAY]
    assert [coverage.instrument for coverage in header.coverage] == ["binance:BTCUSDT"]
    assert (header.model, header.reconciled) == (query_pb2.POSITION_MODEL_NET_OF_CLOSES, True)
    assert header.cells_bytes == 3 * 5 * 8
    assert list(header.long_cumulative_weighted_lots) == answer.map.curves[0].tolist()
    assert list(header.short_cumulative_weighted_lots) == answer.map.curves[1].tolist()
    assert list(header.long_cumulative_usd) == answer.map.curves_usd[0].tolist()
    assert list(header.short_cumulative_usd) == answer.map.curves_usd[1].tolist()
    assert [len(part) for part in (header.series, header.by_side, header.by_venue, header.by_leverage)] == [3, 2, 3, 5]


def test_series_tell_what_they_are_and_all_they_hold() -> None:
    answer = map_answer(2, 5)

    second = map_header(answer, []).header.series[1]

    lots, usd = answer.map.series.weighted_lots[1], answer.map.series.usd[1]
    assert second == query_pb2.MapSeries(
        venue="venue1",
        instrument="venue1:BTCUSDT",
        leverage=11,
        side=query_pb2.POSITION_SIDE_SHORT,
        inside=query_pb2.MapAmount(weighted_lots=int(lots[INSIDE]), usd=usd[INSIDE]),
        below=query_pb2.MapAmount(weighted_lots=int(lots[BELOW]), usd=usd[BELOW]),
        above=query_pb2.MapAmount(weighted_lots=int(lots[ABOVE]), usd=usd[ABOVE]),
    )


@pytest.mark.parametrize(
    ("model", "words"), [(m, w) for m, w in zip(PositionModel, ("by a model", "open-only model"), strict=True)]
)
def test_every_model_says_that_it_is_an_estimate(model: PositionModel, words: str) -> None:
    header = map_header(replace(map_answer(1, 1), model=model), []).header

    assert header.meaning.startswith("estimate by")
    assert words in header.meaning


EXACT = ExactPositions(
    "hyperliquid",
    rows=(
        ExactRow(2901, PositionSide.LONG, lots=30, model_lots=12, accounts=2, oldest_ns=7),
        ExactRow(2901, PositionSide.SHORT, lots=4, model_lots=0, accounts=1, oldest_ns=8),
    ),
    totals=(
        ExactTotal(
            PositionSide.LONG, 30, 5, 6, 9, accounts=4, accounts_without_price=1, oldest_ns=6, open_interest_lots=200
        ),
        ExactTotal(
            PositionSide.SHORT, 4, 0, 0, 0, accounts=1, accounts_without_price=0, oldest_ns=8, open_interest_lots=0
        ),
    ),
)


def test_stated_positions_are_told_beside_the_book_with_their_shares() -> None:
    (told,) = map_header(replace(map_answer(2, 5), exact=(EXACT,)), []).header.exact

    long, short = query_pb2.POSITION_SIDE_LONG, query_pb2.POSITION_SIDE_SHORT
    assert told == query_pb2.ExactPositions(
        venue="hyperliquid",
        rows=[
            query_pb2.ExactRow(
                row=2901, side=long, lots=30, model_lots=12, model_share=2.5, accounts=2, oldest_unix_ns=7
            ),
            query_pb2.ExactRow(row=2901, side=short, lots=4, model_lots=0, accounts=1, oldest_unix_ns=8),
        ],
        totals=[
            query_pb2.ExactTotal(
                side=long,
                inside_lots=30,
                below_lots=5,
                above_lots=6,
                without_price_lots=9,
                accounts=4,
                accounts_without_price=1,
                oldest_unix_ns=6,
                open_interest_lots=200,
                open_interest_share=0.25,
            ),
            query_pb2.ExactTotal(side=short, inside_lots=4, accounts=1, oldest_unix_ns=8),
        ],
    )
    assert not told.rows[1].HasField("model_share")
    assert not told.totals[1].HasField("open_interest_share")


def test_stated_positions_change_nothing_of_the_book() -> None:
    answer = map_answer(2, 5)

    told = map_header(replace(answer, exact=(EXACT,)), []).header
    told.ClearField("exact")

    assert told == map_header(answer, []).header
    assert not map_header(answer, []).header.exact


def test_largest_header_with_a_row_for_every_account_fits_a_message() -> None:
    accounts = MAX_NAMED + MAX_FOUND_ACCOUNTS
    widest = ExactRow(2**40, PositionSide.SHORT, lots=2**62, model_lots=2**61 + 1, accounts=1, oldest_ns=2**62)
    exact = replace(EXACT, rows=(widest,) * accounts)

    header = map_header(replace(map_answer(MAX_MAP_SERIES, MAX_MAP_ROWS), exact=(exact,)), [])

    assert len(header.header.exact[0].rows) == 1000
    assert header.ByteSize() <= 1 << 20


def test_row_tells_what_is_stated_in_it_and_its_share_where_the_book_has_something() -> None:
    answer = replace(map_answer(2, 1), exact=(EXACT,))

    told = orjson.loads(row_json([map_header(answer, []), *map_fragments(answer)]))

    assert told["exact"] == [
        {
            "venue": "hyperliquid",
            "side": "long",
            "lots": "30",
            "model_lots": "12",
            "model_share": 2.5,
            "accounts": 2,
            "oldest_unix_ns": "7",
        },
        {
            "venue": "hyperliquid",
            "side": "short",
            "lots": "4",
            "model_lots": "0",
            "accounts": 1,
            "oldest_unix_ns": "8",
        },
    ]
