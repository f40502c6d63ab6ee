"""What was captured of the open cohorts stays as it was, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from liqscape.device.numpy_cohorts import CohortColumns

COUNT = 40_000
"""More than dropping is worth, and than the first arrays hold."""


def filled() -> CohortColumns:
    columns, draw = CohortColumns(), np.random.default_rng(1)
    minutes = np.sort(draw.integers(0, 500, COUNT)).astype(np.int32)
    columns.append(
        minutes,
        draw.integers(0, 900, COUNT).astype(np.int32),
        draw.integers(0, 64, COUNT).astype(np.uint16),
        draw.integers(1, 1000, COUNT),
        draw.integers(0, 1 << 40, COUNT),
    )
    return columns


def content(columns: CohortColumns) -> list[list[int]]:
    places = columns.alive()
    return [getattr(columns, name)[places].tolist() for name in ("open_minute", "row", "key", "lots", "clock")]


def end_most(columns: CohortColumns) -> None:
    places = np.arange(0, columns.count * 2 // 3)
    columns.take(places, columns.lots[places])


def open_more(columns: CohortColumns) -> None:
    many = columns.count
    columns.append(501, *(np.ones(many, kind) for kind in (np.int32, np.uint16, np.int64, np.int64)))  # type: ignore[arg-type]


def drop(columns: CohortColumns) -> None:
    end_most(columns)
    columns.drop_ended()
    open_more(columns)


@pytest.mark.parametrize("change", [end_most, open_more, drop, lambda columns: columns.coarsen_rows(10)])
def test_capture_is_as_it_was_after(change: Callable[[CohortColumns], None]) -> None:
    columns = filled()
    before = content(columns)

    captured = columns.capture()
    change(columns)
    changed = content(columns)
    drop(columns)

    assert content(captured) == before
    assert changed != before


def test_arrays_are_used_again_once_nobody_has_captured_them() -> None:
    columns = filled()
    columns.capture()
    end_most(columns)
    columns.drop_ended()
    rows = columns.row

    end_most(columns)
    columns.drop_ended()

    assert columns.row is rows
