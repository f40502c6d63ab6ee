"""What is called broken when processes are killed, and what is shown of it."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.bench_kills import broken_claims, figures_of


def result(**changes: Any) -> dict[str, Any]:
    edge = {"seconds": 0.5, "cut": 90, "keyframes": 0, "gaps": 0, "resumed": 90}
    engine = {"told_s": 20.0, "seconds": 22.5, "told": 198, "lagged": 198}
    shipped = {"gaps": 0, "checksum_failures": 0, "in_sync": 2}
    edges = [edge | {"seconds": 0.1}, {name: changes.get(name, value) for name, value in edge.items()}]
    return {
        "edge_kills": edges,
        "engine_kills": [{name: changes.get(f"engine_{name}", value) for name, value in engine.items()}],
        "shipped": {name: changes.get(f"shipped_{name}", value) for name, value in shipped.items()},
        "clients": 200,
    }


def test_readers_that_go_on_break_no_claim() -> None:
    assert broken_claims(result()) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"seconds": 5.0}, "5.0 s until all were in sync again; 5 are allowed"),
        ({"keyframes": 9}, "an edge killed cost 9 keyframes and 0 gaps"),
        ({"gaps": 1}, "an edge killed cost 0 keyframes and 1 gaps"),
        ({"resumed": 89}, "an edge killed cost"),
        ({"cut": 0, "resumed": 0}, "an edge killed had no clients"),
        ({"engine_told": 197}, "197 of 198 clients told of a new engine"),
        ({"engine_lagged": 0}, "0 lagged"),
        ({"shipped_checksum_failures": 1}, "shipped clients"),
        ({"shipped_in_sync": 1}, "shipped clients"),
    ],
)
def test_whatever_a_reader_loses_breaks_a_claim(changes: dict[str, Any], text: str) -> None:
    (broken,) = broken_claims(result(**changes))

    assert text in broken


def test_figures_are_of_all_kills() -> None:
    figures = figures_of(result())

    assert list(figures.values()) == [
        "0.30 / 0.50 s, 2 kills",
        "90 to 90 a kill",
        "0 / 0",
        "22.5 s",
        "2.5 s",
    ]
