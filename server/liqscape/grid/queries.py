"""What a grid query means: window, rows, weights and moment, checked against what is held. Pure.

A grid can be asked for as of any minute of the last day, in any window whose columns and rows the merged past can still
tell apart, with any 16-bit weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MAX_GRID_ROWS, WEIGHT_ONE, RowRange, SymbolScale, Timeframe
from liqscape.axes import timeframe as find_timeframe
from liqscape.device.age_tiers import AGE_TIERS
from liqscape.device.backend import LedgerView
from liqscape.errors import InvalidArgument, LimitExceeded, NotFound, OutOfRange
from liqscape.events import PositionSide
from liqscape.grid.updates import ChannelAxes, GridQuery, PositionModel, PositionQuery, Provenance
from liqscape.instruments import LEVERAGE_TIERS, Instrument
from liqscape.positions.mix import SHARE_ONE
from liqscape.positions.weights import STATED_LEVERAGE, STATED_TIER_INDEX, make_key, no_weights

MAX_QUERY_CELLS: Final = 4 << 20
"""32 MB of answer: five times the largest default grid."""

MAX_WEIGHT_RATIO: Final = 16
"""Weights have 16 bits and one is 4096."""


@dataclass(frozen=True, slots=True)
class AxesSince:
    """Axes a channel has had from a minute on."""

    from_minute: int
    generation: int
    axes: ChannelAxes


@dataclass(frozen=True, slots=True)
class GridPlan:
    """A query that can be answered: project(view, axes.timeframe, minute, axes.rows, weights)."""

    axes: ChannelAxes
    generation: int
    minute: int
    weights: NDArray[np.uint16]
    reconciled: bool


@dataclass(frozen=True, slots=True)
class SelectedKey:
    """A key that a query counts, and what it stands for; leverage is STATED_LEVERAGE of stated positions."""

    key: int
    number: int
    instrument: Instrument
    leverage: int
    side: PositionSide

    @property
    def stated(self) -> bool:
        """Return whether it is that of positions which their venue states."""
        return self.leverage == STATED_LEVERAGE


def plan_grid(
    query: GridQuery,
    *,
    instruments: Sequence[Instrument],
    mixes: Sequence[Sequence[int]],
    scale: SymbolScale,
    mark_price: int,
    now_minute: int,
    view: LedgerView,
    history: Sequence[AxesSince],
) -> GridPlan:
    """Return how to answer a query.

    Args:
        query: what is asked; its symbol is that of the other arguments.
        instruments: of the symbol, in the order of their numbers.
        mixes: the inflow mix in force of each, millionths by leverage tier.
        scale: integer units of the symbol.
        mark_price: now, in price units.
        now_minute: the newest minute that may be asked for.
        view: the ledger.
        history: axes of the timeframe's default channel, oldest first; empty for a window of one's own.

    Raises:
        InvalidArgument: names the field and what is allowed. NotFound: an unknown venue. OutOfRange: a minute not held.
    """
    minute = _minute(query, now_minute, view)
    frame = frame_of(query)
    known = [entry for entry in history if entry.from_minute <= minute] or list(history[:1])
    generation, rows = (known[-1].generation, known[-1].axes.rows) if known else (0, scale.row_range(frame, mark_price))
    rows = rows_of(query, scale, rows)
    _check_window(query, frame, rows, minute, view)
    weights, reconciled = weights_of(query, instruments, mixes)
    return GridPlan(ChannelAxes(frame, scale, rows), generation, minute, weights, reconciled)


def _minute(query: GridQuery, now_minute: int, view: LedgerView) -> int:
    if query.as_of_minute is None:
        return now_minute
    earliest = max(view.exact_from_minute, 0)
    if not earliest <= query.as_of_minute <= now_minute:
        raise OutOfRange(f"as_of_minute {query.as_of_minute} is not held; ask for {earliest} to {now_minute}")
    return query.as_of_minute


def frame_of(query: GridQuery) -> Timeframe:
    """Return the window asked for; one of a caller's own has no name.

    Raises:
        InvalidArgument: names the field and what is allowed.
    """
    if query.column_minutes is None and query.columns is None:
        return find_timeframe(query.timeframe)
    if query.timeframe:
        raise InvalidArgument("timeframe and a window of one's own exclude each other; leave timeframe empty")
    if not query.column_minutes or not query.columns:
        raise InvalidArgument("column_minutes and columns go together, both above 0")
    longest = AGE_TIERS[-1].frame
    if query.column_minutes * query.columns > longest.column_minutes * longest.columns:
        raise InvalidArgument(f"columns {query.columns} x {query.column_minutes} min is more than a year; ask for less")
    return Timeframe("", query.column_minutes, query.columns, longest.span_permille, 1)


def rows_of(query: PositionQuery, scale: SymbolScale, default: RowRange) -> RowRange:
    """Return the rows asked for.

    Args:
        query: what is asked.
        scale: integer units of the symbol.
        default: prices and multiple where the query names none.

    Raises:
        InvalidArgument: names the field and what is allowed.
    """
    multiple = query.row_multiple if query.row_multiple is not None else default.multiple
    if multiple < 1:
        raise InvalidArgument(f"base_steps_per_row {multiple} is invalid; use 1 or more")
    low = default.first * default.multiple
    high = (default.first + default.count) * default.multiple - 1
    if query.price_low is not None:
        low = _base_row("price_low", query.price_low, scale)
    if query.price_high is not None:
        high = _base_row("price_high", query.price_high, scale)
    first, last = low // multiple, high // multiple
    if high < low:
        raise InvalidArgument(
            f"price_low {_edge(query.price_low, low, scale)} is above price_high {_edge(query.price_high, high, scale)}"
        )
    return RowRange(first, last - first + 1, multiple)


def _edge(asked: float | None, base_row: int, scale: SymbolScale) -> float:
    return base_row * scale.base_step / 10**scale.price_decimals if asked is None else asked


def _base_row(field: str, price: float, scale: SymbolScale) -> int:
    highest = float(1 << 40)
    if not 0 <= price <= highest:  # also refuses NaN
        raise InvalidArgument(f"{field} {price} is invalid; use 0 to {highest:.0f}")
    return scale.base_row(int(price * 10**scale.price_decimals))


def _check_window(query: GridQuery, frame: Timeframe, rows: RowRange, minute: int, view: LedgerView) -> None:
    first_minute = frame.first_column(minute) * frame.column_minutes
    if first_minute < view.held_from_minute:
        raise OutOfRange(
            f"the window begins at minute {first_minute}; what opened before {view.held_from_minute} is gone"
        )
    coarsest = max((AGE_TIERS[k].bin_minutes for k in view.tiers_from(first_minute)), default=1)
    unit = max((AGE_TIERS[k].row_unit for k in view.tiers_from(first_minute)), default=1)
    if frame.column_minutes % coarsest:
        raise InvalidArgument(
            f"column_minutes {frame.column_minutes} is too fine for a window this long; use a multiple of {coarsest}"
        )
    if rows.multiple % unit:
        raise InvalidArgument(f"base_steps_per_row {rows.multiple} is too fine here; use a multiple of {unit}")
    check_size(query, frame, rows)


def check_size(query: GridQuery, frame: Timeframe, rows: RowRange) -> None:
    """Refuse an answer that is larger than any may be, or than whoever asks may have.

    Raises:
        InvalidArgument: names what is allowed. LimitExceeded: see check_cells.
    """
    cells = frame.columns * rows.count
    own_rows = query.row_multiple is not None or query.price_low is not None or query.price_high is not None
    if cells > MAX_QUERY_CELLS or (not own_rows and rows.count > MAX_GRID_ROWS):
        raise InvalidArgument(
            f"{frame.columns} columns x {rows.count} rows is too large; at most {MAX_QUERY_CELLS} cells"
        )
    check_cells(query, cells)


def check_cells(query: PositionQuery, cells: int) -> None:
    """Raise LimitExceeded if an answer would have more cells than whoever asks may have."""
    if query.max_cells is not None and cells > query.max_cells:
        raise LimitExceeded(f"the answer has {cells} cells; the limit of this caller is {query.max_cells}")


def weights_of(
    query: PositionQuery, instruments: Sequence[Instrument], mixes: Sequence[Sequence[int]]
) -> tuple[NDArray[np.uint16], bool]:
    """Return the weight of each key, and whether the lots they count are a part of the reconciled book.

    Leverages that an instrument does not offer count as well: its rules may change while a channel has these weights,
    and what opens then must not be left out of it. A mix of one's own knows no share of them, and leaves them out.

    A mix of one's own fits the open-only book too, and better: only prices end its positions, so what is open in a tier
    is in proportion to the share it had of what opened. But nothing ties that book to open interest. Stated positions
    keep weight one: they are what they are, whatever leverage others use.

    Raises:
        InvalidArgument: names the field and what is allowed. NotFound: an unknown venue.
    """
    wanted = _own_mix(query)
    weights = no_weights(len(instruments))
    for entry in selected_keys(query, instruments, offered_only=False):
        if entry.stated:
            weights[entry.key] = WEIGHT_ONE
            continue
        mix, tier = mixes[entry.number], LEVERAGE_TIERS.index(entry.leverage)
        # The tiers of a mix, of the past too, are the lowest ones: see Instrument.leverage_tiers.
        weights[entry.key] = _weight(entry.leverage, mix[tier] if tier < len(mix) else 0, wanted)
    return weights, not wanted and query.model is PositionModel.NET_OF_CLOSES


def selected_keys(
    query: PositionQuery, instruments: Sequence[Instrument], *, offered_only: bool = True
) -> list[SelectedKey]:
    """Return the keys that the filters of a query let pass, by instrument, tier and side; stated ones after the tiers.

    Args:
        query: its filters.
        instruments: of the symbol, in the order of their numbers.
        offered_only: leave out leverages that an instrument does not offer now.

    Raises:
        InvalidArgument: names the field and what is allowed. NotFound: an unknown venue.
    """
    if query.leverages and query.provenance is Provenance.STATED:
        raise InvalidArgument("leverages and provenance stated exclude each other; no leverage tier is stated")
    venues = {instrument.venue for instrument in instruments}
    for venue in query.venues:
        if venue not in venues:
            raise NotFound(f"venue {venue!r} is unknown; known are {', '.join(sorted(venues))}")
    for leverage in query.leverages:
        if leverage not in LEVERAGE_TIERS:
            raise InvalidArgument(f"leverages has {leverage}; allowed are {', '.join(map(str, LEVERAGE_TIERS))}")
    return [
        SelectedKey(make_key(number, tier, side), number, instrument, leverage, side)
        for number, instrument in enumerate(instruments)
        if not query.venues or instrument.venue in query.venues
        for tier, leverage in _tiers(query, instrument, offered_only)
        for side in PositionSide
        if query.side in (None, side)
    ]


def _tiers(query: PositionQuery, instrument: Instrument, offered_only: bool) -> list[tuple[int, int]]:
    """Return index and leverage of the tiers of an instrument that a query counts."""
    found: list[tuple[int, int]] = []
    if query.provenance is not Provenance.STATED:
        tiers = instrument.leverage_tiers if offered_only else LEVERAGE_TIERS
        wanted = [x for x in tiers if not query.leverages or x in query.leverages]
        found += [(LEVERAGE_TIERS.index(leverage), leverage) for leverage in wanted]
    if query.provenance is not Provenance.ESTIMATED and not query.leverages and not instrument.is_inverse:
        found.append((STATED_TIER_INDEX, STATED_LEVERAGE))
    return found


def _own_mix(query: PositionQuery) -> dict[int, int]:
    wanted = dict(query.leverage_shares)
    if not wanted:
        return wanted
    if len(wanted) != len(query.leverage_shares) or any(leverage not in LEVERAGE_TIERS for leverage in wanted):
        raise InvalidArgument(f"leverage_shares names each of {', '.join(map(str, LEVERAGE_TIERS))} at most once")
    if sum(wanted.values()) != SHARE_ONE:
        raise InvalidArgument(f"leverage_shares sum to {sum(wanted.values())}; they must sum to {SHARE_ONE}")
    return wanted


def _weight(leverage: int, share: int, wanted: dict[int, int]) -> int:
    if not wanted:
        return WEIGHT_ONE
    if not share:
        return 0
    ratio = Fraction(wanted.get(leverage, 0), share)
    if ratio >= MAX_WEIGHT_RATIO:
        raise InvalidArgument(
            f"leverage_shares raises {leverage}x to {float(ratio):.1f} times the model's share;"
            f" below {MAX_WEIGHT_RATIO} is allowed"
        )
    return round(ratio * WEIGHT_ONE)
