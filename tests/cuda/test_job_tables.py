"""Tables of jobs: row division, the cutting of events into jobs, and the layouts that the kernels read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import PCG64, Generator

from liqscape.axes import ROW_MULTIPLES, RowRange, Timeframe
from liqscape.device import job_tables
from liqscape.device.job_tables import APPEND_JOB, CHANNEL, EVENT_RUN, PROJECT_JOB, SCAN_JOB, GridSpec
from liqscape.device.nvrtc import kernel_source
from tests.cuda import cpu_module
from tests.cuda.cpu_module import CpuModule
from tests.cuda.made_up_events import random_events

FRAME = Timeframe("test", column_minutes=5, columns=9, span_permille=100, min_row_multiple=1)


@pytest.mark.parametrize("multiple", [*ROW_MULTIPLES, 1, 3, 7, 641, 1023, 2**30 + 1, 2**31 - 1, 2**31])
def test_division_is_exact_for_every_row(multiple: int) -> None:
    """The error n x excess / (multiple x 2^shift) is below 1 / multiple for every n < 2^31: a proof, not a sample."""
    magic, shift = job_tables.division(multiple)

    excess = magic * multiple - (1 << shift)
    assert excess >= 0
    assert (2**31 - 1) * excess < 1 << shift
    assert magic < 1 << 32  # so that the kernel's product of two 32-bit numbers fits 64 bits


@given(st.integers(1, 2**31), st.integers(0, 2**31 - 1))
def test_division_at_the_edges_of_a_row(multiple: int, row: int) -> None:
    magic, shift = job_tables.division(multiple)
    edge = row // multiple * multiple

    for n in (row, edge, max(edge - 1, 0)):
        assert n * magic >> shift == n // multiple


@pytest.mark.parametrize("multiple", [0, -1, 2**31 + 1])
def test_division_by_what_has_no_magic_number_is_refused(multiple: int) -> None:
    with pytest.raises(ValueError, match="no magic number"):
        job_tables.division(multiple)


@given(
    seed=st.integers(0, 1000),
    now=st.integers(500, 520),
    behind=st.integers(-1, 3),
    largest=st.integers(1, 40),
    count=st.integers(0, 200),
)
def test_jobs_hold_every_event_that_counts_once_in_its_column(
    seed: int, now: int, behind: int, largest: int, count: int
) -> None:
    minute = random_events(Generator(PCG64(seed)), count, FRAME, now, RowRange(0, 4, 1)).minute
    newest = FRAME.column_of(now) - behind
    oldest = newest - FRAME.columns + 1

    jobs = job_tables.project_jobs(3, FRAME, newest, 8, lambda edges: np.searchsorted(minute, edges), now, largest)

    held = [
        (event, column)
        for channel, column, run, first, events, _ in jobs.tolist()
        for event in range(first, first + events)
        if (channel, run) == (3, 8) and 1 <= events <= largest
    ]
    assert held == [
        (event, min(when // FRAME.column_minutes, newest) - oldest)
        for event, when in enumerate(minute.tolist())
        if oldest * FRAME.column_minutes <= when <= now
    ]


def test_channels_lie_one_after_another() -> None:
    specs = [
        GridSpec(FRAME, RowRange(-7, 33, 5)),
        GridSpec(replace(FRAME, columns=65), RowRange(4, 10, 2), 500, 40, 64, 33),
        GridSpec(FRAME, RowRange(0, 1024, 1), 7, 3, 64, 43),
    ]

    table = job_tables.channel_table(specs)

    assert table["first_cell"].tolist() == [0, 500, 7]
    assert table["first_level"].tolist() == [0, 40, 3]
    assert table["first_column"].tolist() == [0, 9, 74]
    assert table["first_tile"].tolist() == [0, 1, 4]
    assert table["first_row"].tolist() == [-7, 4, 0]
    assert table["first_factor"].tolist() == [0, 33, 43]


def test_window_of_a_channel() -> None:
    table = job_tables.channel_table([GridSpec(FRAME, RowRange(0, 4, 1))])

    job_tables.set_window(table[0], FRAME, 100)

    assert table["first_minute"].tolist() == [92 * 5]
    assert table["oldest_position"].tolist() == [92 % 9]


def test_more_rows_than_a_block_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="1025 rows; at most 1024"):
        job_tables.channel_table([GridSpec(FRAME, RowRange(0, 1025, 1))])


def test_scan_jobs_hold_every_cell_once() -> None:
    shapes = [(33, 70), (64, 64), (1, 1)]
    specs = [GridSpec(replace(FRAME, columns=columns), RowRange(0, rows, 1)) for columns, rows in shapes]
    times = [np.zeros(shape, np.int64) for shape in shapes]

    for channel, column, row in job_tables.scan_jobs(job_tables.channel_table(specs), 64).tolist():
        times[channel][column : column + job_tables.TILE_COLUMNS, row : row + 64] += 1

    assert all((counted == 1).all() for counted in times)


def test_layouts_are_those_of_the_structs(build_folder: Path) -> None:
    """The kernels' structs, as the compiler lays them out, against the offsets of the dtypes."""
    dtypes = {"Channel": CHANNEL, "EventRun": EVENT_RUN, "ProjectJob": PROJECT_JOB, "ScanJob": SCAN_JOB}
    dtypes["AppendJob"] = APPEND_JOB
    fields = [(struct, name) for struct, dtype in dtypes.items() for name in dtype.names or ()]
    lines = [f"*out++ = sizeof({struct});" for struct in dtypes]
    lines += [f"*out++ = __builtin_offsetof({struct}, {name});" for struct, name in fields]
    probe = 'extern "C" __global__ void layouts(u32* out) {\n' + "\n".join(lines) + "\n}\n"
    module = CpuModule(cpu_module.build(kernel_source() + probe, build_folder))
    out = np.zeros(len(lines), np.uint32)

    module.get_function("layouts")((1,), (1,), (out,))

    sizes = [dtype.itemsize for dtype in dtypes.values()]
    assert out.tolist() == sizes + [dtypes[struct].fields[name][1] for struct, name in fields]  # type: ignore[index]
