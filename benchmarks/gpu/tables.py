"""What a run found, as people read it: every figure beside floor and prediction, and the few that a README shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.gpu.outcome import Figure, Outcome, number, shown

_SHOWN: Final = re.compile(
    r"copy\.(memcpy|up|down)|launch\.host|project\.\d+\.\w+\.all|tick\.\w+\.\d+\.(host|host_p99|device)|merge\.\d+\.host"
    r"|peer\.\d+\.all\.\w+"
)
"""Keys of what a reader should see; everything else is in the record."""


def table_of(outcome: Outcome, predictions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return everything in lines: figures, then what differed, was missed, left out or broke off."""
    expected = {prediction["key"]: prediction for prediction in predictions}
    width = max((len(figure.what) for figure in outcome.figures), default=0)
    heads = ("median", "least", "most", "floor", "of floor", "foretold", "of it")
    lines = ["", f"{'':{width}}  {_aligned(heads)}"]
    lines += [_line(figure, expected.get(figure.key), width) for figure in outcome.figures]
    unequal = [comparison for comparison in outcome.comparisons if not comparison.equal]
    lines += ["", f"{len(outcome.comparisons) - len(unequal)} of {len(outcome.comparisons)} comparisons are equal"]
    lines += _list("DIFFERS", [f"{comparison.what}: {comparison.detail}" for comparison in unequal])
    lines += _list("FAILED", [f"{step}\n{text}" for step, text in outcome.failures])
    lines += _list("skipped", [f"{what}: {reason}" for what, reason in outcome.skipped])
    lines += _list("foretold and not measured", sorted(set(expected) - {figure.key for figure in outcome.figures}))
    lines += _list("wanted and not reached", outcome.missed() or ["nothing"])
    return [*lines, "", "seconds: " + ", ".join(f"{step} {taken:.0f}" for step, taken in outcome.seconds.items())]


def figures_of(outcome: Outcome, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what a reader of the README should see."""
    found = {
        "device": f"{facts['device']}, {facts['memory_gib']} GiB, driver {facts['driver']}",
        "software": f"CUDA {facts['driver_knows_cuda']}, CuPy {facts['cupy']}, {facts['compiler'].partition(',')[0]}",
    }
    equal = sum(comparison.equal for comparison in outcome.comparisons)
    found["results equal to NumPy's"] = f"{equal} of {len(outcome.comparisons)}"
    for figure in outcome.figures:
        if not _SHOWN.fullmatch(figure.key):
            continue
        is_ratio = figure.key.startswith("peer.")
        found[figure.what] = f"{shown(figure.spread, figure.unit)}, {figure.note}" if is_ratio else _with_floor(figure)
    found["wanted and not reached"] = "; ".join(outcome.missed()) or "nothing"
    if outcome.skipped:
        found["skipped"] = "; ".join(f"{what} ({reason})" for what, reason in outcome.skipped)
    if outcome.failures:
        found["broken off"] = ", ".join(step for step, _ in outcome.failures)
    return found


def _line(figure: Figure, prediction: Mapping[str, Any] | None, width: int) -> str:
    spread, floor, ratio = figure.spread, figure.floor, figure.over_floor
    value = None if prediction is None else float(prediction["value"])
    cells = [
        number(spread.median),
        number(spread.least),
        number(spread.most),
        "" if floor is None else number(floor),
        "" if ratio is None else f"{ratio:.1f} x",
        "" if value is None else number(value),
        "" if not value else f"{spread.median / value:.2f} x",
    ]
    return f"{figure.what:{width}}  {_aligned(cells)} {figure.unit}{'  ' + figure.note if figure.note else ''}"


def _with_floor(figure: Figure) -> str:
    value = f"{number(figure.spread.median)} {figure.unit}"
    return value if figure.over_floor is None else f"{value}, {figure.over_floor:.1f} x its floor"


def _aligned(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:>{room}}" for cell, room in zip(cells, (9, 9, 9, 9, 9, 9, 8), strict=True))


def _list(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"{title}:", *(f"  {line}" for line in lines)] if lines else []
