"""What the serve command prints."""

from __future__ import annotations

from dataclasses import replace

from liqscape.grid.updates import Coverage, EngineStatus, SymbolStatus
from liqscape.serve import status_line
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
