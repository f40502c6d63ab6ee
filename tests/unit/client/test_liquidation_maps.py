"""Liquidation maps put together from their parts, and two models compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from liqscape.v1 import query_pb2
from liqscape_client.client import Client
from liqscape_client.errors import ClientError, DecodeError
from liqscape_client.exact_positions import ExactPositions, ExactRow, ExactTotal
from liqscape_client.grid_options import GridOptions, MapOptions, grid_request, map_request, model_name
from liqscape_client.liquidation_maps import LiquidationMap, assemble_map
from tests.unit.client.fake_server import MAP_CELLS, FakeServer, map_parts
from tests.unit.client.wire_model import ModelEngine

Parts = list[query_pb2.GetLiquidationMapResponse]


def assembled(parts: Parts) -> LiquidationMap:
    async def arriving() -> AsyncIterator[query_pb2.GetLiquidationMapResponse]:
        for part in parts:
            yield part

    return asyncio.run(assemble_map(arriving()))


def test_map_is_put_together_from_its_fragments() -> None:
    found = assembled(map_parts())

    np.testing.assert_array_equal(found.cells, MAP_CELLS)
    assert [(s.leverage, s.side) for s in found.series] == [(10, "long"), (10, "short"), (20, "long"), (20, "short")]
    assert (found.symbol, found.epoch, found.tick, found.model, found.reconciled) == (
        "BTC",
        0xABCDEF,
        9,
        "net of closes",
        True,
    )
    assert (found.states, found.meaning) == (("SIMULATED",), "weighted lots; an estimate")
    assert (found.mark_price, found.price_row) == (89_040.6, 2226)
    assert found.price_low().tolist() == [89_000, 89_040, 89_080]
    assert found.price_middle().tolist() == [89_020, 89_060, 89_100]
    assert found.long_cumulative.tolist() == [14 * 4096, 7 * 4096, 0]
    assert found.short_cumulative_usd.tolist() == [3, 4, 28]
    assert found.coverage[0].live_long_lots == 20


def test_totals_are_inside_below_and_above_together() -> None:
    (long, short) = assembled(map_parts()).by_side

    assert (long.inside, long.below, long.above) == (14 * 4096, 3 * 4096, 0)
    assert (long.weighted_lots, long.usd) == (17 * 4096, 15.5)
    assert short.weighted_lots == 28 * 4096


def test_series_are_summed_by_what_is_named() -> None:
    found = assembled(map_parts())

    assert (found.of() // 4096).tolist() == [7, 8, 24]
    assert (found.of(side="short") // 4096).tolist() == [0, 1, 24]
    assert (found.of(leverage=10) // 4096).tolist() == [5, 7, 11]
    assert (found.of(leverage=20, side="long") // 4096).tolist() == [2, 0, 0]
    assert found.of(venue="nowhere").tolist() == [0, 0, 0]


def test_map_becomes_a_pandas_frame() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    found = assembled(map_parts())

    frame = found.to_pandas()

    assert frame.shape == (3, 4)
    assert frame[("", "", 20, "short")].tolist() == [0, 2048, 13 * 4096]
    assert frame.index.tolist() == [89_000, 89_040, 89_080]
    assert (frame.attrs["tick"], frame.attrs["model"]) == (9, "net of closes")
    assert "estimate" in frame.attrs["note"]


def _lose_header(parts: Parts) -> None:
    del parts[0]


def _lose_everything(parts: Parts) -> None:
    parts.clear()


def _lose_a_fragment(parts: Parts) -> None:
    del parts[1]


def _lose_the_end(parts: Parts) -> None:
    del parts[-1]


def _repeat_the_header(parts: Parts) -> None:
    parts.insert(1, parts[0])


def _repeat_a_fragment(parts: Parts) -> None:
    parts.append(parts[-1])


def _cut_a_fragment(parts: Parts) -> None:
    parts[1].fragment.cells = parts[1].fragment.cells[:-1]


def _lie_about_bytes(parts: Parts) -> None:
    parts[0].header.cells_bytes += 8


def _cut_a_curve(parts: Parts) -> None:
    del parts[0].header.long_cumulative_usd[0]


def _claim_absurd_rows(parts: Parts) -> None:
    parts[0].header.axis.rows = 4_000_000_000


def _claim_absurd_prices(parts: Parts) -> None:
    parts[0].header.axis.first_row = 1 << 60


def _forget_a_side(parts: Parts) -> None:
    parts[0].header.series[0].side = query_pb2.POSITION_SIDE_UNSPECIFIED


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_lose_header, "comes before its header"),
        (_lose_everything, "map ends after 0 of unknown many series"),
        (_lose_a_fragment, r"fragment \[2, 4\) does not follow 0 of 4"),
        (_lose_the_end, "map ends after 2 of 4 series"),
        (_repeat_the_header, "two headers"),
        (_repeat_a_fragment, r"fragment \[2, 4\) does not follow 4 of 4"),
        (_cut_a_fragment, "2 x 3 cells holds 47 bytes"),
        (_lie_about_bytes, "4 series and cells_bytes 104 makes no map"),
        (_cut_a_curve, "3 rows names 2 of long_cumulative_usd"),
        (_claim_absurd_rows, "rows 4000000000 makes no map"),
        (_claim_absurd_prices, "highest price .* makes no map"),
        (_forget_a_side, "has side 0"),
    ],
)
def test_malformed_map_is_refused(spoil: Callable[[Parts], None], what: str) -> None:
    parts = map_parts()
    spoil(parts)

    with pytest.raises(DecodeError, match=what):
        assembled(parts)


def test_options_become_the_request() -> None:
    options = MapOptions(
        venues=["binance"],
        leverages=[10, 20],
        side="long",
        leverage_shares={10: 1_000_000},
        base_steps_per_row=5,
        price_low=1.5,
        price_high=2.5,
        breakdown=["instrument", "leverage"],
        model="open only",
    )

    assert map_request("BTC", options) == query_pb2.GetLiquidationMapRequest(
        symbol="BTC",
        venues=["binance"],
        leverages=[10, 20],
        side=query_pb2.POSITION_SIDE_LONG,
        leverage_shares=[query_pb2.LeverageShare(leverage=10, share_ppm=1_000_000)],
        base_steps_per_row=5,
        price_low=1.5,
        price_high=2.5,
        breakdown=[query_pb2.MAP_BREAKDOWN_INSTRUMENT, query_pb2.MAP_BREAKDOWN_LEVERAGE],
        model=query_pb2.POSITION_MODEL_OPEN_ONLY,
    )
    assert grid_request("BTC", "24h", GridOptions(model="open only")).model == query_pb2.POSITION_MODEL_OPEN_ONLY
    assert grid_request("BTC", "24h", GridOptions()).model == query_pb2.POSITION_MODEL_NET_OF_CLOSES


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"side": "up"}, "side 'up' is unknown; use one of long, short"),
        ({"model": "vendor"}, "model 'vendor' is unknown; use one of net of closes, open only"),
        ({"breakdown": ["tier"]}, "breakdown 'tier' is unknown; use one of venue, instrument, leverage"),
    ],
)
def test_unknown_option_names_what_is_allowed(options: MapOptions, text: str) -> None:
    with pytest.raises(ClientError, match=text):
        map_request("BTC", options)


@pytest.mark.parametrize(
    ("number", "name"), [(0, "net of closes"), (1, "net of closes"), (2, "open only"), (7, "UNKNOWN_7")]
)
def test_model_of_an_answer_has_a_name(number: int, name: str) -> None:
    assert model_name(number) == name


async def test_client_asks_for_a_map_and_for_the_other_model() -> None:
    async with FakeServer(ModelEngine()) as server, Client(server.address) as client:
        found = await client.liquidation_map("BTC", breakdown=["leverage"])
        ours = await client.grid("BTC", "24h", as_of_minute=29_430_154)
        theirs = await client.grid("BTC", "24h", as_of_minute=29_430_154, model="open only")

    np.testing.assert_array_equal(found.cells, MAP_CELLS)
    assert list(server.map_requests[0].breakdown) == [query_pb2.MAP_BREAKDOWN_LEVERAGE]
    assert [request.model for request in server.grid_requests] == [
        query_pb2.POSITION_MODEL_NET_OF_CLOSES,
        query_pb2.POSITION_MODEL_OPEN_ONLY,
    ]
    theirs.cells[1, 2] += 5
    difference = ours.minus(theirs)
    assert difference[1, 2] == -5
    assert np.count_nonzero(difference) == 1
    with pytest.raises(ClientError, match="grids of newest_column 14715077 and 14715078 share no cells"):
        ours.minus(replace(theirs, newest_column=theirs.newest_column + 1))


def with_exact(**row: int) -> Parts:
    """Return a map beside which two rows are stated, the second as told."""
    long, short = query_pb2.POSITION_SIDE_LONG, query_pb2.POSITION_SIDE_SHORT
    parts = map_parts()
    second: dict[str, Any] = {"row": 2227, "side": short, "lots": 9, **row}
    parts[0].header.exact.append(
        query_pb2.ExactPositions(
            venue="hyperliquid",
            rows=[
                query_pb2.ExactRow(
                    row=2226, side=long, lots=30, model_lots=12, model_share=2.5, accounts=2, oldest_unix_ns=7
                ),
                query_pb2.ExactRow(**second),
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
                query_pb2.ExactTotal(side=short, inside_lots=9),
            ],
        )
    )
    return parts


def test_stated_positions_are_read_beside_the_map() -> None:
    found = assembled(with_exact())

    assert found.exact == (
        ExactPositions(
            "hyperliquid",
            (ExactRow(2226, "long", 30, 12, 2.5, 2, 7), ExactRow(2227, "short", 9, 0, None, 0, 0)),
            (
                ExactTotal("long", 30, 5, 6, 9, 4, 1, 6, 200, 0.25),
                ExactTotal("short", 9, 0, 0, 0, 0, 0, 0, 0, None),
            ),
        ),
    )
    assert found.exact[0].totals[0].lots == 50
    assert found.exact_lots().tolist() == [0, 30, 9]
    assert found.exact_lots(side="short").tolist() == [0, 0, 9]
    assert found.exact_lots(venue="elsewhere").tolist() == [0, 0, 0]
    np.testing.assert_array_equal(found.cells, MAP_CELLS)
    assert assembled(map_parts()).exact == ()


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"row": 2228}, "outside of the map"),
        ({"row": 2224}, "outside of the map"),
        ({"row": 2225}, "out of order"),
        ({"row": 2226, "side": query_pb2.POSITION_SIDE_LONG}, "out of order"),
        ({"side": query_pb2.POSITION_SIDE_UNSPECIFIED}, "have side 0"),
    ],
)
def test_stated_rows_that_fit_no_map_are_refused(row: dict[str, int], text: str) -> None:
    with pytest.raises(DecodeError, match=text):
        assembled(with_exact(**row))
