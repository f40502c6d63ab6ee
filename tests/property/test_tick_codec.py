"""A tick is the same after it was bytes, and bytes that are none cost no more than their length.

Seen to fail when broken on purpose, one at a time, in tick_codec.py: the sign of an integer dropped, the limit of a
count taken away, low and high swapped, the bit for a held sample that of another part.
"""

from __future__ import annotations

import tracemalloc
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu.equal_payloads import same
from liqscape.axes import SymbolScale
from liqscape.errors import ModelError
from liqscape.market.bars import Bar, PriceRange, TradedRows
from liqscape.market.closed_tick import ClosedTick, HeldSample, InstrumentCarry
from liqscape.market.tick_codec import UnreadableTick, decode_tick, encode_tick
from tests.fuzz.inputs import mutated, varint

_ANY = st.integers(-(1 << 61), 1 << 61)
_NAMES = st.text(max_size=20)
_LOTS = st.lists(_ANY, max_size=5).map(lambda lots: np.array(lots, np.int64))
_TIMES = st.integers(0, 1 << 61)

_BARS = st.builds(
    Bar,
    instrument_id=_NAMES,
    symbol=_NAMES,
    first_minute=_ANY,
    minute=_ANY,
    trigger=st.none() | st.builds(PriceRange, _ANY, _ANY, _ANY, _ANY),
    traded=st.none() | st.builds(TradedRows, _ANY, _LOTS),
    open_interest_lots=st.none() | _ANY,
    watermark_ns=_TIMES,
)
_CARRIES = st.builds(
    InstrumentCarry,
    quantity_left=_ANY,
    sends_marks=st.booleans(),
    watermark_ns=_TIMES,
    rejected=_ANY,
    held=st.none() | st.builds(HeldSample, _TIMES, _TIMES, _ANY),
)
_TICKS = st.builds(
    ClosedTick,
    end_ns=_TIMES,
    render=st.booleans(),
    bars=st.lists(_BARS, max_size=4).map(tuple),
    scales=st.lists(st.builds(SymbolScale, _NAMES, _ANY, _ANY, _ANY), max_size=3).map(tuple),
    carries=st.dictionaries(_NAMES, _CARRIES, max_size=3),
    counters=st.dictionaries(_NAMES, _ANY, max_size=3),
)


@given(_TICKS)
def test_tick_is_the_same_after_it_was_bytes(tick: ClosedTick) -> None:
    encoded = encode_tick(tick)

    assert same(decode_tick(encoded), tick)
    assert encode_tick(decode_tick(encoded)) == encoded


@given(_TICKS)
def test_every_beginning_of_a_tick_is_refused(tick: ClosedTick) -> None:
    encoded = encode_tick(tick)

    for end in range(len(encoded)):
        with pytest.raises(UnreadableTick):
            decode_tick(encoded[:end])
    with pytest.raises(UnreadableTick, match="1 bytes follow the end"):
        decode_tick(encoded + b"\0")


@given(_TICKS, st.randoms(use_true_random=False))
def test_changed_bytes_are_another_tick_or_none(tick: ClosedTick, random: Random) -> None:
    encoded = encode_tick(tick)

    for _ in range(20):
        try:
            found = decode_tick(mutated(random, encoded))
        except UnreadableTick:
            continue
        assert found.end_ns.bit_length() <= 64


@pytest.mark.parametrize("count", [1 << 20, 1 << 40, 1 << 62])
def test_count_beyond_the_bytes_takes_no_memory(count: int) -> None:
    claimed = b"\x01" + b"\0\0" + varint(count) + b"\0" * 50
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableTick, match=f"counts {count} where 50 bytes are left"):
            decode_tick(claimed)
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


def test_integer_beyond_64_bits_is_refused_on_both_ends() -> None:
    tick = ClosedTick(end_ns=1 << 63, render=True, bars=(), scales=(), carries={}, counters={})

    with pytest.raises(ModelError, match="9223372036854775808 of a tick does not fit 64 bits"):
        encode_tick(tick)
    for wrong in (varint(1 << 64), b"\xff" * 11 + b"\0", b"\xff" * 9 + b"\x7f"):
        with pytest.raises(UnreadableTick, match="longer than 64 bits"):
            decode_tick(b"\x01" + wrong + b"\0" * 20)


def test_later_version_is_refused() -> None:
    with pytest.raises(UnreadableTick, match="version 2 of a tick is unknown; 1 is read here"):
        decode_tick(b"\x02")
    with pytest.raises(UnreadableTick, match="version None"):
        decode_tick(b"")
