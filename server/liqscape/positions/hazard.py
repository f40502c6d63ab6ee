"""Integer clocks: when a cohort closes by choice of its owners.

A cohort of leverage L waits an exponential time measured in *hazard*, the clock of its (instrument, side), which
moves on only as positions are closed. Its clock is H + E x L/10: H the hazard when it opened, E a unit exponential
drawn from a hash. Closing the lowest clocks first is then proportional to turnover in expectation, exact in sum, and
reproducible: no random generator, no logarithm at run time. Clocks count 1/65536.
"""

from __future__ import annotations

import hashlib
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import ModelError

QUANTILES: Final = 65_536
CLOCK_ONE: Final = 65_536
TABLE_SHA256: Final = "785f6441aa29e66402b46964dc4e333d949114e311aadcad14ee1702078526d7"
_TABLE_FILE: Final = "exponential_quantiles.bin"

_SPLIT_GAMMA: Final = 0x9E3779B97F4A7C15
_MIX_A: Final = 0xBF58476D1CE4E5B9
_MIX_B: Final = 0x94D049BB133111EB
_MASK: Final = (1 << 64) - 1


@cache
def exponential_quantiles() -> NDArray[np.int64]:
    """Return int64[65536]: E[i] = round(-ln((i + 1/2) / 65536) x 65536), read from the shipped table.

    Raises:
        ModelError: the file does not have the checksum of the table this version was built with.
    """
    raw = files("liqscape.positions").joinpath(_TABLE_FILE).read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != TABLE_SHA256:
        raise ModelError(f"{_TABLE_FILE} has sha256 {digest}, expected {TABLE_SHA256}; reinstall liqscape")
    table = np.frombuffer(raw, dtype="<u4").astype(np.int64)
    table.flags.writeable = False
    return table


def compute_quantile(index: int) -> int:
    """Compute one entry of the table in decimal arithmetic, which gives the same digits on every machine."""
    with localcontext() as context:
        context.prec = 40
        value = -(Decimal(2 * index + 1) / Decimal(2 * QUANTILES)).ln() * CLOCK_ONE
        return int(value.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def turnover_reciprocal(leverage: int) -> int:
    """Return the mean wait of a tier in 1/65536: 65536 / (leverage / 10), rounded down."""
    return 655_360 // leverage


def mix64(value: int) -> int:
    """Return the SplitMix64 finaliser of value + the golden gamma, modulo 2^64.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 17 (variant 13).
    """
    z = (value + _SPLIT_GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * _MIX_A) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_B) & _MASK
    return z ^ (z >> 31)


def text_seed(text: str) -> int:
    """Return a 64-bit seed for a name: mix64 over its UTF-8 bytes, one at a time, from 0."""
    state = 0
    for byte in text.encode():
        state = mix64(state ^ byte)
    return state


def draw_h16(seed: int, open_minute: int, rows: NDArray[np.int32], tier_sides: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return the 16-bit draw of each cohort as int64[n] in [0, 65536).

    h16 = mix64(mix64(mix64(seed xor open_minute) xor row) xor (tier index x 2 + side)) >> 48, where seed =
    text_seed(symbol + "/" + instrument id) and row is taken modulo 2^32.

    Args:
        seed: of (symbol, instrument).
        open_minute: minute the cohorts opened in.
        rows: base row of the liquidation price, int32[n].
        tier_sides: tier index x 2 + side, uint16[n] (the low five bits of a key).
    """
    state = np.uint64(mix64(seed ^ open_minute))
    mixed = _mix64_array(rows.astype(np.uint32).astype(np.uint64) ^ state)
    mixed = _mix64_array(mixed ^ tier_sides.astype(np.uint64))
    return (mixed >> np.uint64(48)).astype(np.int64)


def _mix64_array(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = values + np.uint64(_SPLIT_GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_A)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_B)
    return z ^ (z >> np.uint64(31))
