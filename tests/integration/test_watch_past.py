"""`liqscape watch --from`, from its arguments to what it prints, against the past of a real engine."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from liqscape.engine import EngineThread
from liqscape_client import Client, ClientError, Heatmap, watch
from liqscape_client.terminal_frame import WatchState
from liqscape_client.watch_past import minute_of, play_past
from tests.integration.test_playback import serving
from tests.past_engine import FIRST, LAST, past_engine

NOON = 29_497_680
"""2026-01-31 12:00 UTC."""


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with past_engine() as running:
        yield running


@pytest.mark.parametrize(
    ("text", "minute"),
    [
        ("90m", 910),
        ("6h", 640),
        ("1d", 0),
        ("2026-01-31T12:00", NOON),
        ("2026-01-31 12:00:59Z", NOON),
        ("2026-01-31T13:00+01:00", NOON),
    ],
)
def test_time_is_ago_or_of_a_clock(text: str, minute: int) -> None:
    assert minute_of(text, 1000) == minute


@pytest.mark.parametrize("text", ["", "6", "6w", "-6h", "noon", "999999d"])
def test_time_that_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(ClientError, match=r"is no time; use for example 90m, 6h or 1d \(ago\)"):
        minute_of(text, 1000)


@pytest.mark.slow
async def test_past_is_shown_picture_by_picture_to_the_newest_whole_minute(engine: EngineThread) -> None:
    shown: list[tuple[Heatmap, WatchState]] = []
    async with serving(engine) as server, Client(server.address) as client:
        await play_past(client, "BTC", "24h", "10m", 0.0, lambda *picture: shown.append(picture))

    assert [state.status.rpartition(", ")[2] for _, state in shown] == ["playing"] * 4 + ["stopped"]
    assert [state.data_unix_ns // 60_000_000_000 - LAST for _, state in shown] == [-9, -7, -5, -3, -1]
    assert all(state.in_sync and state.tags == ("SIMULATED", "REPLAY") for _, state in shown)
    assert [heatmap.newest_column for heatmap, _ in shown] == [(LAST - n) // 2 for n in (10, 8, 6, 4, 2)]
    assert shown[0][1].mark_price is not None


async def test_time_that_is_not_past_is_refused(engine: EngineThread) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        with pytest.raises(ClientError, match="--from '0m' is not past; the newest whole minute is"):
            await play_past(client, "BTC", "24h", "0m", 0.0, lambda *_: None)


@pytest.mark.slow
async def test_once_prints_the_picture_of_then(engine: EngineThread) -> None:
    parser = argparse.ArgumentParser()
    watch.add_watch_arguments(parser)
    console = Console(file=io.StringIO(), width=100, height=20, force_terminal=False)
    async with serving(engine) as server:
        arguments = parser.parse_args(["btc", "24h", "--address", server.address, "--from", f"{LAST - FIRST}m"])

        assert await watch.show(arguments, console) == 0

    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "REPLAY" in said
    assert "IN SYNC" in said
    assert len(said.splitlines()) == 20
