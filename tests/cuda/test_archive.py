"""What is archived of a shard does not depend on where its ledger lives."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from liqscape.archive.archivist import Archivist
from liqscape.archive.day_files import day_folder, days_in
from liqscape.device.backend import Backend
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event, TickEnd
from liqscape.grid.shard import Shard
from tests.archived_market import INSTRUMENTS, Pump, market
from tests.cuda.cpu_runtime import CpuRuntime

PUMP = Pump(minute=60, factor=11.0)
"""Rows become coarser in the evening, in the middle of a day."""


def archived(folder: Path, backend: Backend, ticks: list[list[Event]]) -> dict[str, bytes]:
    """Return the files of the days of a shard whose grids nobody wants."""
    shard = Shard(INSTRUMENTS, backend, lambda: 0, on_closed=lambda *tick: archivist.before_tick(*tick))
    archivist = Archivist(folder, INSTRUMENTS)
    archivist.begin(shard)
    for tick in ticks:
        for event in tick:
            shard.accept(TickEnd(event.time_ns, render=False) if isinstance(event, TickEnd) else event)
    archivist.stop()
    files = (path for day in days_in(folder) for path in day_folder(folder, day).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_days_of_a_device_are_those_of_the_host(runtime: CpuRuntime, tmp_path: Path) -> None:
    ticks = market(1, seed=2, history_ticks=3, pump=PUMP)

    of_device = archived(tmp_path / "device", CudaBackend(runtime, threads=32), ticks)
    of_host = archived(tmp_path / "host", NumpyBackend(), ticks)

    assert of_device == of_host
    events = pq.read_table(next((tmp_path / "host").rglob("events.parquet")), partitioning=None)
    assert len(set(events["base_step"].to_pylist())) == 2
    assert events.num_rows > 1000
