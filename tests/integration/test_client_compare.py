"""Client.compare on a real loopback socket, of the past of a real engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from liqscape.engine import EngineThread
from liqscape.grid.updates import GridQuery
from liqscape_client import Client, ClientError, Comparison, InvalidRequest
from tests.integration.test_playback import serving
from tests.past_engine import FIRST, LAST, past_engine

EARLY, LATE = FIRST + 3, LAST - 2


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with past_engine() as running:
        yield running


async def open_by_row(engine: EngineThread, minute: int) -> dict[int, int]:
    """Return the newest column of the default grid of a minute by absolute row."""
    grid = await engine.get_grid(GridQuery("BTC", "24h", as_of_minute=minute))
    first = grid.axes.rows.first
    return {first + index: int(lots) for index, lots in enumerate(grid.cells[-1])}


async def test_change_is_that_of_the_grids_of_both_moments_row_by_row(engine: EngineThread) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        compared = await client.compare("BTC", "24h", earlier_minute=EARLY, later_minute=LATE)

    before, after = await open_by_row(engine, EARLY), await open_by_row(engine, LATE)
    first, change = compared.later.axes.first_row, compared.change()
    assert list(after) == [first + index for index in range(len(change))]
    known = [row for row in after if row in before]  # those that both default grids have
    assert len(known) > 50
    assert [int(change[row - first]) for row in known] == [after[row] - before[row] for row in known]
    assert np.any(change > 0)
    assert np.any(change < 0)
    assert compared.to_pandas()["change"].sum() == compared.change_usd().sum()


async def test_filters_count_for_both_moments(engine: EngineThread) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        whole = await client.compare("BTC", "24h", earlier_minute=EARLY, later_minute=LATE)
        longs = await client.compare("BTC", "24h", earlier_minute=EARLY, later_minute=LATE, side="long")
        shorts = await client.compare("BTC", "24h", earlier_minute=EARLY, later_minute=LATE, side="short")

    np.testing.assert_array_equal(longs.change() + shorts.change(), whole.change())
    assert np.any(longs.change() != whole.change())


async def test_moments_that_do_not_fit_are_refused_in_words(engine: EngineThread) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        with pytest.raises(ClientError, match=f"minute {LATE} is after minute {EARLY}"):
            await client.compare("BTC", "24h", earlier_minute=LATE, later_minute=EARLY)
        with pytest.raises(InvalidRequest, match="as_of_minute"):
            await client.compare("BTC", "24h", earlier_minute=EARLY, later_minute=LAST + 500)
        day = await client.grid("BTC", "24h", as_of_minute=EARLY)
        half = await client.grid("BTC", "12h", as_of_minute=LATE)

    with pytest.raises(ClientError, match=r"grids of axes .* cannot be compared"):
        Comparison(day, half)
