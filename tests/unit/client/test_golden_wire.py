"""The client reads the golden bytes that the server writes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.decoding import LEVEL_USD, decode_delta, decode_keyframe, level_bounds_usd, window_to_ring
from liqscape_client.errors import DecodeError
from liqscape_client.grid_options import MapOptions, map_request
from liqscape_client.liquidation_maps import assemble_map
from liqscape_client.replica import Outcome, Replica
from liqscape_client.replica_set import ReplicaSet
from tests.unit.client.wire_model import checksum, encode_keyframe

WIRE: Final = Path(__file__).parents[2] / "golden" / "wire"


def read(name: str) -> Any:
    return json.loads((WIRE / f"{name}.json").read_text("utf-8"))


def names(prefix: str) -> list[str]:
    return sorted(path.stem for path in WIRE.glob(f"{prefix}_*.json"))


def ring_of(golden: dict[str, Any], cells: list[int], levels: list[int]) -> NDArray[np.uint8]:
    ring = np.zeros(golden["axes"]["columns"] * golden["axes"]["rows"], dtype=np.uint8)
    ring[cells] = levels
    return ring.reshape(golden["axes"]["columns"], golden["axes"]["rows"])


def in_ring_order(replica: Replica) -> NDArray[np.uint8]:
    return window_to_ring(replica.levels(), replica.heatmap().newest_column)


def assert_candles(replica: Replica, golden: dict[str, Any]) -> None:
    heatmap = replica.heatmap()
    unit = 10 ** golden["axes"]["price_decimals"]
    for candle in golden["candles"]:
        index = candle["column"] - heatmap.newest_column - 1
        for name in ("open", "high", "low", "close"):
            assert getattr(heatmap.candles, name)[index] * unit == pytest.approx(candle[name])


def test_goldens_are_there() -> None:
    assert names("keyframe")
    assert names("delta")


@pytest.mark.parametrize("name", names("keyframe"))
def test_golden_keyframe_becomes_its_ring(name: str) -> None:
    golden = read(name)
    replica = Replica("BTC", "24h", 1)

    outcome = replica.apply(stream_pb2.Chunk.FromString(bytes.fromhex(golden["chunk"])).channel)

    assert outcome is Outcome.APPLIED, replica.reason
    np.testing.assert_array_equal(in_ring_order(replica), ring_of(golden, golden["cells"], golden["levels"]))
    assert replica.heatmap().newest_column == golden["newest_column"]
    assert_candles(replica, golden)


@pytest.mark.parametrize("name", names("delta"))
def test_golden_delta_changes_its_cells(name: str) -> None:
    golden = read(name)
    chunk = stream_pb2.Chunk.FromString(bytes.fromhex(golden["chunk"])).channel
    before = ring_of(golden, golden["before"]["cells"], golden["before"]["levels"])
    newest_column = golden["newest_column"]
    window = np.roll(before, -((newest_column + 1) % len(before)), axis=0)
    replica = Replica("BTC", "24h", 1)
    replica.apply(
        stream_pb2.ChannelChunk(
            generation=chunk.generation,
            tick=chunk.prev_tick,
            kind=stream_pb2.CHUNK_KIND_KEYFRAME,
            axes=stream_pb2.Axes(**golden["axes"]),
            newest_column=newest_column,
            encoding=stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB,
            payload=encode_keyframe(window),
            checksum=checksum(before, newest_column),
        )
    )

    outcome = replica.apply(chunk)

    after = before.copy()
    after.reshape(-1)[golden["cells"]] = golden["levels"]
    assert chunk.HasField("checksum")
    assert outcome is Outcome.APPLIED, replica.reason
    np.testing.assert_array_equal(in_ring_order(replica), after)
    assert_candles(replica, golden)


@pytest.mark.parametrize("golden", read("rejected"), ids=lambda golden: golden["why"])
def test_golden_of_malformed_bytes_is_refused(golden: dict[str, Any]) -> None:
    payload, columns, rows = bytes.fromhex(golden["payload"]), golden["columns"], golden["rows"]
    encoding = stream_pb2.Encoding.Value(golden["encoding"])

    def decode() -> None:
        if encoding == stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB:
            decode_keyframe(payload, encoding, columns, rows, 0)
        else:
            decode_delta(payload, encoding, columns * rows)

    with pytest.raises(DecodeError):
        decode()


def test_golden_scale_is_ours() -> None:
    golden = read("levels")

    assert [level_bounds_usd(level)[0] for level in range(256)] == golden["lower_bounds_usd"]
    np.testing.assert_allclose(LEVEL_USD, golden["values_usd"], rtol=1e-12)


@pytest.mark.parametrize("name", ["stream", *names("stream")])
def test_golden_stream_leads_to_each_of_its_states(name: str) -> None:
    golden = read(name)
    replicas = ReplicaSet(lambda: 0.0)
    replicas.connecting()

    for step in golden["steps"]:
        if step.get("connecting"):
            replicas.connecting()
        effect = replicas.apply(stream_pb2.Frame.FromString(bytes.fromhex(step["frame"])))

        points = replicas.resume_points()
        assert replicas.in_sync == step["in_sync"], step["what"]
        assert (effect.broken is not None) == step["broken"], step["what"]
        assert [point.tick for point in points] == [step["resume_tick"]] * (step["resume_tick"] is not None)
        assert effect.reconnect_after_ms == step.get("reconnect_after_ms")
        assert replicas.last_lagged == step.get("lagged", replicas.last_lagged)
        held = {str(r.channel_id): r for r in (replicas.replica(*key) for key in replicas.channels())}
        for channel_id, expected in step["channels"].items():
            replica = held[channel_id]
            assert replica.tick == expected["tick"], step["what"]
            assert replica.generation == expected["generation"]
            assert replica.heatmap().newest_column == expected["newest_column"]
            assert in_ring_order(replica).tobytes() == bytes.fromhex(expected["ring"]), step["what"]


def test_golden_map_is_asked_for_in_the_golden_bytes() -> None:
    options = MapOptions(
        leverages=[10, 20], base_steps_per_row=5, price_low=88_900, price_high=89_250, breakdown=["leverage"]
    )

    assert map_request("BTC", options).SerializeToString().hex() == read("liquidation_map")["request"]


async def test_golden_map_becomes_cells_curves_and_totals() -> None:
    golden = read("liquidation_map")

    async def parts() -> AsyncIterator[query_pb2.GetLiquidationMapResponse]:
        for part in golden["parts"]:
            yield query_pb2.GetLiquidationMapResponse.FromString(bytes.fromhex(part))

    found = await assemble_map(parts())

    for name in (
        "cells",
        "long_cumulative",
        "short_cumulative",
        "long_cumulative_usd",
        "short_cumulative_usd",
        "usd_per_weighted_lot",
    ):
        assert getattr(found, name).tolist() == golden[name], name
    for name in ("series", "by_side", "by_venue", "by_leverage"):
        assert [asdict(series) for series in getattr(found, name)] == [{**s, "stated": False} for s in golden[name]]
    assert found.price_low().tolist() == golden["price_low"]
    assert (found.first_row, found.price_row, found.tick) == (golden["first_row"], golden["price_row"], golden["tick"])
    assert str(found.epoch) == golden["epoch"]
    assert (found.mark_price, found.states, found.model) == (89_040.6, ("SIMULATED",), "net of closes")
    assert (found.meaning, found.reconciled) == (golden["meaning"], True)
    assert str(found.source_watermark_unix_ns) == golden["source_watermark_unix_ns"]
