"""The kernels with one mistake put in, to see that a check finds it."""

from __future__ import annotations

from typing import Final

from liqscape.device.nvrtc import KERNEL_FILE, kernel_source

BARRIER: Final = "__syncthreads();"


def barriers(file: str = KERNEL_FILE) -> int:
    """Return how many barriers the kernels have."""
    return kernel_source(file).count(BARRIER)


def without_barrier(number: int, file: str = KERNEL_FILE) -> str:
    """Return the source without its number-th barrier."""
    parts = kernel_source(file).split(BARRIER)
    return BARRIER.join(parts[: number + 1]) + BARRIER.join(["", *parts[number + 1 :]])[len(BARRIER) :]


def with_change(old: str, new: str, file: str = KERNEL_FILE) -> str:
    """Return the source with a text, which must be in it once, replaced."""
    source = kernel_source(file)
    assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in the kernels"
    return source.replace(old, new)


def line_of(source: str, text: str) -> int:
    """Return the number of the one line that has a text in it."""
    lines = [number for number, line in enumerate(source.splitlines(), 1) if text in line]
    assert len(lines) == 1, f"{text!r} is in lines {lines}"
    return lines[0]
