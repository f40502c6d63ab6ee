"""NumPy's ledgers copied to a device, so that both compute from the same events."""

from __future__ import annotations

from typing import Any

from liqscape.device.age_tiers import AGE_TIERS
from liqscape.device.backend import LedgerView
from liqscape.device.cuda_ledger import CudaLedgerView, CudaLogs, MinuteIndex
from liqscape.device.cuda_tiers import DevicePast
from liqscape.device.device_runs import DeviceRun
from liqscape.device.numpy_ledger import NumpyLedgerView
from liqscape.device.queue import Queue


def view_on_device(queue: Queue, view: LedgerView) -> CudaLedgerView:
    """Return a ledger with the same raw and merged events."""
    assert isinstance(view, NumpyLedgerView)
    host = view._past
    tiers = tuple(
        DeviceRun.put(queue, events, with_cause=tier.keeps_cause)
        for tier, events in zip(AGE_TIERS, host.tiers, strict=True)
    )
    past = DevicePast(tiers, host.limits, host.dropped_events, host.until_minute, host.coarsened, host.unmerged)
    raw = DeviceRun.put(queue, view.columns(), with_cause=True)
    index = MinuteIndex()
    for minute, start in zip(raw.minutes.tolist(), raw.starts[:-1].tolist(), strict=True):
        index.add(minute, start)
    assert raw.cause is not None
    columns = {
        "row": raw.row,
        "open_minute": raw.open_minute,
        "key": raw.key,
        "lots": raw.lots,
        "cause": raw.cause,
    }
    first_event = view.appended - len(raw)
    return CudaLedgerView(CudaLogs(queue, _unused, _unused), columns, index, 0, len(raw), first_event, past)


def _unused(*_: object) -> Any:
    raise AssertionError("nothing is merged or read here")
