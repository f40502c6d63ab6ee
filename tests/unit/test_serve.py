"""What the serve command prints, and what it asks of the system."""

from __future__ import annotations

import gc
import resource
from dataclasses import replace

import pytest

from liqscape.feeds.status import VenueStatus
from liqscape.garbage import COLLECT_AFTER_OBJECTS, collect_garbage_rarely
from liqscape.grid.updates import Coverage, EngineStatus, SymbolStatus
from liqscape.serve import (
    MAX_OPEN_FILES,
    _allow_open_files,
    status_line,
)
from tests.unit.synthetic_market import EXAMPLE_MINUTE, at

COVERAGE = Coverage("BTC", "venue", "venue:BTCUSDT", 0, (10, 20), (30, 40), 0, 0, 5)
BTC = SymbolStatus("BTC", 908_000, 1, at(EXAMPLE_MINUTE), 1234, 5678, (COVERAGE,), 12.4)
ETH = SymbolStatus("ETH", 300_000, 2, at(EXAMPLE_MINUTE), 7, 8, (), 12.4)
STATUS = EngineStatus("serving", "", 1.0, None, 1, 99, "numpy", "test", (BTC, ETH))


def test_line_says_each_symbol_and_once_what_the_grids_of_all_took() -> None:
    line = status_line(STATUS, at(EXAMPLE_MINUTE) / 1e9)

    assert line == (
        "14:30:00Z serving | tick 99 | grids in 12 ms"
        " | BTC 90,800.0 at 2025-12-15 14:30:00, 30% covered, 1,234 cohorts"
        " | ETH 3,000.00 at 2025-12-15 14:30:00, nothing covered, 7 cohorts"
    )


def test_line_without_symbols_has_no_cost_and_ends_with_the_message() -> None:
    status = replace(STATUS, state="failed", symbols=(), message="it broke")

    assert status_line(status, at(EXAMPLE_MINUTE) / 1e9) == "14:30:00Z failed | tick 99 | it broke"


def test_line_names_venues_in_trouble_and_no_others() -> None:
    well = VenueStatus(venue="well", message="", channels=())
    blocked = VenueStatus(venue="binance-usdm", message="market-0: HTTP 451", channels=())

    line = status_line(replace(STATUS, symbols=(), feeds=(well, blocked)), at(EXAMPLE_MINUTE) / 1e9)

    assert line == "14:30:00Z serving | tick 99 | binance-usdm: market-0: HTTP 451"


def test_serve_asks_for_as_many_files_as_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: asked.append(limits))
    for given in [(1024, 4096), (1024, 1 << 20), (1024, resource.RLIM_INFINITY), (20_000, 20_000)]:
        monkeypatch.setattr(resource, "getrlimit", lambda _what, given=given: given)
        _allow_open_files()

    assert asked == [
        (4096, 4096),
        (MAX_OPEN_FILES, 1 << 20),
        (MAX_OPEN_FILES, resource.RLIM_INFINITY),
    ]


def test_what_is_imported_is_left_out_of_collections_and_these_are_rare() -> None:
    before = gc.get_threshold()
    try:
        collect_garbage_rarely()

        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] == COLLECT_AFTER_OBJECTS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
