"""What a recording says about itself: a TOML manifest, read into frozen values and checked key by key.

A manifest names files of other people and states what their columns mean; it never holds data. Nothing here opens the
files it names. All errors are ConfigError: manifest file, series, key, the value, what is allowed.

Stamps: `from` and `to` are inclusive and are stamps as the file writes them. For candles stamped at their open the last
candle covers [to, to + step); for open interest `to` is the last sample used.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Final

from liqscape.errors import ConfigError, NotFound
from liqscape.instruments import Instrument, find_instrument

CANDLES: Final = "candles"
OPEN_INTEREST: Final = "open_interest"
TIME_UNITS: Final = ("ms", "s", "timestamp", "text")

_COLUMNS: Final = {
    CANDLES: ("open", "high", "low", "close", "volume"),
    OPEN_INTEREST: ("open_interest",),
}
_STAMPS: Final = {CANDLES: "open", OPEN_INTEREST: "instant"}
_INTERPOLATIONS: Final = {CANDLES: ("none",), OPEN_INTEREST: ("none", "linear")}
_PATHS: Final = {CANDLES: ("range", "legs"), OPEN_INTEREST: ("range",)}
LEAST_STEP_OF_LEGS_NS: Final = 15 * 60_000_000_000
"""Shorter candles are not cut into legs: it changed nothing for those of 5 minutes, which say enough of the path."""
_UNIT_NS: Final = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_REQUIRED: Final = (
    "symbol",
    "instrument",
    "kind",
    "file",
    "time_column",
    "time_unit",
    "stamp",
    "columns",
    "quantity_unit",
    "step",
    "from",
    "to",
)
_OPTIONAL: Final = ("tolerance", "interpolation", "path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One column set of one file: the candles or the open interest of one instrument.

    Attributes:
        instrument: whose data this is, under the rules in force at its first stamp; linear, since quantities are in the
            base coin.
        kind: candles or open_interest.
        file: Parquet file, relative to the recordings folder, with forward slashes.
        time_column: column of the stamps.
        time_unit: ms or s since 1970 (integers), timestamp (Parquet's own), text (ISO; UTC where it states no offset).
        columns: our name -> the file's column.
        step_ns: distance of the stamps; they lie on multiples of it since 1970.
        from_ns: first stamp used, inclusive.
        to_ns: last stamp used, inclusive.
        tolerance_ns: how far a stamp may lie beside the grid and still be moved onto it.
        linear: values between two neighbouring samples may be interpolated linearly.
        legs: candles are said leg by leg of their likely path, see candle_path.
    """

    instrument: Instrument
    kind: str
    file: str
    time_column: str
    time_unit: str
    columns: dict[str, str]
    step_ns: int
    from_ns: int
    to_ns: int
    tolerance_ns: int = 0
    linear: bool = False
    legs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A recording: its name, what it is, and its series in the manifest's order."""

    name: str
    description: str
    series: tuple[Series, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return every symbol, sorted."""
        return tuple(sorted({s.instrument.symbol for s in self.series}))


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        ConfigError: it cannot be read, or a key is missing, unknown or wrong.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"manifest {str(path)!r} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"manifest {str(path)!r} is not TOML: {error}") from error
    reader = _Reader(str(path), table)
    reader.allow(("name", "description", "series"), ())
    rows = table["series"]
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise reader.wrong("series", "one or more [[series]] tables")
    series = tuple(_read_series(_Reader(f"{path}, series {i}", row)) for i, row in enumerate(rows, 1))
    _check_together(str(path), series)
    return Manifest(name=reader.text("name"), description=reader.text("description"), series=series)


class _Reader:
    """One TOML table and the words for where it stands."""

    def __init__(self, where: str, table: dict[str, Any]) -> None:
        self._where = where
        self._table = table

    def wrong(self, key: str, allowed: str) -> ConfigError:
        return ConfigError(f"{self._where}: key {key!r} is {self._table.get(key)!r}; allowed is {allowed}")

    def allow(self, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
        for key in required:
            if key not in self._table:
                raise ConfigError(f"{self._where}: key {key!r} is missing")
        for key in self._table:
            if key not in required and key not in optional:
                known = ", ".join(required + optional)
                raise ConfigError(f"{self._where}: key {key!r} is unknown; known are {known}")

    def text(self, key: str) -> str:
        value = self._table[key]
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "a text that is not empty")
        return value

    def one_of(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self._table.get(key, default)
        if value not in allowed:
            raise self.wrong(key, " or ".join(repr(a) for a in allowed))
        return str(value)

    def file(self, key: str) -> str:
        path = PurePosixPath(self.text(key))
        if path.is_absolute() or ".." in path.parts or "\\" in str(path):
            raise self.wrong(key, "a path inside the recordings folder, with forward slashes and no '..'")
        return str(path)

    def duration_ns(self, key: str, default: str | None = None) -> int:
        value = self._table.get(key, default)
        match = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", value) if isinstance(value, str) else None
        if match is None:
            raise self.wrong(key, "a whole number and a unit among ms, s, m, h, d, such as '5m'")
        return int(match[1]) * _UNIT_NS[match[2]]

    def stamp_ns(self, key: str) -> int:
        value = self._table[key]
        try:
            stamp = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise self.wrong(key, "an ISO stamp in UTC, such as '2025-12-01T00:05:00Z'") from None
        if stamp.utcoffset() not in (None, timedelta(0)):
            raise self.wrong(key, "an ISO stamp in UTC, without another offset")
        return datetime_ns(stamp)

    def columns(self, key: str, names: tuple[str, ...]) -> dict[str, str]:
        value = self._table[key]
        allowed = "a table of " + ", ".join(f'{n} = "<column>"' for n in names)
        if not isinstance(value, dict) or set(value) != set(names):
            raise self.wrong(key, allowed)
        if not all(isinstance(v, str) and v for v in value.values()):
            raise self.wrong(key, allowed)
        return {name: value[name] for name in names}

    def instrument(self, key: str) -> Instrument:
        try:
            found = find_instrument(self.text(key))
        except NotFound as error:
            raise ConfigError(f"{self._where}: key {key!r}: {error}") from error
        if found.contract != "linear":
            raise self.wrong(key, "a linear instrument, since quantities are in the base coin")
        return found


def datetime_ns(stamp: datetime) -> int:
    """Return nanoseconds since 1970 of a stamp; one without an offset is UTC."""
    aware = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND * 1000


def _read_series(reader: _Reader) -> Series:
    reader.allow(_REQUIRED, _OPTIONAL)
    kind = reader.one_of("kind", (CANDLES, OPEN_INTEREST))
    reader.one_of("stamp", (_STAMPS[kind],))
    reader.one_of("quantity_unit", ("base",))
    instrument = reader.instrument("instrument")
    if reader.text("symbol") != instrument.symbol:
        raise reader.wrong("symbol", f"{instrument.symbol!r}, the symbol of {instrument.instrument_id}")
    step_ns = reader.duration_ns("step")
    if step_ns <= 0 or step_ns % _UNIT_NS["m"]:
        raise reader.wrong("step", "one or more whole minutes")
    tolerance_ns = reader.duration_ns("tolerance", "0s")
    if 2 * tolerance_ns >= step_ns:
        raise reader.wrong("tolerance", "less than half a step")
    from_ns, to_ns = reader.stamp_ns("from"), reader.stamp_ns("to")
    for key, stamp_ns in (("from", from_ns), ("to", to_ns)):
        if stamp_ns % step_ns:
            raise reader.wrong(key, "a multiple of the step since 1970 UTC")
    if to_ns < from_ns:
        raise reader.wrong("to", "a stamp not before `from`")
    legs = reader.one_of("path", _PATHS[kind], "range") == "legs"
    if legs and step_ns < LEAST_STEP_OF_LEGS_NS:
        raise reader.wrong("path", "'range' where the step is below 15m")
    first_day = (_EPOCH + from_ns // 1000 * _MICROSECOND).date()
    return Series(
        instrument=find_instrument(instrument.instrument_id, first_day),
        kind=kind,
        file=reader.file("file"),
        time_column=reader.text("time_column"),
        time_unit=reader.one_of("time_unit", TIME_UNITS),
        columns=reader.columns("columns", _COLUMNS[kind]),
        step_ns=step_ns,
        from_ns=from_ns,
        to_ns=to_ns,
        tolerance_ns=tolerance_ns,
        linear=reader.one_of("interpolation", _INTERPOLATIONS[kind], "none") == "linear",
        legs=legs,
    )


def _check_together(where: str, series: tuple[Series, ...]) -> None:
    """Refuse two series of one kind for an instrument, and open interest without candles."""
    seen: set[tuple[str, str]] = set()
    for number, entry in enumerate(series, 1):
        pair = (entry.instrument.instrument_id, entry.kind)
        if pair in seen:
            raise ConfigError(f"{where}, series {number}: key 'kind' is {entry.kind!r} a second time for {pair[0]!r}")
        seen.add(pair)
    for number, entry in enumerate(series, 1):
        if (entry.instrument.instrument_id, CANDLES) not in seen:
            raise ConfigError(
                f"{where}, series {number}: key 'instrument' is {entry.instrument.instrument_id!r}, "
                "which has open interest but no candles; add its candles"
            )
