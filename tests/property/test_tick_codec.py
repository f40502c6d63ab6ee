"""A tick is the same after it was bytes, and bytes that are none cost no more than their length.

Seen to fail when broken on purpose, one at a time, in tick_codec.py: the sign of an integer dropped, the limit of a
count taken away, low and high swapped, the bit for a held sample that of another part.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu.equal_payloads import same
from liqscape.axes import SymbolScale
from liqscape.errors import ModelError
from liqscape.events import Correction, PositionSide, PositionStatement
from liqscape.instruments import shipped_instruments
from liqscape.market.bars import Bar, PriceRange, TradedRows
from liqscape.market.closed_tick import ClosedTick, HeldSample, InstrumentCarry
from liqscape.market.tick_codec import UnreadableTick, decode_tick, encode_tick
from liqscape.positions.inflow import all_terms
from tests.conftest import fewer_examples
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
    sampled_ns=_TIMES,
    candle_ns=_TIMES,
    prices_behind_ns=_TIMES,
    samples_behind_ns=_TIMES,
)
_CORRECTIONS = st.builds(
    Correction,
    instrument_id=_NAMES,
    time_ns=_TIMES,
    from_ns=_TIMES,
    to_ns=_TIMES,
    quantity=st.none() | _ANY,
    reason=_NAMES,
)
_STATEMENTS = st.builds(
    PositionStatement,
    instrument_id=_NAMES,
    time_ns=_TIMES,
    account=st.integers(0, (1 << 63) - 1),
    side=st.sampled_from(PositionSide),
    quantity=_ANY,
    liquidation_price=st.none() | _ANY,
    followed=st.booleans(),
)
_TERMS = st.sampled_from(all_terms(shipped_instruments().values()))
_TICKS = st.builds(
    ClosedTick,
    end_ns=_TIMES,
    render=st.booleans(),
    bars=st.lists(_BARS, max_size=4).map(tuple),
    scales=st.lists(st.builds(SymbolScale, _NAMES, _ANY, _ANY, _ANY), max_size=3).map(tuple),
    carries=st.dictionaries(_NAMES, _CARRIES, max_size=3),
    counters=st.dictionaries(_NAMES, _ANY, max_size=3),
    corrections=st.lists(_CORRECTIONS, max_size=3).map(tuple),
    terms=st.lists(_TERMS, max_size=2).map(tuple),
    held_ns=_TIMES,
    statements=st.lists(_STATEMENTS, max_size=3).map(tuple),
)


@given(_TICKS)
def test_tick_is_the_same_after_it_was_bytes(tick: ClosedTick) -> None:
    encoded = encode_tick(tick)

    assert same(decode_tick(encoded), tick)
    assert encode_tick(decode_tick(encoded)) == encoded


@fewer_examples(2)
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


def test_tick_without_statements_is_as_the_version_before_wrote_it() -> None:
    statement = PositionStatement("venue:BTCUSDT", 90, 7, PositionSide.SHORT, 5, None, followed=False)
    silent = ClosedTick(end_ns=100, render=True, bars=(), scales=(), carries={}, counters={})

    assert encode_tick(silent) == bytes.fromhex("02c80102000000000000000000")
    assert encode_tick(replace(silent, statements=(statement,))) == (
        bytes.fromhex("03c80102010d") + b"venue:BTCUSDT" + bytes.fromhex("000000000000000001" + "00130e020a")
    )


def test_later_version_is_refused() -> None:
    with pytest.raises(UnreadableTick, match="version 4 of a tick is unknown; 1, 2, 3 are read here"):
        decode_tick(b"\x04")
    with pytest.raises(UnreadableTick, match="version None"):
        decode_tick(b"")


def test_tick_of_the_first_version_is_read() -> None:
    """As the first version wrote it: no stamps, and nothing behind the counters."""
    written = bytes.fromhex(
        "0180a0a6b9fc8cb5813102010d76656e75653a42544355534454010342544301000094c6881c08010eb4896df2019d35e730c445020608"
        "a09492ce4101000290030a01000e01040680c080a3c1fbb4813180c080a3c1fbb481310a01046761707302"
    )
    end_ns = 1_765_809_300_000_000_000

    expected = ClosedTick(
        end_ns=end_ns,
        render=True,
        bars=(
            Bar(
                "venue:BTCUSDT",
                "BTC",
                29430150,
                29430154,
                PriceRange(893530, 893651, 890123, 890406),
                TradedRows(4450, np.array([3, 4], np.int64)),
                8806090000,
                end_ns - 1,
            ),
        ),
        scales=(SymbolScale("BTC", 1, 200, 5),),
        carries={
            "venue:BTCUSDT": InstrumentCarry(
                quantity_left=7,
                sends_marks=True,
                watermark_ns=end_ns - 1,
                rejected=2,
                held=HeldSample(end_ns - 300 * 10**9, end_ns - 300 * 10**9, 5),
            )
        },
        counters={"gaps": 1},
    )
    assert same(decode_tick(written), expected)
