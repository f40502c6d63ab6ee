"""The second client, in JavaScript and from the documents alone, reads every golden of the wire as the first does.

So does the third, the replica of the page."""

from __future__ import annotations

import json
import subprocess
import zlib
from pathlib import Path
from typing import Any, Final

import pytest

from liqscape.v1 import stream_pb2
from liqscape_client.decoding import window_to_ring
from liqscape_client.replica_set import ReplicaSet
from tests.node.packages import node_program, web_program

WIRE: Final = Path(__file__).parents[1] / "golden" / "wire"
UNREAD: Final = {"node": [], "page": ["liquidation_map"]}
"""Goldens that a client does not read: the page asks for maps as JSON."""


def names(*prefixes: str) -> list[str]:
    return sorted(path.stem for prefix in prefixes for path in WIRE.glob(f"{prefix}*.json"))


def golden(name: str) -> Any:
    return json.loads((WIRE / f"{name}.json").read_text("utf-8"))


@pytest.fixture(scope="module", params=["node", "page"])
def client(request: pytest.FixtureRequest) -> str:
    """Return which client concludes."""
    return str(request.param)


@pytest.fixture(scope="module")
def conclusions(client: str) -> dict[str, list[dict[str, Any]]]:
    """Return what a client makes of each file, case by case."""
    program = node_program if client == "node" else web_program
    command = [*program("goldens.mjs"), str(WIRE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert not done.returncode, done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for line in done.stdout.splitlines():
        said = json.loads(line)
        found.setdefault(said["file"], []).append(said)
    return found


def test_every_golden_is_read(client: str, conclusions: dict[str, list[dict[str, Any]]]) -> None:
    assert sorted(conclusions) == [name for name in names("") if name not in UNREAD[client]]
    assert len(conclusions["rejected"]) == len(golden("rejected"))


@pytest.mark.parametrize("name", names("delta_", "keyframe_"))
def test_chunk_becomes_the_golden_ring(conclusions: dict[str, list[dict[str, Any]]], name: str) -> None:
    wanted, (said,) = golden(name), conclusions[name]
    ring = bytearray(wanted["axes"]["columns"] * wanted["axes"]["rows"])
    for part in (wanted.get("before", {"cells": [], "levels": []}), wanted):
        for cell, level in zip(part["cells"], part["levels"], strict=True):
            ring[cell] = level
    candles = {
        str(candle["column"]): [str(candle[key]) for key in ("open", "high", "low", "close")]
        for candle in wanted["candles"]
    }

    assert (said["outcome"], said["checksums"]) == ("applied", 1)
    assert (said["ring"], said["crc32"]) == (ring.hex(), zlib.crc32(ring))
    assert said["newest_column"] == str(wanted["newest_column"])
    assert said["candles"] == candles


def test_malformed_payloads_are_refused(conclusions: dict[str, list[dict[str, Any]]]) -> None:
    for case, said in zip(golden("rejected"), conclusions["rejected"], strict=True):
        assert said["case"] == case["why"]
        assert said["reason"], f"accepted: {case['why']}"


@pytest.mark.parametrize("name", names("stream"))
def test_stream_leads_both_clients_to_the_golden_states(
    conclusions: dict[str, list[dict[str, Any]]], name: str
) -> None:
    wanted = golden(name)
    replicas = ReplicaSet(lambda: 0.0)

    for step, said in zip(wanted["steps"], conclusions[name], strict=True):
        if step.get("connecting"):
            replicas.connecting()
        effect = replicas.apply(stream_pb2.Frame.FromString(bytes.fromhex(step["frame"])))

        assert said["case"] == step["what"]
        points = [(point["sourceId"], point["epoch"], int(point["tick"])) for point in said["resume"]]
        assert [tick for _, _, tick in points] == [step["resume_tick"]] * (step["resume_tick"] is not None)
        assert points == [(point.source_id, str(point.epoch), point.tick) for point in replicas.resume_points()]
        assert said["in_sync"] is step["in_sync"] is replicas.in_sync, step["what"]
        assert bool(said["broken"]) is step["broken"] is bool(effect.broken), step["what"]
        assert said["reconnect_after_ms"] == step.get("reconnect_after_ms") == effect.reconnect_after_ms
        assert said["lagged"] == step.get("lagged", said["lagged"])
        for channel_id, expected in step["channels"].items():
            assert {key: said["channels"][channel_id][key] for key in expected} == {
                key: value if key in ("ring", "generation") else str(value) for key, value in expected.items()
            }
        assert_same_channels(replicas, said["channels"])


def assert_same_channels(replicas: ReplicaSet, said: dict[str, Any]) -> None:
    """Hold what a client in JavaScript holds against the Python client, also where no golden speaks of it."""
    assert len(said) == len(replicas.channels())
    for key in replicas.channels():
        replica = replicas.replica(*key)
        theirs = said[str(replica.channel_id)]
        assert theirs["channel"] == f"{replica.symbol} {replica.timeframe}"
        assert (int(theirs["tick"]), theirs["generation"]) == (replica.tick, replica.generation)
        if not replica.has_levels:
            assert theirs["ring"] == ""
            continue
        heatmap = replica.heatmap()
        assert theirs["ring"] == window_to_ring(heatmap.levels, heatmap.newest_column).tobytes().hex()
        assert int(theirs["newest_column"]) == heatmap.newest_column
        for column, prices in theirs["candles"].items():
            index = int(column) - heatmap.newest_column - 1
            ours = [getattr(heatmap.candles, name)[index] for name in ("open", "high", "low", "close")]
            assert ours == [int(price) / heatmap.axes.price_unit for price in prices]


def test_scale_is_the_golden_one(conclusions: dict[str, list[dict[str, Any]]]) -> None:
    wanted, (said,) = golden("levels"), conclusions["levels"]

    assert said["lower_bounds_usd"] == wanted["lower_bounds_usd"]
    assert said["values_usd"] == pytest.approx(wanted["values_usd"], rel=1e-12)
    assert said["examples"] == [example["level"] for example in wanted["examples"]]


@pytest.mark.parametrize("client", ["node"], indirect=True, scope="module")
def test_map_is_asked_for_and_read_as_in_the_golden(conclusions: dict[str, list[dict[str, Any]]]) -> None:
    wanted, (said,) = golden("liquidation_map"), conclusions["liquidation_map"]

    assert {key: wanted[key] for key in ("request", "epoch", "cells", "long_cumulative", "short_cumulative")} == {
        key: said[key] for key in ("request", "epoch", "cells", "long_cumulative", "short_cumulative")
    }
    for name in ("long_cumulative_usd", "short_cumulative_usd", "usd_per_weighted_lot"):
        assert said[name] == wanted[name]
    assert (said["tick"], said["price_row"]) == (str(wanted["tick"]), str(wanted["price_row"]))
