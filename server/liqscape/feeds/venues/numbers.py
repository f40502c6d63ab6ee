"""Decimal text of a venue -> integers, exactly or by a rounding that is stated; nothing passes through floating point.

Venues send numbers as JSON text ("65000.10") or as JSON numbers (65000.1). orjson makes floats of the latter; the
shortest text that reads back as that float, repr, is what the venue wrote as long as it wrote 15 digits or fewer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Final

from liqscape.errors import LiqscapeError
from liqscape.events import QUANTITY_DECIMALS

QUANTITY_UNIT: Final = 10**QUANTITY_DECIMALS
"""Units of an event in one coin, or in one contract of an inverse instrument."""

MAX_DIGITS: Final = 40
"""Of a number, point included: a wei amount of a trillion coins has 31. What is longer is no number of a market."""


class UnreadableNumber(LiqscapeError):
    """A value that is no decimal number, or none that can be counted in the unit wanted."""


REMEMBERED: Final = 1 << 14
"""Texts of one Remembered, 2 MB at most, and there are some twenty: a market says the same numbers again and again."""


class Remembered(dict[str, int]):
    """Texts and what they were read as: `remembered[text]` reads a text that is new. What cannot be read is not kept.

    Args:
        read: of a text; raises what it likes.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[str], int]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> int:
        count = self._read(text)
        if len(self) >= REMEMBERED:
            self.clear()  # what is said now is remembered again at once, and no order has to be kept
        self[text] = count
        return count


def decimal_text(value: object) -> str:
    """Return the text of a JSON number or string.

    Raises:
        UnreadableNumber: it is another kind of value, empty, or too long.
    """
    if type(value) is str:
        text = value
    elif type(value) is float or type(value) is int:
        text = repr(value)
    else:
        raise UnreadableNumber(f"{str(value)[:MAX_DIGITS]!r} is no number")
    if not 0 < len(text) <= MAX_DIGITS:
        raise UnreadableNumber(f"{text[:MAX_DIGITS]!r} is no number: {len(text)} characters, 1 to {MAX_DIGITS} allowed")
    return text


def exact(value: object, decimals: int) -> int:
    """Return a number as a whole count of 10^-decimals.

    Args:
        value: JSON text or number.
        decimals: zero or more.

    Raises:
        UnreadableNumber: it is no number, or has digits other than 0 beyond these decimals.
    """
    units, rest = _split(value, decimals)
    if rest:
        raise UnreadableNumber(f"{value!r} is not a multiple of 10^-{decimals}")
    return units


def floored(value: object, decimals: int) -> int:
    """Return a number as a count of 10^-decimals, floored.

    A price floored to the tick lies in the same row of every grid, because rows are whole numbers of ticks high.

    Raises:
        UnreadableNumber: it is no number.
    """
    return _split(value, decimals)[0]


def exact_quantity(value: object, unit: Fraction) -> int:
    """Return a quantity in units of events.

    Args:
        value: JSON text or number, as the venue counts.
        unit: coins (or contracts of an inverse instrument) in one of the venue's.

    Raises:
        UnreadableNumber: it is no number, or no whole count of 10^-QUANTITY_DECIMALS.
    """
    counted, rest = _split(value, QUANTITY_DECIMALS)
    if not rest:  # the usual case by itself: contracts of 0.01 coins cost little more than coins
        whole, rest_of_unit = divmod(counted * unit.numerator, unit.denominator)
        if not rest_of_unit:
            return whole
    units = as_fraction(value) * unit * QUANTITY_UNIT
    if units.denominator != 1:
        raise UnreadableNumber(f"{value!r} x {unit} is not a multiple of 10^-{QUANTITY_DECIMALS}")
    return units.numerator


def floored_quantity(value: object, unit: Fraction) -> int:
    """Return a quantity in units of events, floored: of open interest, which is floored to lots anyway."""
    counted, rest = _split(value, QUANTITY_DECIMALS)
    if not rest:
        return counted * unit.numerator // unit.denominator
    units = as_fraction(value) * unit * QUANTITY_UNIT
    return units.numerator // units.denominator


def as_fraction(value: object) -> Fraction:
    """Return a number exactly.

    Raises:
        UnreadableNumber: it is no number.
    """
    text = decimal_text(value)
    if _NUMBER.fullmatch(text) is None:  # Decimal would take underscores, NaN and the digits of any script
        raise UnreadableNumber(f"{text!r} is no number")
    number = Decimal(text)
    if abs(number.adjusted()) > MAX_DIGITS:
        raise UnreadableNumber(f"{text!r} is no number of a market")
    return Fraction(number)


def _split(value: object, decimals: int) -> tuple[int, bool]:
    """Return the floored count of 10^-decimals, and whether anything is left over."""
    text = decimal_text(value)
    whole, _, digits = text.partition(".")
    # The usual case by itself, five times as fast as by fractions.
    if whole.isdecimal() and whole.isascii() and (not digits or (digits.isdecimal() and digits.isascii())):
        kept = digits[:decimals]
        return int(whole + kept) * _POWERS[decimals - len(kept)], bool(digits[decimals:].strip("0"))
    scaled = as_fraction(text) * 10**decimals
    return scaled.numerator // scaled.denominator, scaled.denominator != 1


_NUMBER: Final = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")

_POWERS: Final = tuple(10**exponent for exponent in range(MAX_DIGITS))
