"""The programs for a machine with a GPU, rehearsed on the CPU in its place at sizes of thousands of events."""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from benchmarks.gpu import every_kernel, first_run, peers
from benchmarks.gpu.equal_payloads import same, uncompressed
from benchmarks.gpu.made_events import NOW, make_year
from benchmarks.gpu.outcome import Figure, Outcome, Spread
from benchmarks.gpu.peer_calls import Window
from benchmarks.gpu.plan import REHEARSAL, Run, probe_source
from benchmarks.gpu.tables import table_of
from benchmarks.gpu.watched_runtime import WatchedRuntime
from benchmarks.report import table, text_of
from liqscape.device.backend import CohortBatch
from liqscape.device.nvrtc import NvrtcUnavailable, load_nvrtc
from liqscape.device.queue import Queue
from liqscape.device.runtime import DeviceError
from liqscape.v1 import stream_pb2
from tests.cuda import cpu_module
from tests.cuda.cpu_runtime import CpuRuntime

SMALL: Final = replace(REHEARSAL, years=(6_000,), peers_at=(6_000,), equal_ticks=2, cohorts=(300,), ticks=4)


@pytest.fixture(scope="session")
def probe_library(build_folder: Path) -> Path:
    return cpu_module.build(probe_source(), build_folder)


@pytest.fixture
def device(runtime_libraries: list[Path], probe_library: Path) -> CpuRuntime:
    return CpuRuntime([*runtime_libraries, probe_library])


@pytest.mark.slow
def test_first_run_finds_everything_equal_and_says_everything(device: CpuRuntime) -> None:
    written: list[tuple[str, Any]] = []

    out, record = first_run.first_run(
        device,
        SMALL,
        5.0,
        lambda name, text: written.append((name, json.loads(text) if name.endswith(".json") else text)),
        first_run.device_facts(device),
        "c",
    )

    assert out.failures == []
    assert [c for c in out.comparisons if not c.equal] == []
    assert first_run.status_of(out) == 0
    assert len(out.comparisons) > 20
    predicted = [prediction["key"] for prediction in record["result"]["predictions"]]
    measured = [figure["key"] for figure in record["result"]["figures"]]
    assert len(set(predicted)) == len(predicted)
    assert set(predicted) <= set(measured)
    assert written[0] == ("predictions.json", record["result"]["predictions"])
    assert not written[1][1]["result"]["finished"]
    assert written[-2][1] == json.loads(text_of(record))
    assert written[-1] == ("table.txt", "\n".join(table_of(out, record["result"]["predictions"])) + "\n")
    assert record["result"]["finished"]
    assert set(record["result"]) >= {"comparisons", "skipped", "failures", "seconds", "facts", "wanted_and_not_reached"}
    assert set(record["result"]["facts"]) >= {"device", "driver", "driver_knows_cuda", "compiler", "cupy"}
    assert record["commit"] == "c"
    assert f"{device.facts.name} beside" in table([record])
    lines = table_of(out, record["result"]["predictions"])
    assert not [line for line in lines if line.startswith(("DIFFERS", "FAILED"))]


@pytest.mark.slow
def test_every_kernel_is_launched_and_right(device: CpuRuntime) -> None:
    assert every_kernel.check(device) == []


def test_probes_compile_without_a_warning_and_add_as_they_say() -> None:
    try:
        library = load_nvrtc()
    except NvrtcUnavailable as error:
        pytest.skip(str(error))

    for capability in (80, 90):
        assert library.compile(probe_source(), "cubin", capability).log == ""


def test_a_step_that_breaks_off_is_kept_and_others_go_on() -> None:
    out = Outcome(1.0, say=lambda line: None)

    def broken() -> None:
        raise ValueError("no such device")

    assert out.attempt("first", broken) is None
    assert out.attempt("second", lambda: 7) == 7
    assert [name for name, _ in out.failures] == ["first"]
    assert "no such device" in out.failures[0][1]
    assert first_run.status_of(out) == 1


def test_no_step_is_begun_on_a_device_that_is_lost() -> None:
    out = Outcome(1.0, say=lambda line: None, is_lost=lambda: True)

    out.attempt("good", lambda: 1)
    out.attempt("first", lambda: 1 // 0)

    assert out.attempt("second", lambda: 7) is None
    assert out.skipped == [("second", "the device is lost since first")]
    assert [name for name, _ in out.failures] == ["first"]


def test_a_device_that_refuses_everything_is_lost(device: CpuRuntime) -> None:
    class Broken(CpuRuntime):
        def allocate(self, nbytes: int) -> Any:
            raise DeviceError("an illegal memory access was encountered")

    assert not first_run.is_lost(device)
    assert first_run.is_lost(Broken.__new__(Broken))


def test_what_cannot_be_kept_ends_nothing() -> None:
    out = Outcome(1.0, say=lambda line: None)

    def full() -> None:
        raise OSError("no space left on device")

    out.keep = full

    assert out.attempt("first", lambda: 7) == 7
    assert out.attempt("second", lambda: 8) == 8
    assert first_run.status_of(out) == 1


def test_what_peers_have_found_is_kept_when_their_process_breaks_off(
    device: CpuRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figure = Figure("peer.1.24h.x", "x", "ms", Spread.of([2.0]))
    program = tmp_path / "broken.py"
    lines = [json.dumps(["figure", asdict(figure)]), json.dumps(["skipped", ["torch", "absent"]]), '["figure", {"k']
    program.write_text(f"import os, sys\nopen(sys.argv[1], 'w').write({chr(10).join(lines)!r})\nos.abort()\n")
    monkeypatch.setattr(peers, "__file__", str(program))
    out = Outcome(1.0, say=lambda line: None)

    assert out.attempt("others", lambda: peers.measure_peers(Run(WatchedRuntime(device), SMALL, out), 1, {})) is None

    assert out.figures == [figure]
    assert out.skipped == [("torch", "absent")]
    assert [name for name, _ in out.failures] == ["others"]


def test_the_whole_of_watched_work_has_the_time_between_its_parts(device: CpuRuntime) -> None:
    watched = WatchedRuntime(device)
    queue = Queue(watched, urgent=True)

    with watched.watching() as parts:
        array = queue.zeros(4, np.uint8)
        queue.wait()
        time.sleep(0.02)
        queue.copy(array.part(0, 2), array.part(2, 4))
        queue.read(array)

    assert set(parts) == {"fill", "copy", "download"}
    assert watched.whole_ms > 20 > sum(parts.values())


def test_a_difference_is_said_and_makes_the_run_fail() -> None:
    out = Outcome(1.0, say=lambda line: None)

    out.compare("grids", iter(["24h: 3 of 9 cells"]))

    assert not out.all_equal
    assert first_run.status_of(out) == 1
    assert "  grids: 24h: 3 of 9 cells" in table_of(out, [])


def test_nothing_compared_is_no_success() -> None:
    assert first_run.status_of(Outcome(1.0, say=lambda line: None)) == 1


def test_a_step_without_time_is_said() -> None:
    out = Outcome(0.5, say=lambda line: None)

    assert not out.has_time_for("a year", 45.0)
    assert out.skipped[0][0] == "a year"


@pytest.mark.parametrize(
    ("unit", "wanted", "missed"), [("ms", 4.0, True), ("ms", 6.0, False), ("x", 20.0, True), ("x", 2.0, False)]
)
def test_times_are_wanted_below_and_ratios_above(unit: str, wanted: float, missed: bool) -> None:
    assert Figure("k", "what", unit, Spread.of([5.0]), wanted=wanted).is_missed == missed


def test_made_years_are_the_same_for_any_number_of_threads_and_in_time_order() -> None:
    one, other = make_year(40_000, 3, 30, threads=1), make_year(40_000, 3, 30, threads=3)

    assert same(one.events, other.events)
    minute, lots = one.events.minute, one.events.lots
    assert (np.diff(minute) >= 0).all()
    assert minute[-1] == NOW
    assert (one.events.open_minute <= minute).all()
    assert (lots > 0).sum() == (lots < 0).sum()


def test_made_ends_have_row_key_and_lots_of_their_openings() -> None:
    events = make_year(40_000, 3, 30).events
    opened = {
        (m, r, k, q)
        for m, r, k, q in zip(
            *(getattr(events, n)[events.lots > 0].tolist() for n in ("open_minute", "row", "key", "lots")), strict=True
        )
    }
    ended = (events.lots < 0) & (events.open_minute >= events.minute[0])
    columns = [getattr(events, n)[ended].tolist() for n in ("open_minute", "row", "key")]

    assert ended.sum() > 1000
    assert all(one in opened for one in zip(*columns, (-events.lots[ended]).tolist(), strict=True))


def test_cells_of_peers_leave_out_what_does_not_count() -> None:
    window = Window(
        minute=np.array([10, 11, 12, 13]),
        open_minute=np.array([10, 3, 12, 13]),
        row=np.array([40, 41, 9, 49]),
        lots=np.array([5, 6, 7, 8]),
        first_minute=8,
        column_minutes=2,
        first_row=4,
        multiple=10,
        columns=3,
        rows=1,
    )

    cells, counts = window.cells()

    assert counts.tolist() == [True, False, False, True]
    assert cells.tolist() == [1, 0, 0, 2]


def test_uncompressed_chunks_are_compared_by_what_they_say() -> None:
    entries = []
    for level in (1, 9):
        chunk = stream_pb2.ChannelChunk(channel_id=1, encoding=stream_pb2.ENCODING_RLE8_ZLIB)
        chunk.payload = zlib.compress(b"levels" * 50, level)
        entries.append(stream_pb2.Section(chunks=[stream_pb2.Chunk(channel=chunk)]).SerializeToString())

    assert entries[0] != entries[1]
    assert uncompressed(entries[0]) == uncompressed(entries[1])


def test_values_of_other_types_are_not_the_same() -> None:
    minute, row = np.zeros(2, np.int32), np.zeros(2, np.int32)
    batch = CohortBatch(minute, row, np.zeros(2, np.uint16), np.zeros(2, np.int64))

    assert same([batch], [batch])
    assert not same(batch, replace(batch, row=np.zeros(2, np.int64)))
    assert not same(batch, replace(batch, lots=np.ones(2, np.int64)))
    assert not same([batch], [batch, batch])
