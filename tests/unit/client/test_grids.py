"""Exact grids put together from their parts, and what users do with grids and heatmaps."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from liqscape.v1 import query_pb2
from liqscape_client.client import assemble_grid, channel_selectors
from liqscape_client.decoding import LEVEL_USD
from liqscape_client.errors import ClientError, DecodeError, MissingPackage
from liqscape_client.grids import Grid, Heatmap
from liqscape_client.replica import Replica
from tests.unit.client.fake_server import grid_cells, grid_parts
from tests.unit.client.wire_model import ModelChannel

Parts = list[query_pb2.GetGridResponse]


def assembled(parts: Parts) -> Grid:
    async def arriving() -> AsyncIterator[query_pb2.GetGridResponse]:
        for part in parts:
            yield part

    return asyncio.run(assemble_grid(arriving()))


def heatmap() -> Heatmap:
    channel, replica = ModelChannel(), Replica("BTC", "24h", 1)
    channel.change(2, {0: 5, 7: 200})
    replica.apply(channel.keyframe())
    return replica.heatmap()


def test_grid_is_put_together_from_its_fragments() -> None:
    channel = ModelChannel(columns=5)

    grid = assembled(grid_parts(channel))

    np.testing.assert_array_equal(grid.cells, grid_cells(channel))
    assert (grid.symbol, grid.timeframe, grid.epoch, grid.tick) == ("BTC", "24h", 0xABCDEF, 1)
    assert grid.states == ("SIMULATED",)
    assert grid.mark_price == 89_040
    assert grid.price_low()[0] == 80_400
    assert str(grid.column_start()[-1]) == "2025-12-15T14:34"
    assert grid.candles.open[-1] == 90_000 + 10 * (channel.newest_column % 7)
    assert grid.meaning == "weighted lots; an estimate"


def test_usd_is_cut_to_whole_dollars_row_by_row() -> None:
    grid = assembled(grid_parts(ModelChannel(columns=2, rows=2)))
    grid.cells[:] = [[1, 2], [-3, 5]]

    assert grid.usd().tolist() == [[0, 2], [0, 6]]
    assert grid.lots()[1, 1] == 5 / 4096


def _lose_header(parts: Parts) -> None:
    del parts[0]


def _lose_everything(parts: Parts) -> None:
    parts.clear()


def _lose_a_fragment(parts: Parts) -> None:
    del parts[2]


def _lose_the_end(parts: Parts) -> None:
    del parts[-1]


def _repeat_the_header(parts: Parts) -> None:
    parts.insert(1, parts[0])


def _repeat_a_fragment(parts: Parts) -> None:
    parts.append(parts[-1])


def _cut_a_fragment(parts: Parts) -> None:
    parts[1].fragment.cells = parts[1].fragment.cells[:-1]


def _empty_a_fragment(parts: Parts) -> None:
    parts[1].fragment.columns = 0


def _lie_about_bytes(parts: Parts) -> None:
    parts[0].header.cells_bytes += 8


def _lose_a_factor(parts: Parts) -> None:
    del parts[0].header.usd_per_weighted_lot[0]


def _claim_absurd_rows(parts: Parts) -> None:
    parts[0].header.axes.rows = 4_000_000_000


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_lose_header, "comes before its header"),
        (_lose_everything, "grid ends after 0 of unknown many columns"),
        (_lose_a_fragment, r"fragment \[4, 6\) does not follow 2 of 6"),
        (_lose_the_end, "grid ends after 4 of 6 columns"),
        (_repeat_the_header, "two headers"),
        (_repeat_a_fragment, r"fragment \[4, 6\) does not follow 6 of 6"),
        (_cut_a_fragment, "2 x 5 cells holds 79 bytes"),
        (_empty_a_fragment, "does not follow"),
        (_lie_about_bytes, "names 248 bytes"),
        (_lose_a_factor, "5 rows names 4 factors"),
        (_claim_absurd_rows, "columns x rows 24000000000 make no grid"),
    ],
)
def test_malformed_grid_is_refused(spoil: Callable[[Parts], None], what: str) -> None:
    parts = grid_parts(ModelChannel())
    spoil(parts)

    with pytest.raises(DecodeError, match=what):
        assembled(parts)


def test_heatmap_estimates_usd_from_levels() -> None:
    usd = heatmap().usd()

    assert usd.shape == (6, 5)
    assert sorted(set(usd.ravel())) == [0, LEVEL_USD[5], LEVEL_USD[200]]


def test_heatmap_becomes_a_pandas_frame() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    taken = heatmap()

    frame = taken.to_pandas()

    assert frame.shape == (6, 5)
    assert frame.index[-1] == pandas.Timestamp("2025-12-15T14:34", tz="UTC")
    assert frame.columns.tolist() == [80_400, 80_440, 80_480, 80_520, 80_560]
    np.testing.assert_array_equal(frame.to_numpy(), taken.usd())
    assert frame.attrs["in_sync"] is True
    assert "estimate" in frame.attrs["note"]


def test_heatmap_becomes_an_xarray_dataset() -> None:
    pytest.importorskip("xarray", reason="xarray is not installed")
    taken = heatmap()

    dataset = taken.to_xarray()

    assert dict(dataset.sizes) == {"time": 6, "price": 5}
    np.testing.assert_array_equal(dataset["usd"].values, taken.usd())
    np.testing.assert_array_equal(dataset["level"].values, taken.levels)
    np.testing.assert_array_equal(dataset["high"].values, taken.candles.high)
    assert dataset["price"].values[0] == 80_420
    assert dataset.attrs["symbol"] == "BTC"


def test_grid_becomes_pandas_and_xarray() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("xarray", reason="xarray is not installed")
    grid = assembled(grid_parts(ModelChannel()))

    np.testing.assert_array_equal(grid.to_pandas().to_numpy(), grid.usd())
    np.testing.assert_array_equal(grid.to_xarray()["weighted_lots"].values, grid.cells)
    assert grid.to_xarray().attrs["states"] == "SIMULATED"


@pytest.mark.parametrize("package", ["pandas", "xarray"])
def test_absent_package_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, within: str | None = None) -> object:
        if name == package:
            raise ImportError(name)
        return real(name, within)

    monkeypatch.setattr(importlib, "import_module", without)

    with pytest.raises(MissingPackage, match=f"pip install {package}"):
        getattr(heatmap(), f"to_{package}")()


def test_selectors_are_every_symbol_with_every_timeframe() -> None:
    def named(symbols: str | list[str], timeframes: str | list[str]) -> list[tuple[str, str]]:
        return [(s.symbol, s.timeframe) for s in channel_selectors(symbols, timeframes)]

    assert named("BTC", "24h") == [("BTC", "24h")]
    assert named(["BTC", "ETH"], ["24h", "1y"]) == [("BTC", "24h"), ("BTC", "1y"), ("ETH", "24h"), ("ETH", "1y")]
    assert named("BTC", []) == [("BTC", "")]
    assert named([], []) == []


def test_timeframes_without_a_symbol_are_refused() -> None:
    with pytest.raises(ClientError, match="need a symbol"):
        channel_selectors([], "24h")
