"""Positions that a venue itself states of accounts: what is known takes the place of what was estimated.

They are part of the open interest that the book explains. So a position that becomes known, or larger, takes its lots
out of the estimated part of its instrument and side: of live lots by the clock and of uncovered ones, in proportion.
live + uncovered stays what it was, and nothing counts twice. One that becomes smaller is a close that is known, and
counts like a sweep when the next sample of open interest is explained. Where less is estimated than is stated, the rest
waits, and is told.

There are some thousands of them at most, so they live on the host, beside the table of cohorts. Their cohorts have the
tier STATED_TIER_INDEX in their key, the row of the price that the venue states, and the minute of the first statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.device.backend import NO_TRIGGER, CohortBatch
from liqscape.errors import ModelError
from liqscape.events import (
    QUANTITY_DECIMALS,
    STATED_PRICE_DECIMALS,
    STATEMENT_HOLDS_NS,
    PositionSide,
    PositionStatement,
)
from liqscape.instruments import Instrument
from liqscape.positions.account import InstrumentAccount
from liqscape.positions.contracts import Restatement
from liqscape.positions.snapshots import StatedSnapshot
from liqscape.positions.stated_changes import (
    UNPRICED_ROWS,
    AccountNews,
    Cohort,
    Holding,
    Released,
    StatedChanges,
    add,
    batch_of,
    is_priced,
    is_reached,
    stated_key,
)
from liqscape.positions.weights import group_of


class StatedBook:
    """Stated positions of one symbol.

    Args:
        instruments: numbered by their order here.
        scale: integer units of the symbol.
    """

    def __init__(self, instruments: Sequence[Instrument], scale: SymbolScale) -> None:
        self._numbers = {i.instrument_id: number for number, i in enumerate(instruments)}
        self._groups: tuple[dict[int, Holding], ...] = tuple({} for _ in range(2 * len(instruments)))
        self._scale = scale
        # Bounds that may be wider than what they bound, so that most steps need not look at every position.
        self._oldest_ns: int | None = None
        self._nearest: dict[int, int] = {}

    def __bool__(self) -> bool:
        return any(self._groups)

    def lots_by_group(self) -> NDArray[np.int64]:
        """Return int64[instrument number x 2 + side] of lots held."""
        return np.array([sum(h.lots for h in held.values()) for held in self._groups], np.int64)

    def beyond_lots(self, instrument_id: str) -> tuple[int, int]:
        """Return the lots of longs and of shorts that are stated, and for which the book had no room."""
        first = 2 * self._numbers[instrument_id]
        long, short = (sum(h.stated - h.lots for h in held.values()) for held in self._groups[first : first + 2])
        return long, short

    def cohorts(self) -> CohortBatch:
        """Return everything held, ascending by open minute, row and key; without a price: on UNPRICED_ROWS."""
        found: dict[Cohort, int] = {}
        for group, held in enumerate(self._groups):
            key = stated_key(group)
            for holding in held.values():
                add(found, (holding.open_minute, holding.row, key), holding.lots)
        return batch_of(found)

    def is_due(self, now_ns: int) -> bool:
        """Return whether a statement may have become too old."""
        return self._oldest_ns is not None and now_ns - self._oldest_ns >= STATEMENT_HOLDS_NS

    def sweep(
        self, trigger_rows: NDArray[np.int64], accounts: Sequence[InstrumentAccount], into: StatedChanges
    ) -> None:
        """End every position that a trigger price has reached; see LiveTable.sweep.

        What waited for room ends with it: were it still held, the venue would state it again.
        """
        for group in [g for g in self._nearest if trigger_rows[g] != NO_TRIGGER]:
            trigger, side = int(trigger_rows[group]), PositionSide(group & 1)
            if not is_reached(self._nearest[group], trigger, side):
                continue
            held = self._groups[group]
            reached = [a for a, h in held.items() if is_priced(h.row, side) and is_reached(h.row, trigger, side)]
            for account in reached:
                holding = held.pop(account)
                self._log(into.swept, group, holding, holding.lots)
                accounts[group >> 1].end_stated(side, holding.lots)
            self._find_nearest(group)

    def take(
        self,
        news: AccountNews | None,
        minute: int,
        sampled: Sequence[int],
        accounts: Sequence[InstrumentAccount],
        into: StatedChanges,
    ) -> None:
        """Take what is stated, let go what is too old, and make room for what waits.

        Args:
            news: of the tick; None: none, and no time has passed.
            minute: of the step.
            sampled: numbers of the instruments that end it with a sample of open interest: there may be room.
            accounts: by number.
            into: where it is noted.
        """
        stated: list[tuple[int, int]] = []
        if news is not None and news.unheard_ns:
            self._count_later(news.unheard_ns)
        for statement in news.statements if news is not None else ():
            if (group := self._take_one(statement, minute, accounts, into)) is not None:
                stated.append((group, statement.account))
        if news is not None and self.is_due(news.time_ns):
            self._let_go_old(news.time_ns, into)
        of_samples = [2 * number + side for number in sampled for side in PositionSide]
        trying = dict.fromkeys(stated)
        trying |= dict.fromkeys((group, a) for group in of_samples for a, _ in self._in_order(group, waiting=True))
        for group, account in trying:
            if (holding := self._groups[group].get(account)) is not None:
                self._make_room(group, holding, minute, accounts[group >> 1], into)

    def cut(self, group: int, lots: int, account: InstrumentAccount, into: StatedChanges) -> None:
        """Close lots that are stated and cannot be: more has closed than is estimated.

        Those that are not stated any more come first, then what was stated longest ago. They come back with the next
        statement.
        """
        leaving = [holding for of_group, holding in into.leaving if of_group == group]
        for holding in (*leaving, *(holding for _, holding in self._in_order(group))):
            closed = min(lots, holding.lots)
            if closed:
                self._log(into.closed, group, holding, closed)
                account.end_stated(PositionSide(group & 1), closed)
                holding.lots -= closed
                holding.waits = False
                lots -= closed
        if lots:
            raise ModelError(f"{lots} lots more are to be cut than are stated")

    def release(self, accounts: Sequence[InstrumentAccount], into: StatedChanges) -> list[Released]:
        """Let go what is not stated any more; after all closes, for which its lots are not among the estimated ones."""
        released: list[Released] = []
        for group, holding in into.leaving:
            side = PositionSide(group & 1)
            if holding.lots:
                self._log(into.down, group, holding, holding.lots)
                accounts[group >> 1].release_stated(side, holding.lots)
                row = holding.row if is_priced(holding.row, side) else None
                released.append(Released(group >> 1, side, row, holding.lots))
        return released

    def coarsen_rows(self, scale: SymbolScale, multiple: int) -> Restatement:
        """Put every position on the row that is multiple times as high; return what a ledger that does so misses."""
        before: dict[Cohort, int] = {}
        after: dict[Cohort, int] = {}
        for group, held in enumerate(self._groups):
            for holding in held.values():
                if is_priced(holding.row, PositionSide(group & 1)):
                    coarser = holding.row // multiple
                    add(before, (holding.open_minute, coarser, stated_key(group)), holding.lots)
                    holding.row = max(coarser, 1)
                    self._log(after, group, holding, holding.lots)
            self._find_nearest(group)
        self._scale = scale
        return Restatement.between(batch_of(before), batch_of(after))

    def snapshot(self) -> StatedSnapshot | None:
        """Return everything, None where there is nothing."""
        rows = [
            (account, key, h.lots, h.stated, h.row, h.open_minute, h.stated_ns, h.waits)
            for key, held in ((stated_key(group), held) for group, held in enumerate(self._groups))
            for account, h in sorted(held.items())
        ]
        if not rows:
            return None
        account, key, lots, stated, row, open_minute, stated_ns, waits = zip(*rows, strict=True)
        return StatedSnapshot(
            account=np.array(account, np.int64),
            key=np.array(key, np.uint16),
            lots=np.array(lots, np.int64),
            stated=np.array(stated, np.int64),
            row=np.array(row, np.int32),
            open_minute=np.array(open_minute, np.int32),
            stated_ns=np.array(stated_ns, np.int64),
            waits=np.array(waits, np.uint8),
        )

    def restore(self, snapshot: StatedSnapshot | None) -> None:
        """Be as when a snapshot was taken. On the units of then.

        Raises:
            ModelError: it is of other instruments.
        """
        for held in self._groups:
            held.clear()
        self._oldest_ns = None
        if snapshot is not None:
            groups = group_of(snapshot.key).tolist()
            if max(groups) >= len(self._groups):
                raise ModelError("stated positions of a snapshot are of instruments that are not here")
            columns = (snapshot.lots, snapshot.stated, snapshot.row, snapshot.open_minute, snapshot.stated_ns)
            amounts = zip(*(column.tolist() for column in columns), snapshot.waits.tolist(), strict=True)
            for group, account, amount in zip(groups, snapshot.account.tolist(), amounts, strict=True):
                lots, stated, row, open_minute, stated_ns, waits = amount
                self._groups[group][account] = Holding(lots, stated, row, open_minute, stated_ns, bool(waits))
        for group in range(len(self._groups)):
            self._find_nearest(group)

    def _take_one(
        self,
        statement: PositionStatement,
        minute: int,
        accounts: Sequence[InstrumentAccount],
        into: StatedChanges,
    ) -> int | None:
        """Take one statement; return the group in which room is to be made for it, if it states a position."""
        number = self._numbers[statement.instrument_id]
        account = accounts[number]
        if not statement.followed:
            for side in PositionSide:
                self._leave(2 * number + side, statement.account, into)
            return None
        stated = statement.quantity // int(10 ** (QUANTITY_DECIMALS - self._scale.lot_decimals))
        for side in PositionSide:
            if side is not statement.side or not stated:
                self._shrink(2 * number + side, statement.account, 0, account, into)
        if not stated:
            return None
        group, row = 2 * number + statement.side, self._row_of(statement)
        self._shrink(group, statement.account, stated, account, into)
        holding = self._groups[group].get(statement.account)
        if holding is None:
            holding = Holding(0, stated, row, minute, statement.time_ns, waits=True)
            self._groups[group][statement.account] = holding
        elif holding.row != row:
            self._log(into.down, group, holding, holding.lots)
            holding.row = row
            self._log(into.up, group, holding, holding.lots)
        holding.stated, holding.stated_ns = stated, statement.time_ns
        self._see(group, holding)
        return group

    def _shrink(self, group: int, account: int, stated: int, books: InstrumentAccount, into: StatedChanges) -> None:
        """Close what a position has beyond what is stated; none stated: it is gone."""
        holding = self._groups[group].get(account)
        if holding is None:
            return
        closed = holding.lots - stated
        if closed > 0:
            self._log(into.closed, group, holding, closed)
            books.end_stated(PositionSide(group & 1), closed)
            holding.lots = stated
        if not stated:
            del self._groups[group][account]

    def _make_room(
        self, group: int, holding: Holding, minute: int, account: InstrumentAccount, into: StatedChanges
    ) -> None:
        needed = holding.stated - holding.lots
        found, from_live = account.transfer(PositionSide(group & 1), needed)
        into.taken[group] += from_live
        if found and not holding.lots:
            holding.open_minute = minute
        holding.lots += found
        holding.waits = found < needed
        self._log(into.up, group, holding, found)

    def _leave(self, group: int, account: int, into: StatedChanges) -> None:
        holding = self._groups[group].pop(account, None)
        if holding is not None and holding.lots:
            into.leaving.append((group, holding))

    def _count_later(self, unheard_ns: int) -> None:
        """Count the age of everything from so much later; the order of statements stays."""
        for held in self._groups:
            for holding in held.values():
                holding.stated_ns += unheard_ns
        if self._oldest_ns is not None:
            self._oldest_ns += unheard_ns

    def _let_go_old(self, now_ns: int, into: StatedChanges) -> None:
        oldest: int | None = None
        for group in range(len(self._groups)):
            for account, holding in self._in_order(group):
                if now_ns - holding.stated_ns >= STATEMENT_HOLDS_NS:
                    self._leave(group, account, into)
                else:
                    oldest = holding.stated_ns if oldest is None else min(oldest, holding.stated_ns)
                    break  # those that follow were stated later
        self._oldest_ns = oldest

    def _in_order(self, group: int, *, waiting: bool = False) -> Iterator[tuple[int, Holding]]:
        """Yield the positions of a group, or those that wait, stated longest ago first; of one time by account."""
        held = [(a, h) for a, h in self._groups[group].items() if h.waits or not waiting]
        yield from sorted(held, key=lambda held: (held[1].stated_ns, held[0]))

    def _see(self, group: int, holding: Holding) -> None:
        """Widen the bounds by a position."""
        self._oldest_ns = holding.stated_ns if self._oldest_ns is None else min(self._oldest_ns, holding.stated_ns)
        side = PositionSide(group & 1)
        if is_priced(holding.row, side):
            nearer = max if side is PositionSide.LONG else min
            self._nearest[group] = nearer(self._nearest.get(group, holding.row), holding.row)

    def _find_nearest(self, group: int) -> None:
        self._nearest.pop(group, None)
        for holding in self._groups[group].values():
            self._see(group, holding)

    def _row_of(self, statement: PositionStatement) -> int:
        lowest, highest = UNPRICED_ROWS
        if statement.liquidation_price is None:
            return UNPRICED_ROWS[statement.side]
        height = self._scale.base_step * 10**STATED_PRICE_DECIMALS
        row = statement.liquidation_price * int(10**self._scale.price_decimals) // height
        return min(max(row, lowest + 1), highest - 1)

    def _log(self, into: dict[Cohort, int], group: int, holding: Holding, lots: int) -> None:
        if lots and is_priced(holding.row, PositionSide(group & 1)):
            add(into, (holding.open_minute, holding.row, stated_key(group)), lots)
