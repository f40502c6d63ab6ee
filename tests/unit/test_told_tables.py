"""Told margin tables become terms of a shard: when, in which ticks, and what is refused with its reason."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from liqscape.errors import ConfigError
from liqscape.events import Event, PositionSide
from liqscape.feeds.tables import CONFIRMED, FETCHED, SHIPPED, TableBoard, ToldTable
from liqscape.grid.shard import Shard
from liqscape.grid.updates import PositionModel
from liqscape.instruments import LEVERAGE_TIERS, Instrument, find_instrument
from liqscape.journal.data_folder import DataFolder
from liqscape.keeper import Keeper
from liqscape.market.closed_tick import ClosedTick
from liqscape.market.terms import Terms
from liqscape.positions.inflow import all_terms
from liqscape.positions.margin import liquidation_ratio
from liqscape.positions.weights import make_key
from liqscape.told_tables import ToldTables, rules_of, that_can_follow, under_kept
from tests.crash.small_market import INSTRUMENTS
from tests.equal_shards import differences
from tests.kept_shard import market_ticks, new_shard

BTC = next(i for i in INSTRUMENTS if i.instrument_id == "venue:BTCUSDT")

READ_NS = 1_795_219_200_000_000_000
"""2026-11-21."""


def told(instrument: Instrument = BTC, rate: str | None = None, leverage: int | None = None) -> ToldTable:
    """Return the shipped table of an instrument with another rate or leverage of its first tier, as the only one."""
    first = replace(instrument.maintenance_tiers[0], notional_cap=10**6)
    if rate is not None:
        first = replace(first, maintenance_margin_rate=Fraction(rate))
    if leverage is not None:
        first = replace(first, max_leverage=leverage)
    return ToldTable(
        instrument_id=instrument.instrument_id, tiers=(first,), since="2026-11-21", read_ns=READ_NS, where="https://a"
    )


def take(shard: Shard, ticks: list[list[Event]], tables: ToldTables | None = None) -> None:
    """Let a shard take ticks, and look at what was told after each, as an engine does."""
    for tick in ticks:
        for event in tick:
            shard.accept(event)
        if tables is not None:
            tables.look()


class Recorded:
    """A shard, what it has recorded of its ticks, and the board it looks at."""

    def __init__(self) -> None:
        self.closed: list[ClosedTick] = []
        self.shard = new_shard(lambda tick, closed: self.closed.append(closed))
        self.board = TableBoard(INSTRUMENTS)
        self.tables = ToldTables(self.shard, self.board, lambda: 7)
        self.tables.look()


def test_told_table_takes_effect_with_the_next_tick_which_says_so() -> None:
    made, ticks = Recorded(), market_ticks(40)
    take(made.shard, ticks[:20], made.tables)

    made.board.tell(told(rate="0.006"))
    made.tables.look()
    before = made.shard.terms
    take(made.shard, ticks[20:22], made.tables)

    assert [len(closed.terms) for closed in made.closed] == [0] * 20 + [1, 0]
    (changed,) = made.closed[20].terms
    assert {t.instrument_id: t for t in before}[BTC.instrument_id].instrument == BTC
    assert changed.instrument.maintenance_margin_rate == Fraction("0.006")
    assert changed.instrument.rules_date == "2026-11-21"
    assert changed.instrument.rules_source.startswith("margin table as told by https://a; all else: ")
    assert made.tables.counters == {
        "margin_tables_taken": 1,
        "margin_tables_refused": 0,
        "margin_tables_unkept": 0,
    }
    (status,) = made.board.statuses([BTC.instrument_id])
    assert (status.origin, status.rules_date) == (FETCHED, "2026-11-21")


def cohorts(shard: Shard) -> set[tuple[int, int, int]]:
    """Return open minute, liquidation row and key of what is open in BTC."""
    held, _ = shard.live_book("BTC", PositionModel.NET_OF_CLOSES).cohorts()
    return set(zip(held.open_minute.tolist(), held.row.tolist(), held.key.tolist(), strict=True))


def test_what_is_open_stays_and_what_opens_later_is_where_the_new_table_says() -> None:
    lived, changed, ticks = Recorded(), Recorded(), market_ticks(50)
    for made in (lived, changed):
        take(made.shard, ticks[:44], made.tables)
    minute, before = changed.shard.end_ns // (60 * 10**9), cohorts(changed.shard)

    changed.board.tell(told(rate="0.007"))
    changed.tables.look()
    for made in (lived, changed):
        take(made.shard, ticks[44:], made.tables)

    after, otherwise = cohorts(changed.shard), cohorts(lived.shard)
    old = {cohort for cohort in after if cohort[0] <= minute}
    assert old
    assert old <= before
    number = [i.instrument_id for i in changed.shard.book("BTC").instruments].index(BTC.instrument_id)
    opened, opened_otherwise = (
        {c for c in found if c[0] > minute and c[2] >> 5 == number} for found in (after, otherwise)
    )
    assert len(opened) > 20
    assert {key for _, _, key in opened} == {key for _, _, key in opened_otherwise}
    # Longs (even keys) end at higher prices under a higher rate, shorts at lower ones.
    for side, ahead in ((0, 1), (1, -1)):
        rows = [
            sum(row for _, row, key in found if key & 1 == side) / sum(key & 1 == side for _, _, key in found)
            for found in (opened, opened_otherwise)
        ]
        assert (rows[0] - rows[1]) * ahead > 0


def test_replay_of_the_ticks_gives_the_same_book_and_grids() -> None:
    made, ticks = Recorded(), market_ticks(60)
    take(made.shard, ticks[:20], made.tables)
    made.board.tell(told(rate="0.006"))
    take(made.shard, ticks[20:40], made.tables)
    made.board.tell(told(rate="0.003"))
    take(made.shard, ticks[40:], made.tables)

    again = new_shard()
    for closed in made.closed:
        again.replay(closed)

    assert sum(len(closed.terms) for closed in made.closed) == 2
    assert again.terms == made.shard.terms
    assert differences(made.shard, again) == []


def test_table_that_equals_what_is_in_force_changes_nothing() -> None:
    made, ticks = Recorded(), market_ticks(4)
    take(made.shard, ticks[:2], made.tables)

    made.board.tell(replace(told(), tiers=BTC.maintenance_tiers))
    take(made.shard, ticks[2:], made.tables)

    assert [closed.terms for closed in made.closed] == [()] * 4
    assert [s.origin for s in made.board.statuses([BTC.instrument_id])] == [CONFIRMED]
    assert made.tables.counters["margin_tables_taken"] == 0


def test_table_told_again_changes_nothing_again_and_the_shipped_one_comes_back_as_it_was() -> None:
    made, ticks = Recorded(), market_ticks(9)
    for tick, table in enumerate(
        [told(rate="0.006"), told(rate="0.006"), replace(told(), tiers=BTC.maintenance_tiers)]
    ):
        made.board.tell(table)
        take(made.shard, ticks[3 * tick : 3 * tick + 3], made.tables)

    assert [len(closed.terms) for closed in made.closed] == [0, 1, 0, 0, 0, 0, 0, 1, 0]
    assert made.closed[7].terms[0].instrument == BTC


def test_two_tables_told_before_one_tick_take_effect_together_and_the_later_of_one_instrument_wins() -> None:
    made, ticks = Recorded(), market_ticks(3)
    other = next(i for i in INSTRUMENTS if i.instrument_id != BTC.instrument_id)
    take(made.shard, ticks[:1], made.tables)

    for table in (told(rate="0.006"), told(other, rate="0.006"), told(rate="0.007")):
        made.board.tell(table)
        made.tables.look()
    take(made.shard, ticks[1:2], made.tables)

    rates = {t.instrument_id: t.instrument.maintenance_margin_rate for t in made.closed[1].terms}
    assert rates == {BTC.instrument_id: Fraction("0.007"), other.instrument_id: Fraction("0.006")}


def test_table_told_and_taken_back_before_the_tick_leaves_what_was_in_force() -> None:
    made, ticks = Recorded(), market_ticks(2)
    take(made.shard, ticks[:1], made.tables)

    for table in (told(rate="0.006"), replace(told(), tiers=BTC.maintenance_tiers)):
        made.board.tell(table)
        made.tables.look()
    take(made.shard, ticks[1:], made.tables)

    assert made.closed[1].terms == ()


def test_table_by_which_a_leverage_would_end_is_refused_with_the_reason() -> None:
    made, ticks = Recorded(), market_ticks(8)
    take(made.shard, ticks[:2], made.tables)

    made.board.tell(told(leverage=50))
    take(made.shard, ticks[2:5], made.tables)

    (status,) = made.board.statuses([BTC.instrument_id])
    assert (status.origin, status.failures, status.failed_ns) == (SHIPPED, 1, 7)
    assert status.failure == (
        "refused: 75x, 100x, 125x of venue:BTCUSDT, which may be open, and would be no leverage any more"
    )
    assert (made.tables.counters["margin_tables_taken"], made.tables.counters["margin_tables_refused"]) == (0, 1)
    assert [closed.terms for closed in made.closed] == [()] * 5


def test_leverage_that_comes_is_opened_on_and_every_way_back_to_it_is_the_same() -> None:
    lower = tuple(replace(tier, max_leverage=50) for tier in BTC.maintenance_tiers)
    first = tuple(
        all_terms([replace(BTC, maintenance_tiers=lower)])[0] if t.instrument_id == BTC.instrument_id else t
        for t in all_terms(INSTRUMENTS)
    )
    closed: list[ClosedTick] = []
    lived, board, ticks = new_shard(lambda _, c: closed.append(c)), TableBoard(INSTRUMENTS), market_ticks(60)
    lived.begin_with(first)
    tables = ToldTables(lived, board)
    take(lived, ticks[:20], tables)
    before = cohorts(lived)

    board.tell(told(leverage=125))
    take(lived, ticks[20:50], tables)
    snapshot, terms_then = lived.snapshot()(), lived.terms
    take(lived, ticks[50:], tables)
    again, restored = new_shard(), new_shard()
    again.begin_with(first)
    restored.begin_with(terms_then)
    restored.restore(snapshot)
    for tick in closed:
        again.replay(tick)
    for tick in closed[50:]:
        restored.replay(tick)

    number = [i.instrument_id for i in lived.book("BTC").instruments].index(BTC.instrument_id)
    of_highest = {make_key(number, LEVERAGE_TIERS.index(125), side) for side in PositionSide}
    assert not {key for _, _, key in before} & of_highest
    assert {key for _, _, key in cohorts(lived)} >= of_highest
    assert sum(len(tick.terms) for tick in closed) == 1
    assert differences(lived, again) == differences(lived, restored) == []


def test_terms_at_a_start_are_under_what_was_kept_and_a_table_that_does_not_fit_them_is_left_out() -> None:
    wanted = all_terms(INSTRUMENTS)
    sized = [replace(t, size_mix=(600_000, 400_000)) if t.instrument_id == BTC.instrument_id else t for t in wanted]
    kept = TableBoard(INSTRUMENTS, [told(rate="0.006")])

    found = {t.instrument_id: t for t in under_kept(wanted, kept)}
    misfit = under_kept(sized, kept)

    assert found[BTC.instrument_id].instrument == rules_of(BTC, told(rate="0.006"))
    assert [t for t in found.values() if t.instrument_id != BTC.instrument_id] == [
        t for t in wanted if t.instrument_id != BTC.instrument_id
    ]
    assert misfit == tuple(sized)
    assert under_kept(wanted, None) == wanted


def test_factors_by_leverage_take_effect_as_tiers_do() -> None:
    htx = find_instrument("htx:ETH-USDT")
    (shipped,) = all_terms([htx])
    factors = tuple((leverage, (replace(steps[0], factor=Fraction("0.6")),)) for leverage, steps in htx.adjustments)
    table = replace(told(htx), tiers=htx.maintenance_tiers, adjustments=factors)

    (carried,) = under_kept([shipped], TableBoard([htx], [table]))

    assert carried.changed_from(shipped) == "rules_date, rules_source, adjustments"
    assert carried.instrument == rules_of(htx, table)
    assert [liquidation_ratio(i, 10, PositionSide.LONG) for i in (htx, carried.instrument)] == [
        Fraction(9, 10) / (1 - Fraction(factor) / 10) for factor in ("0.075", "0.6")
    ]
    assert rules_of(htx, replace(table, adjustments=htx.adjustments)) == htx


def under(terms: Terms, instrument: Instrument) -> Terms:
    return replace(terms, instrument=instrument, inflow_mix=terms.inflow_mix[: len(instrument.leverage_tiers)])


def test_leverage_that_only_a_told_table_brings_or_ends_stays_and_a_shipped_one_is_refused() -> None:
    (full,) = (t for t in all_terms(INSTRUMENTS) if t.instrument_id == BTC.instrument_id)
    lower = tuple(replace(tier, max_leverage=50) for tier in BTC.maintenance_tiers)
    less = under(full, replace(BTC, maintenance_tiers=lower))
    less_told = under(full, rules_of(BTC, told(leverage=50)))
    full_told = replace(full, instrument=rules_of(BTC, told(leverage=125)))

    assert that_can_follow([full], [full]) == (full,)
    assert that_can_follow([less_told], [full]) == ()
    assert that_can_follow([less], [full_told]) == ()
    with pytest.raises(ConfigError, match="75x, 100x, 125x of venue:BTCUSDT, which may be open"):
        that_can_follow([less], [full])
    with pytest.raises(ConfigError, match="trigger of venue:BTCUSDT, which cannot change"):
        that_can_follow([replace(full, instrument=replace(BTC, trigger="last"))], [full_told])


class Life:
    """A server's life as far as terms go: wanted at its start, and a keeper."""

    def __init__(self, folder: Path, wanted: tuple[Terms, ...], first: tuple[Terms, ...]) -> None:
        self.keeper = Keeper(DataFolder(folder), {}, "second", 1e9, 1e6, monotonic=lambda: 0.0, first_terms=first)
        self.shard = new_shard(self.keeper.record)
        self.shard.begin_with(wanted)
        self.keeper.restore(self.shard, lambda text: None)


@pytest.mark.parametrize("kept", [True, False])
def test_server_that_comes_after_goes_on_under_the_told_table_or_comes_back_to_the_shipped_one(
    tmp_path: Path, kept: bool
) -> None:
    shipped, ticks, board = all_terms(INSTRUMENTS), market_ticks(12), TableBoard(INSTRUMENTS)
    first = Life(tmp_path, shipped, shipped)
    tables = ToldTables(first.shard, board)
    take(first.shard, ticks[:4], tables)
    board.tell(told(rate="0.006"))
    take(first.shard, ticks[4:8], tables)
    first.keeper.stop()

    later = TableBoard(INSTRUMENTS, board.told().values() if kept else ())
    second = Life(tmp_path, under_kept(shipped, later), shipped)
    in_force = {t.instrument_id: t.instrument for t in second.shard.terms}[BTC.instrument_id]
    take(second.shard, ticks[8:], ToldTables(second.shard, later))
    second.keeper.stop()

    assert in_force == rules_of(BTC, told(rate="0.006"))
    assert second.keeper.counters["terms_changed"] == (0 if kept else 1)
    now = {t.instrument_id: t.instrument for t in second.shard.terms}[BTC.instrument_id]
    assert now == (in_force if kept else BTC)


def test_server_that_has_lost_what_was_kept_starts_where_a_told_leverage_may_be_open(tmp_path: Path) -> None:
    lower = tuple(replace(tier, max_leverage=50) for tier in BTC.maintenance_tiers)
    less = replace(BTC, maintenance_tiers=lower)
    shipped = tuple(t if t.instrument_id != BTC.instrument_id else all_terms([less])[0] for t in all_terms(INSTRUMENTS))
    board, ticks = TableBoard([t.instrument for t in shipped]), market_ticks(6)
    first = Life(tmp_path, shipped, shipped)
    board.tell(told(leverage=125))
    take(first.shard, ticks[:4], ToldTables(first.shard, board))
    first.keeper.stop()

    second = Life(tmp_path, shipped, shipped)
    take(second.shard, ticks[4:])
    second.keeper.stop()

    now = {t.instrument_id: t.instrument for t in second.shard.terms}[BTC.instrument_id]
    assert now.max_leverage == 125
    assert second.keeper.counters["terms_changed"] == 0
