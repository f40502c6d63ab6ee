"""The worked bytes of clients/README.md are true."""

from __future__ import annotations

import asyncio
import re
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from liqscape.v1 import stream_pb2
from liqscape_client.channel_selectors import channel_selectors
from liqscape_client.decoding import (
    LEVEL_USD,
    decode_keyframe,
    decode_runs,
    inflate,
    level_bounds_usd,
    runs_limit_bytes,
)
from liqscape_client.replica import Outcome, Replica
from tests.unit.client.fake_server import FakeServer
from tests.unit.client.wire_model import ModelEngine

TEXT: Final = (Path(__file__).parents[3] / "clients" / "README.md").read_text("utf-8")
BYTES: Final = {
    name: bytes.fromhex(digits) for name, digits in re.findall(r"^([a-z ]+): ((?:[0-9a-f]{2} ?)+)$", TEXT, re.MULTILINE)
}

PROGRAMS: Final = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def keyframe() -> stream_pb2.ChannelChunk:
    return stream_pb2.ChannelChunk(
        tick=1,
        kind=stream_pb2.CHUNK_KIND_KEYFRAME,
        axes=stream_pb2.Axes(column_minutes=2, columns=3, rows=4, base_steps_per_row=2, base_step=20),
        newest_column=7,
        encoding=stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB,
        payload=BYTES["keyframe payload"],
        checksum=int.from_bytes(BYTES["checksum"], "big"),
    )


def test_request_is_what_a_client_sends() -> None:
    request = stream_pb2.SubscribeRequest.FromString(BYTES["request"])

    assert [(channel.symbol, channel.timeframe) for channel in request.channels] == [("BTC", "24h")]


def test_requests_of_a_playback_are_what_a_client_sends() -> None:
    play, seek = (stream_pb2.PlaybackRequest.FromString(BYTES[name]) for name in ("play", "seek"))

    assert play.open == stream_pb2.PlaybackOpen(
        channels=[stream_pb2.ChannelSelector(symbol="BTC", timeframe="24h")],
        from_minute=29_904_000,
        until_minute=29_904_060,
        speed=600.0,
    )
    assert seek.seek.minute == 29_904_030


def test_requests_of_a_session_are_what_a_client_sends() -> None:
    said = {name: stream_pb2.SessionRequest.FromString(BYTES[name]) for name in ("open", "acknowledge", "reject")}

    assert [(channel.symbol, channel.timeframe) for channel in said["open"].open.channels] == [("BTC", "24h")]
    assert said["open"].open.max_in_flight == 2
    assert said["acknowledge"].acknowledge.frames == 3
    assert list(said["reject"].reject.channel_ids) == [7]
    assert said["reject"].reject.reason == stream_pb2.Reject.REASON_GAP


def test_selectors_of_tiles_and_custom_channels_are_what_a_client_sends() -> None:
    (prices,) = channel_selectors("BTC", "24h", prices=(60_000, 66_000))
    (positions,) = channel_selectors("BTC", "24h", leverages=[10], side="long")
    (coarse,) = channel_selectors("BTC", "24h", row_fold=4)

    assert prices.SerializeToString() == BYTES["prices"]
    assert positions.SerializeToString() == BYTES["positions"]
    assert coarse.SerializeToString() == BYTES["coarse"]


def test_keyframe_becomes_the_ring() -> None:
    assert inflate(BYTES["keyframe payload"], 12) == BYTES["keyframe inflated"]

    ring = decode_keyframe(BYTES["keyframe payload"], stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB, 3, 4, 7)

    assert ring.tobytes() == BYTES["ring"]


def test_checksum_is_that_of_its_input() -> None:
    assert zlib.crc32(BYTES["checksum input"]).to_bytes(4, "big") == BYTES["checksum"]


def test_delta_names_its_cells() -> None:
    cells, levels = decode_runs(BYTES["delta payload"], 12)

    assert cells.tolist() == [7, 9, 10]
    assert levels.tolist() == [0, 7, 10]


def test_replica_follows_the_example() -> None:
    replica = Replica("BTC", "24h", 0)
    delta = stream_pb2.ChannelChunk(
        prev_tick=1,
        tick=2,
        kind=stream_pb2.CHUNK_KIND_DELTA,
        newest_column=8,
        encoding=stream_pb2.ENCODING_RLE8,
        payload=BYTES["delta payload"],
        checksum=int.from_bytes(BYTES["checksum after"], "big"),
    )

    assert replica.apply(keyframe()) is Outcome.APPLIED
    assert replica.levels().tolist() == [[0, 5, 0, 0], [0, 5, 9, 0], [0, 6, 9, 255]]
    assert replica.apply(delta) is Outcome.APPLIED

    after = BYTES["ring after"]
    assert replica.levels().tobytes() == after
    assert replica.levels()[-1].tolist() == list(after[8:12])


@pytest.mark.parametrize(("level", "usd"), [(5, 349.09), (85, 441_761.19)])
def test_levels_named_stand_for_what_is_said(level: int, usd: float) -> None:
    low, high = level_bounds_usd(level)

    assert LEVEL_USD[level] == pytest.approx(usd, abs=0.005)
    assert f"level {level} is {low:,} to {high:,}" in TEXT
    assert f"{level_bounds_usd(255)[0]:,} USD" in TEXT


def test_bound_of_runs_is_what_is_said() -> None:
    for cells in (1, 128, 12_800, 1 << 20):
        assert runs_limit_bytes(cells) == cells * 3 + cells // 128 + 6


def test_cells_of_a_map_are_what_is_said() -> None:
    cells = np.frombuffer(BYTES["map cells"], "<i8").reshape(2, 3)

    assert (cells // 4096).tolist() == [[1, 2, 0], [2, 4, 0]]


async def test_program_of_clusters_runs_and_says_what_it_promises(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [text for text in PROGRAMS if "client.clusters" in text]
    async with FakeServer(ModelEngine()) as server:
        code = compile(program.replace("127.0.0.1:50051", server.address), "clients/README.md", "exec")

        await asyncio.to_thread(exec, code, {})

    assert capsys.readouterr().out.splitlines() == [
        "long 95000.0 95500.0 47.5 20.0 True",
        "0.2 of it is stated by venues; medium ['1 venue is counted, fewer than 3']",
        "0.75 2.5 (1, 28)",
    ]


async def test_program_that_asks_for_a_map_and_compares_models_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [text for text in PROGRAMS if "liquidation_map" in text]
    async with FakeServer(ModelEngine()) as server:
        code = compile(program.replace("127.0.0.1:50051", server.address), "clients/README.md", "exec")

        await asyncio.to_thread(exec, code, {})

    said = capsys.readouterr().out.splitlines()
    assert said[0] == "(4, 3) 89000.0 49152"
    assert said[1] == "14.0 USD of longs are gone once the price has fallen to 89000.0"
    assert said[-2:] == ["0 False False", "0 0.0 80400.0"]
