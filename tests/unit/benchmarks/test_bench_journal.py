"""A small run of the journal's benchmark compares what it has kept, and stores nothing."""

from __future__ import annotations

import pytest

from benchmarks import bench_journal, report
from benchmarks.bench_journal import encode, main
from benchmarks.journal_market import closed_ticks, instruments_of
from liqscape.journal.sqlite_store import SYNC_POLICIES


@pytest.mark.slow
def test_small_run_holds_what_went_in_and_stores_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "store", lambda *_: pytest.fail("a small run is stored"))
    monkeypatch.setattr(bench_journal, "VENUES", 2)

    assert main(["--ticks", "12"]) == 0

    said = capsys.readouterr().out
    assert "instruments, ticks: 20, 12" in said
    for sync in SYNC_POLICIES:
        assert f"{sync}: ticks a second, journal / plain SQLite" in said


def test_tick_that_is_another_after_it_is_read_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = list(closed_ticks(instruments_of(1, 1), 3))
    monkeypatch.setattr(bench_journal, "decode_tick", lambda body: ticks[0])

    assert encode(ticks)[2] == ["tick 2 is another", "tick 3 is another"]
