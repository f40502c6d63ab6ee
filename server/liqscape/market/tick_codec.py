"""A closed tick as bytes, and back: what a journal keeps.

    version     1 byte, 2, or 3 where positions are stated
    end_ns      integer
    render      integer, 0 or 1
    names       count, texts: instrument ids; then count, texts: symbols. Below they are numbers in these lists
    bars        count, bars: instrument, symbol, minute, minute - first minute, watermark - end_ns, parts (1 trigger,
                2 traded, 4 open interest); then, where there: open, high - open, low - open, close - open; first row,
                count, lots by row; open interest
    scales      count, scales: symbol, price decimals, base step, lot decimals
    carries     count, carries: instrument, quantity left, watermark - end_ns, rejected, parts (1 sends marks, 2 holds a
                sample, 4 to 32 stamps); then, where there: end, watermark, quantity of the sample; and of what is
                sampled, candle, prices behind, samples behind: stamp - end_ns
    counters    count, counters: text, added
    corrections count, corrections: instrument, time - end_ns, from - end_ns, to - end_ns, 1 where there is a quantity,
                quantity or 0, reason
    terms       count, terms: text, JSON as of terms_text
    held        integer, nanoseconds
    statements  version 3 alone: count, statements: instrument, time - end_ns, account, parts (1 short, 2 followed, 4 a
                liquidation price), quantity; then, where there: liquidation price

Integers are signed, zigzag, in groups of seven bits, lowest first; counts are unsigned. A text is its count of bytes,
then UTF-8. Nothing follows the end. Every element takes a byte or more, so what is decoded is never much larger than
its bytes, whatever they say. Version 1, which is read too, has no stamps and ends after the counters. An account is a
number that tells nobody whose it is, see events.PositionStatement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import numpy as np

from liqscape.axes import SymbolScale
from liqscape.errors import LiqscapeError, ModelError
from liqscape.events import Correction, PositionSide, PositionStatement
from liqscape.market.bars import Bar, PriceRange, TradedRows
from liqscape.market.closed_tick import ClosedTick, HeldSample, InstrumentCarry
from liqscape.market.terms import Terms, UnreadableTerms, terms_of_plain, terms_text

VERSION: Final = 2
VERSION_WITH_STATEMENTS: Final = 3
READABLE: Final = (1, VERSION, VERSION_WITH_STATEMENTS)

MAX_INTEGER_BITS: Final = 63
"""Of a magnitude: all that the model computes with fits 64 bits."""

_TRIGGER, _TRADED, _SAMPLE = 1, 2, 4
_SENDS_MARKS, _HOLDS = 1, 2
_SHORT, _FOLLOWED, _PRICED = 1, 2, 4
_STAMPS: Final = ("sampled_ns", "candle_ns", "prices_behind_ns", "samples_behind_ns")
_FIRST_STAMP: Final = 4
"""Part of the first of the stamps; each other one is the next bit."""

_T = TypeVar("_T")


class UnreadableTick(LiqscapeError):
    """Bytes that are not a tick of a version known here."""


def encode_tick(tick: ClosedTick) -> bytes:
    """Return a tick as bytes.

    Raises:
        ModelError: an integer does not fit 64 bits.
    """
    out = _Writer(VERSION_WITH_STATEMENTS if tick.statements else VERSION)
    corrected = (correction.instrument_id for correction in tick.corrections)
    stated = (statement.instrument_id for statement in tick.statements)
    said = (*(bar.instrument_id for bar in tick.bars), *tick.carries, *corrected, *stated)
    ids = {name: n for n, name in enumerate(dict.fromkeys(said))}
    named = (*(bar.symbol for bar in tick.bars), *(scale.symbol for scale in tick.scales))
    symbols = {name: n for n, name in enumerate(dict.fromkeys(named))}
    out.integer(tick.end_ns)
    out.integer(tick.render)
    for names in (ids, symbols):
        out.each(names, out.text)
    out.each(tick.bars, lambda bar: _write_bar(out, bar, ids[bar.instrument_id], symbols[bar.symbol], tick.end_ns))
    out.each(
        tick.scales,
        lambda s: out.integers(symbols[s.symbol], s.price_decimals, s.base_step, s.lot_decimals),
    )
    out.each(tick.carries.items(), lambda named: _write_carry(out, ids[named[0]], named[1], tick.end_ns))
    out.each(tick.counters.items(), lambda counted: _write_counter(out, *counted))
    out.each(tick.corrections, lambda c: _write_correction(out, ids[c.instrument_id], c, tick.end_ns))
    out.each(tick.terms, lambda terms: out.text(terms_text(terms)))
    out.integer(tick.held_ns)
    if tick.statements:
        out.each(tick.statements, lambda s: _write_statement(out, ids[s.instrument_id], s, tick.end_ns))
    return bytes(out.data)


def decode_tick(data: bytes) -> ClosedTick:
    """Return the tick that bytes stand for.

    Raises:
        UnreadableTick: they stand for none.
    """
    if not data or data[0] not in READABLE:
        known = ", ".join(map(str, READABLE))
        raise UnreadableTick(f"version {data[0] if data else None} of a tick is unknown; {known} are read here")
    read = _Reader(data)
    end_ns, render = read.integer(), read.integer()
    ids, symbols = read.each(read.text), read.each(read.text)
    bars = read.each(lambda: _read_bar(read, ids, symbols, end_ns))
    scales = read.each(lambda: SymbolScale(read.item(symbols), read.integer(), read.integer(), read.integer()))
    carries = read.each(lambda: (read.item(ids), _read_carry(read, end_ns)))
    counters = read.each(lambda: (read.text(), read.integer()))
    corrections: list[Correction] = []
    terms: list[Terms] = []
    statements: list[PositionStatement] = []
    held_ns = 0
    if data[0] > 1:
        corrections = read.each(lambda: _read_correction(read, ids, end_ns))
        terms = read.each(lambda: _read_terms(read))
        held_ns = read.integer()
    if data[0] == VERSION_WITH_STATEMENTS:
        statements = read.each(lambda: _read_statement(read, ids, end_ns))
    if read.at != len(data):
        raise UnreadableTick(f"{len(data) - read.at} bytes follow the end of a tick")
    return ClosedTick(
        end_ns=end_ns,
        render=bool(render),
        bars=tuple(bars),
        scales=tuple(scales),
        carries=dict(carries),
        counters=dict(counters),
        corrections=tuple(corrections),
        terms=tuple(terms),
        held_ns=held_ns,
        statements=tuple(statements),
    )


def _write_bar(out: _Writer, bar: Bar, instrument: int, symbol: int, end_ns: int) -> None:
    parts = (bar.trigger, _TRIGGER), (bar.traded, _TRADED), (bar.open_interest_lots, _SAMPLE)
    out.integers(instrument, symbol, bar.minute, bar.minute - bar.first_minute, bar.watermark_ns - end_ns)
    out.integer(sum(bit for part, bit in parts if part is not None))
    if (price := bar.trigger) is not None:
        out.integers(price.open, price.high - price.open, price.low - price.open, price.close - price.open)
    if bar.traded is not None:
        out.integer(bar.traded.first_row)
        out.each(bar.traded.lots.tolist(), out.integer)
    if bar.open_interest_lots is not None:
        out.integer(bar.open_interest_lots)


def _read_bar(read: _Reader, ids: list[str], symbols: list[str], end_ns: int) -> Bar:
    instrument_id, symbol = read.item(ids), read.item(symbols)
    minute, covered, watermark, parts = read.integer(), read.integer(), read.integer(), read.integer()
    trigger = traded = None
    if parts & _TRIGGER:
        opened = read.integer()
        trigger = PriceRange(opened, opened + read.integer(), opened + read.integer(), opened + read.integer())
    if parts & _TRADED:
        first_row = read.integer()
        traded = TradedRows(first_row, np.array(read.each(read.integer), np.int64))
    return Bar(
        instrument_id=instrument_id,
        symbol=symbol,
        first_minute=minute - covered,
        minute=minute,
        trigger=trigger,
        traded=traded,
        open_interest_lots=read.integer() if parts & _SAMPLE else None,
        watermark_ns=end_ns + watermark,
    )


def _write_counter(out: _Writer, name: str, added: int) -> None:
    out.text(name)
    out.integer(added)


def _write_carry(out: _Writer, instrument: int, carry: InstrumentCarry, end_ns: int) -> None:
    out.integers(instrument, carry.quantity_left, carry.watermark_ns - end_ns, carry.rejected)
    stamps = [getattr(carry, name) for name in _STAMPS]
    parts = (_SENDS_MARKS if carry.sends_marks else 0) | (_HOLDS if carry.held is not None else 0)
    out.integer(parts | sum(_FIRST_STAMP << number for number, stamp in enumerate(stamps) if stamp))
    if carry.held is not None:
        out.integers(carry.held.end_ns, carry.held.watermark_ns, carry.held.quantity)
    out.integers(*(stamp - end_ns for stamp in stamps if stamp))


def _read_carry(read: _Reader, end_ns: int) -> InstrumentCarry:
    left, watermark, rejected, parts = read.integer(), read.integer(), read.integer(), read.integer()
    return InstrumentCarry(
        quantity_left=left,
        sends_marks=bool(parts & _SENDS_MARKS),
        watermark_ns=end_ns + watermark,
        rejected=rejected,
        held=HeldSample(read.integer(), read.integer(), read.integer()) if parts & _HOLDS else None,
        **{
            name: end_ns + read.integer() if parts & _FIRST_STAMP << number else 0
            for number, name in enumerate(_STAMPS)
        },
    )


def _write_correction(out: _Writer, instrument: int, correction: Correction, end_ns: int) -> None:
    out.integers(instrument, *(t - end_ns for t in (correction.time_ns, correction.from_ns, correction.to_ns)))
    out.integers(int(correction.quantity is not None), correction.quantity or 0)
    out.text(correction.reason)


def _read_correction(read: _Reader, ids: list[str], end_ns: int) -> Correction:
    instrument_id = read.item(ids)
    time_ns, from_ns, to_ns = (end_ns + read.integer() for _ in range(3))
    has_quantity, quantity = read.integer(), read.integer()
    return Correction(instrument_id, time_ns, from_ns, to_ns, quantity if has_quantity else None, read.text())


def _write_statement(out: _Writer, instrument: int, statement: PositionStatement, end_ns: int) -> None:
    price = statement.liquidation_price
    parts = (statement.side, _SHORT), (statement.followed, _FOLLOWED), (price is not None, _PRICED)
    out.integers(instrument, statement.time_ns - end_ns, statement.account)
    out.integers(sum(bit for part, bit in parts if part), statement.quantity)
    if price is not None:
        out.integer(price)


def _read_statement(read: _Reader, ids: list[str], end_ns: int) -> PositionStatement:
    instrument_id, time_ns, account = read.item(ids), end_ns + read.integer(), read.integer()
    parts, quantity = read.integer(), read.integer()
    return PositionStatement(
        instrument_id=instrument_id,
        time_ns=time_ns,
        account=account,
        side=PositionSide.SHORT if parts & _SHORT else PositionSide.LONG,
        quantity=quantity,
        liquidation_price=read.integer() if parts & _PRICED else None,
        followed=bool(parts & _FOLLOWED),
    )


def _read_terms(read: _Reader) -> Terms:
    try:
        (terms,) = terms_of_plain({"": json.loads(read.text())}).values()
    except (ValueError, RecursionError, UnreadableTerms) as error:
        raise UnreadableTick(f"terms of a tick cannot be read: {error}") from None
    return terms


class _Writer:
    def __init__(self, version: int) -> None:
        self.data = bytearray([version])

    def integer(self, value: int) -> None:
        if value.bit_length() > MAX_INTEGER_BITS:
            raise ModelError(f"{value} of a tick does not fit 64 bits")
        self._unsigned(value << 1 if value >= 0 else (-value << 1) - 1)

    def integers(self, *values: int) -> None:
        for value in values:
            self.integer(value)

    def text(self, text: str) -> None:
        encoded = text.encode()
        self._unsigned(len(encoded))
        self.data += encoded

    def each(self, values: Iterable[_T], write: Callable[[_T], object]) -> None:
        listed = list(values)
        self._unsigned(len(listed))
        for value in listed:
            write(value)

    def _unsigned(self, value: int) -> None:
        while value >= 0x80:
            self.data.append(value & 0x7F | 0x80)
            value >>= 7
        self.data.append(value)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.at = 1
        self._data = data

    def integer(self) -> int:
        value = self._unsigned()
        return -((value + 1) >> 1) if value & 1 else value >> 1

    def text(self) -> str:
        count = self._count()
        encoded = self._data[self.at : self.at + count]
        self.at += count
        try:
            return encoded.decode()
        except UnicodeDecodeError as error:
            raise UnreadableTick(f"a text of a tick is not UTF-8: {error.reason}") from None

    def item(self, names: list[str]) -> str:
        number = self.integer()
        if not 0 <= number < len(names):
            raise UnreadableTick(f"a tick names number {number} of {len(names)}")
        return names[number]

    def each(self, read: Callable[[], _T]) -> list[_T]:
        return [read() for _ in range(self._count())]

    def _count(self) -> int:
        count = self._unsigned()
        if count > len(self._data) - self.at:
            raise UnreadableTick(f"a tick counts {count} where {len(self._data) - self.at} bytes are left")
        return count

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            if self.at >= len(self._data):
                raise UnreadableTick("a tick ends within an integer")
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > MAX_INTEGER_BITS:
                raise UnreadableTick("an integer of a tick is longer than 64 bits")
        if value >> (MAX_INTEGER_BITS + 1):
            raise UnreadableTick("an integer of a tick is longer than 64 bits")
        return value
