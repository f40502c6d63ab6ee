"""The log of signed events: it grows, and a view of it does not."""

from __future__ import annotations

import numpy as np
import pytest

from liqscape.device.backend import LedgerColumns, LedgerView
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.errors import ModelError
from tests.unit.synthetic_market import make_batch


def rows_of(view: LedgerView) -> list[tuple[int, ...]]:
    c = view.columns()
    return list(
        zip(*(column.tolist() for column in (c.minute, c.open_minute, c.row, c.key, c.lots, c.cause)), strict=True)
    )


def test_events_keep_order_sign_and_cause() -> None:
    ledger = NumpyLedger()

    ledger.append(7, make_batch((7, 100, 4, 50), (7, 90, 5, 40)), 1, 0)
    ledger.append(9, make_batch((7, 100, 4, 20)), -1, 2)

    assert rows_of(ledger.capture()) == [(7, 7, 100, 4, 50, 0), (7, 7, 90, 5, 40, 0), (9, 7, 100, 4, -20, 2)]
    assert len(ledger) == 3


def test_columns_have_the_types_of_the_contract() -> None:
    ledger = NumpyLedger()
    ledger.append(7, make_batch((7, 100, 4, 2**40)), -1, 1)

    columns: LedgerColumns = ledger.capture().columns()

    types = [getattr(columns, name).dtype for name in ("minute", "open_minute", "row", "key", "lots", "cause")]
    assert types == [np.int32, np.int32, np.int32, np.uint16, np.int64, np.uint8]
    assert columns.lots.tolist() == [-(2**40)]


def test_empty_batch_is_not_logged() -> None:
    ledger = NumpyLedger()

    ledger.append(7, make_batch(), 1, 0)
    ledger.append(3, make_batch((3, 1, 1, 1)), 1, 0)

    assert len(ledger) == 1


def test_event_before_the_last_minute_is_a_defect() -> None:
    ledger = NumpyLedger()
    ledger.append(7, make_batch((7, 1, 1, 1)), 1, 0)
    ledger.append(7, make_batch((7, 2, 1, 1)), 1, 0)

    with pytest.raises(ModelError, match="minute 6 is before the last one, 7"):
        ledger.append(6, make_batch((6, 1, 1, 1)), 1, 0)


def test_view_does_not_change_when_the_ledger_grows() -> None:
    ledger = NumpyLedger()
    views = []
    for minute in range(40):
        ledger.append(minute, make_batch(*((minute, row, 1, minute + 1) for row in range(1000))), 1, 0)
        views.append(ledger.capture())

    for minute, view in enumerate(views):
        columns = view.columns()
        assert len(view) == len(columns.minute) == 1000 * (minute + 1)
        assert columns.minute.tolist() == [m for m in range(minute + 1) for _ in range(1000)]
        assert int(columns.lots.sum()) == sum(1000 * (m + 1) for m in range(minute + 1))
