"""What clients got is counted, the cost is what the floor adds to, and a small run of all servers is whole."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import bench_fanout, report
from benchmarks.bench_fanout import Comparison, Window, verdict
from benchmarks.fanout_servers import KEYFRAME_TICKS, MadeUpFrames
from liqscape.broadcast.hub import Hub

WINDOW = Window(
    clients=100,
    ticks=4,
    messages=400,
    bytes=800_000,
    delivered=400,
    conflated=0,
    missed=0,
    repeated=0,
    p50_ms=2.0,
    p99_ms=5.0,
    max_ms=6.0,
    cpu_ns=20_000_000,
)


def comparison(*, ours_ns: tuple[int, ...], clients: int = 100) -> Comparison:
    windows = [replace(WINDOW, cpu_ns=cpu_ns) for cpu_ns in ours_ns]
    floor = [WINDOW] * len(windows)
    sessions = [replace(WINDOW, cpu_ns=33_000_000, conflated=4, messages=396)] * len(windows)
    return Comparison(
        clients,
        2000,
        {"liqscape": windows, "floor": floor, "websocket": sessions, "websocket_floor": floor},
    )


def test_ratio_is_taken_round_by_round_and_its_spread_is_told() -> None:
    found = comparison(ours_ns=(22_000_000, 30_000_000, 24_000_000))

    figures = found.figures()

    assert figures["100 clients, 2 KB, a message"] == "60 us, floor 50 us; x 1.20 (1.10 to 1.50)"
    assert figures["100 clients, 2 KB, latency p50 / p99"] == "2.0 / 5.0 ms, floor 2.0 / 5.0 ms"
    assert verdict([found]) == "nothing"


def test_a_websocket_is_measured_against_its_own_floor_and_beside_grpc() -> None:
    found = comparison(ours_ns=(22_000_000, 44_000_000))

    figures = found.figures()

    assert found.ratios("websocket") == pytest.approx([1 / 0.6, 1 / 0.6], rel=1e-2)
    assert figures["WebSocket, 100 clients, 2 KB, a message"] == (
        "83 us, floor 50 us; x 1.67 (1.67 to 1.67); x 1.14 (0.76 to 1.52) beside gRPC"
    )
    assert figures["WebSocket, 100 clients, 2 KB, latency p50 / p99"] == (
        "2.0 / 5.0 ms, floor 2.0 / 5.0 ms; 1.0% of ticks conflated, floor 0.0% missed"
    )
    assert verdict([found], "websocket") == "nothing"
    assert verdict([found]) == "100 clients, 2 KB: x 1.65"


def test_ticks_that_a_busy_machine_merged_or_lost_are_told() -> None:
    ours, floor = replace(WINDOW, messages=396, conflated=4), replace(WINDOW, messages=392, delivered=392, missed=8)

    found = Comparison(100, 2000, {"liqscape": [ours], "floor": [floor]})

    assert not found.problems()
    assert found.figures()["100 clients, 2 KB, latency p50 / p99"].endswith(
        "; 1.0% of ticks conflated, floor 2.0% missed"
    )


def test_what_costs_more_than_wanted_is_named() -> None:
    above = comparison(ours_ns=(26_000_000,))
    few = comparison(ours_ns=(40_000_000,), clients=10)

    assert verdict([above, few]) == "100 clients, 2 KB: x 1.30"


def test_merged_ticks_are_whole_and_lost_or_repeated_ones_are_not() -> None:
    merged = replace(WINDOW, messages=398, conflated=2)
    uncounted = replace(WINDOW, messages=399, delivered=399)
    lost = replace(WINDOW, messages=399, delivered=399, missed=1)
    repeated = replace(WINDOW, repeated=1)

    assert not merged.problems()
    assert lost.problems() == ["1 ticks missed, 0 repeated"]
    assert not lost.problems(may_miss=True)
    assert uncounted.problems(may_miss=True) == ["399 ticks in 399 messages delivered, 400 expected"]
    assert repeated.problems() == ["0 ticks missed, 1 repeated"]


@pytest.mark.parametrize("frame_bytes", [2_000, 20_000])
def test_reader_gets_one_marked_message_of_the_size_asked_for_at_each_tick(frame_bytes: int) -> None:
    source = MadeUpFrames(frame_bytes)
    hub = Hub(source)
    hub.append(source.record())
    selection = hub.select([])

    for _ in range(2 * KEYFRAME_TICKS):
        position = hub.position
        hub.append(source.record())
        batch = hub.batch(selection, position)
        frame = hub.frame(batch, 0)

        assert len(batch.fragments) == 1
        assert frame.count(b"TICKMARK") == 1
        assert len(frame) == pytest.approx(frame_bytes, rel=0.02)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc to compile the receiver")
def test_few_clients_get_every_tick_from_all_servers(capsys: pytest.CaptureFixture[str]) -> None:
    status = bench_fanout.main(["--clients", "3", "--bytes", "2000", "--rounds", "1", "--seconds", "0.25"])

    assert status == 0
    printed = capsys.readouterr().out
    assert "  3 clients, 2 KB, a message" in printed
    assert "WebSocket, 3 clients, 2 KB, a message" in printed


def test_without_gcc_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    assert bench_fanout.main([]) == 1
    assert "gcc is not here" in capsys.readouterr().err


def test_full_run_is_stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stored: list[str] = []
    monkeypatch.setattr(bench_fanout, "compile_sink", lambda folder: folder)
    monkeypatch.setattr(bench_fanout, "compare", lambda *_: [comparison(ours_ns=(22_000_000,))])
    monkeypatch.setattr(
        report, "store", lambda *arguments: stored.append(report.text_of(report.record(*arguments, commit_hash="c")))
    )

    assert bench_fanout.main([]) == 0
    (record,) = map(json.loads, stored)
    assert record["result"]["comparisons"][0]["ratios"]["liqscape"] == [1.1]
    assert record["result"]["comparisons"][0]["websocket_over_grpc"] == pytest.approx([1.515], rel=1e-3)
    assert record["figures"]["wanted and not reached: x 1.25 from 100 clients on"] == "nothing"
