"""Questions over a real unix socket: what is asked, answered, refused and cancelled arrives as it left."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liqscape.broadcast.ports import QueryPort
from liqscape.errors import (
    InputDataError,
    InvalidArgument,
    LimitExceeded,
    LiqscapeError,
    ModelError,
    NotFound,
    NotReady,
    OutOfRange,
    Unavailable,
)
from liqscape.feeds.source import Progress
from liqscape.grid.updates import EngineStatus, GridAnswer, GridQuery, MapQuery
from liqscape.link.asker import Asker, Late
from liqscape.link.engine_link import NO_ENGINE, EngineLink
from liqscape.link.host import hosting, port_methods
from liqscape.link.places import engine_socket, socket_folder
from tests.fake_engine import FakeQueries, grid_answer, map_answer
from tests.link_engine import WAIT_S, Busy, HostedEngine, hosted_engine, linked
from tests.unit.insight.hand_made_books import Lots, book

QUERY = GridQuery("BTC", "24h", venues=("binance",))


@pytest.fixture
async def engine() -> AsyncIterator[HostedEngine]:
    """Return an engine that can be asked."""
    async with hosted_engine() as made:
        yield made


async def test_every_method_of_the_port_answers_as_it_does_in_one_process(engine: HostedEngine) -> None:
    async with linked(engine.path) as link:
        grid = await link.get_grid(QUERY)
        picture = await link.get_picture(QUERY)
        chart = await link.get_liquidation_map(MapQuery("BTC"))
        engine.queries.book = book([Lots(95_000, 10)])
        keyed = await link.get_keyed_book(MapQuery("BTC"))

        assert_same_grid(grid, grid_answer(40, 30))
        assert (picture.ring == (await engine.queries.get_picture(QUERY)).ring).all()
        assert (chart.map.cells == map_answer(rows=50).map.cells).all()
        assert chart.map.by_venue.groups == map_answer(rows=50).map.by_venue.groups
        assert keyed.book.profile.lots.tolist() == [10]
        assert (keyed.venues, keyed.scale, keyed.book.rows) == (
            engine.queries.book.venues,
            engine.queries.book.scale,
            engine.queries.book.book.rows,
        )
        assert await link.status() == engine.queries.state
        assert await link.instruments() == await engine.queries.instruments()
        assert await link.progress() == Progress(3, 7, "bars")
        assert set(port_methods(engine.queries)) == {
            "get_grid",
            "get_picture",
            "get_liquidation_map",
            "get_keyed_book",
            "status",
            "instruments",
        }
        assert set(vars(QueryPort)) & set(vars(EngineLink)) >= set(port_methods(engine.queries))


def assert_same_grid(grid: GridAnswer, expected: GridAnswer) -> None:
    assert (grid.cells == expected.cells).all()
    assert grid.cells.dtype == np.int64
    assert (grid.usd_per_weighted_lot == expected.usd_per_weighted_lot).all()
    assert (grid.axes, grid.coverage, grid.candles.column.tolist()) == (
        expected.axes,
        expected.coverage,
        expected.candles.column.tolist(),
    )


async def test_question_arrives_with_all_its_fields(engine: HostedEngine) -> None:
    asked: list[GridQuery] = []

    class Listening(FakeQueries):
        async def get_grid(self, query: GridQuery) -> GridAnswer:
            asked.append(query)
            return await super().get_grid(query)

    question = replace(QUERY, leverages=(10, 25), price_low=90_000.5, max_cells=7, as_of_minute=5, columns=3)
    listening = Listening(engine.fake, grid=grid_answer(2, 2))
    path = engine.path.with_name("listening")
    async with hosting(path, port_methods(listening)), linked(path) as link:
        await link.get_grid(question)

    assert asked == [question]


ERRORS: list[LiqscapeError] = [
    InvalidArgument("columns is 0"),
    NotFound("symbol 'X' is unknown"),
    OutOfRange("minute 5 is not held"),
    NotReady("history is still being built", 0.4),
    LimitExceeded("too many cells", 250),
    Unavailable("the engine has failed: it broke"),
    InputDataError("a.parquet", 7, "price must rise"),
    ModelError("live and uncovered are not open interest"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_error_arrives_as_its_type_with_all_it_says(engine: HostedEngine, error: LiqscapeError) -> None:
    engine.queries.error = error

    async with linked(engine.path) as link:
        with pytest.raises(LiqscapeError) as caught:
            await link.get_grid(QUERY)

    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    assert caught.value.__dict__ == error.__dict__


async def test_defect_of_the_engine_is_told_as_one_and_logged_where_it_is(
    engine: HostedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.queries.error = ZeroDivisionError("a secret of the engine")

    async with linked(engine.path) as link:
        with pytest.raises(ModelError, match=r"^get_grid failed: ZeroDivisionError$"):
            await link.get_grid(QUERY)

    assert "question get_grid failed" in caplog.text


@pytest.fixture
async def busy(engine: HostedEngine) -> AsyncIterator[tuple[Busy, Path]]:
    made = Busy(engine.fake)
    path = engine.path.with_name("busy")
    async with hosting(path, port_methods(made)):
        yield made, path


async def test_cancelled_question_is_cancelled_in_the_engine(busy: tuple[Busy, Path]) -> None:
    queries, path = busy
    async with linked(path) as link:
        question = asyncio.create_task(link.get_grid(QUERY))
        await asyncio.wait_for(queries.began.wait(), WAIT_S)

        question.cancel()

        await asyncio.wait_for(queries.cancelled.wait(), WAIT_S)
        with pytest.raises(asyncio.CancelledError):
            await question


async def test_deadline_of_a_question_reaches_the_engine(busy: tuple[Busy, Path]) -> None:
    queries, path = busy
    asker = Asker(path, "the engine")
    with pytest.raises(Late, match=r"^the engine has not answered within 0\.2 s$") as caught:
        await asker.ask("get_grid", QUERY, timeout_s=0.2)

    await asyncio.wait_for(queries.cancelled.wait(), WAIT_S)
    assert caught.value.retry_after_ms == 1000
    await asker.close()


async def test_question_of_an_edge_that_has_gone_is_cancelled(busy: tuple[Busy, Path]) -> None:
    queries, path = busy
    link = EngineLink(path)
    question = asyncio.create_task(link.get_grid(QUERY))
    await asyncio.wait_for(queries.began.wait(), WAIT_S)

    await link.close()

    await asyncio.wait_for(queries.cancelled.wait(), WAIT_S)
    await asyncio.gather(question, return_exceptions=True)


async def test_edge_without_an_engine_answers_as_one_that_is_starting() -> None:
    with socket_folder() as folder:
        async with linked(engine_socket(folder)) as link:
            assert await link.status() == NO_ENGINE
            assert (await link.progress()).total == 0
            with pytest.raises(NotReady, match="the engine is starting") as caught:
                await link.get_grid(QUERY)
            with pytest.raises(NotReady, match="the engine is starting"):
                await link.instruments()

    assert caught.value.retry_after_ms == 1000


async def test_engine_that_has_ended_is_said_to_be_started_again(engine: HostedEngine) -> None:
    path = engine.path.with_name("short")
    async with linked(path) as link:
        async with hosting(path, port_methods(engine.queries)):
            before = await link.status()

        after = await link.status()
        with pytest.raises(Unavailable, match="the engine has ended and is being started again") as caught:
            await link.get_grid(QUERY)
        async with hosting(path, port_methods(engine.queries)):
            again = await found_again(link)

    assert before.state == "serving"
    assert (after.state, after.epoch, after.tick) == ("building", before.epoch, before.tick)
    assert "is being started again" in after.message
    assert type(caught.value) is Unavailable
    assert caught.value.retry_after_ms == 1000
    assert again == before


async def found_again(link: EngineLink) -> EngineStatus:
    async with asyncio.timeout(WAIT_S):
        while (status := await link.status()).state != "serving":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return status


async def test_sockets_lie_in_a_folder_that_nobody_else_can_enter(tmp_path: Path) -> None:
    with socket_folder() as folder:
        mode = stat.S_IMODE(folder.stat().st_mode)

    assert mode == 0o700
    assert not folder.exists()


async def test_folder_whose_path_is_too_long_for_a_socket_is_made_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    with socket_folder() as folder:
        assert len(str(engine_socket(folder))) < 100
    assert not any(long.iterdir())
