"""Mixes and rules that change between two ticks: what opens from then on follows them, and every replay says the same.

Seen to fail when broken on purpose, one at a time: in shard.py terms adopted after the bars of their tick; in keeper.py
the terms left out of a snapshot; in inflow.py what tiers are owed forgotten; in recovery.py a snapshot restored on the
first terms; in tick_codec.py the terms left out.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import ConfigError
from liqscape.events import Event, TickEnd
from liqscape.grid.shard import Shard
from liqscape.grid.updates import PositionModel
from liqscape.instruments import MaintenanceTier
from liqscape.journal.data_folder import DataFolder
from liqscape.keeper import Keeper
from liqscape.market.terms import Terms, UnreadableTerms, terms_as_plain, terms_of_plain
from liqscape.positions.book import BookStep, Cause
from liqscape.positions.inflow import all_terms
from liqscape.positions.mix import SHARE_ONE
from liqscape.positions.weights import KEY_TIER_SIDE_MASK
from tests.crash.small_market import INSTRUMENTS
from tests.equal_shards import Stream, differences
from tests.kept_shard import market_ticks, new_shard, rendered_after
from tests.property.made_up_days import Day, days, short_frames

FIRST = all_terms(INSTRUMENTS)


def other_mix(terms: Terms, tier: int = 0) -> Terms:
    """Return the same with nearly everything that opens in one tier."""
    count = len(terms.inflow_mix)
    tier %= count
    mix = [1000] * count
    mix[tier] = SHARE_ONE - 1000 * (count - 1)
    return replace(terms, inflow_mix=tuple(mix))


def other_rules(terms: Terms) -> Terms:
    """Return the same with higher maintenance rates, of a later date, and positions of two sizes."""
    i = terms.instrument
    tiers = tuple(
        MaintenanceTier(t.notional_floor, t.notional_cap, rate, t.maintenance_amount, t.max_leverage)
        for t, rate in ((t, t.maintenance_margin_rate + Fraction(1, 2000)) for t in i.maintenance_tiers)
    )
    changed = replace(i, maintenance_tiers=tiers, rules_date="2026-01-01", ladder_step=1)
    return replace(terms, instrument=changed, size_mix=(600_000, 400_000))


CHANGES = (other_mix, other_rules, lambda terms: other_mix(other_rules(terms), 3))


class Life:
    """A keeper's life of a shard on terms; it is killed, not stopped, unless it is told to."""

    def __init__(self, folder: Path, terms: tuple[Terms, ...]) -> None:
        self.now = 0.0
        self.folder = DataFolder(folder)
        self.keeper = Keeper(self.folder, {}, "second", 10.0, 1e6, monotonic=lambda: self.now, first_terms=FIRST)
        self.shard = new_shard(self.keeper.record)
        self.shard.begin_with(terms)
        self.keeper.restore(self.shard, lambda text: None)

    def take(self, ticks: list[list[Event]], until: int) -> None:
        for tick in ticks[self.shard.tick : until]:
            self.now = float(self.shard.tick)
            for event in tick:
                output = self.shard.accept(event)
            if output is not None:
                self.keeper.after_tick(self.shard)
                while self.keeper.is_snapshotting:
                    self.keeper.after_tick(self.shard)

    def stop(self) -> None:
        self.keeper.stop()


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 5)
@given(days(symbols=("BTC", "ETH"), min_ticks=10, max_ticks=16), st.data())
def test_shard_made_again_goes_on_as_the_one_whose_terms_changed(day: Day, data: st.DataObject) -> None:
    def shard() -> Shard:
        with short_frames():
            return Shard(day.instruments, NumpyBackend(), lambda: 0, rolls_per_tick=1, on_closed=on_closed)

    closed: list[object] = []

    def on_closed(tick: int, what: object) -> None:
        closed.append(what)

    changes = {
        data.draw(st.integers(0, 9)): data.draw(st.sampled_from(CHANGES)) for _ in range(data.draw(st.integers(1, 2)))
    }
    restored_at = data.draw(st.integers(0, 9))
    lived, snapshot, terms_then = shard(), None, FIRST
    for number, tick in enumerate(day.ticks):
        if number in changes:
            lived.propose([changes[number](terms) for terms in lived.terms])
        for event in tick:
            lived.accept(event)
        if number <= restored_at and lived.may_be_snapshot:
            snapshot, terms_then = lived.snapshot()(), lived.terms

    history, again = list(closed), shard()
    if snapshot is not None:
        again.begin_with(terms_then)
        again.restore(snapshot)
    for what in history[again.tick :]:
        again.replay(what)  # type: ignore[arg-type]

    assert again.terms == lived.terms
    assert differences(lived, again) == []
    assert Stream(lived).send(lived.restate()) == Stream(again).send(again.restate())


def test_what_opens_after_a_change_is_where_the_new_mix_says_and_the_rest_stays() -> None:
    ticks = market_ticks(80)
    lived, changed = new_shard(), new_shard()
    for shard in (lived, changed):
        for tick in ticks[:40]:
            for event in tick:
                shard.accept(event)
    since = changed.end_ns // (60 * 10**9) + 1

    changed.propose([other_mix(terms, 4) for terms in changed.terms])
    for shard in (lived, changed):
        for tick in ticks[40:]:
            for event in tick:
                shard.accept(event)

    for model in PositionModel:
        (before, _), (after, _) = (shard.live_book("BTC", model).cohorts() for shard in (lived, changed))
        opened = after.open_minute >= since
        tiers = (after.key[opened] & np.uint16(KEY_TIER_SIDE_MASK)) >> 1
        assert after.lots[opened][tiers == 4].sum() > 0.98 * after.lots[opened].sum() > 0
        if model is PositionModel.OPEN_ONLY:  # nothing is closed in it, so what was open is the same
            left = [cohorts.lots[cohorts.open_minute < since - 1].sum() for cohorts in (before, after)]
            assert left[0] == left[1] > 0


def test_change_acts_on_what_opens_in_its_own_tick_and_tiers_are_still_owed() -> None:
    opened: list[tuple[int, int]] = []

    def observe(symbol: str, bars: object, step: BookStep) -> None:
        batches = [batch.cohorts for batch in step.events if batch.cause is Cause.OPENED]
        if symbol == "BTC" and batches:
            tiers = (batches[0].key & np.uint16(KEY_TIER_SIDE_MASK)) >> 1
            opened.append((int(batches[0].lots[tiers == 4].sum()), int(batches[0].lots.sum())))

    with short_frames():
        shard = Shard(INSTRUMENTS, NumpyBackend(), lambda: 0, observe=observe)
    for tick in market_ticks(80)[:40]:
        for event in tick:
            shard.accept(event)
    for tick in market_ticks(80)[40:]:
        before, seen = shard.terms, len(opened)
        owed = [account.inflow.credits for account in shard.book("BTC").snapshot()().accounts.values()]
        shard.propose([other_mix(terms, 4) for terms in before])
        for event in tick:
            shard.accept(event)
        if len(opened) > seen and opened[-1][1] > 10**6:
            in_tier, all_lots = opened[-1]
            assert in_tier > 0.98 * all_lots
            return
        after = [account.inflow.credits for account in shard.book("BTC").snapshot()().accounts.values()]
        assert len(opened) > seen or after == owed
        assert any(credit for of_sides in owed for credit in of_sides[0])
        shard.propose(before)
        shard.accept(TickEnd(shard.end_ns + 1, render=False))
    raise AssertionError("nothing has opened")


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_servers_that_come_after_replay_the_change_wherever_they_begin(tmp_path: Path, change: object) -> None:
    assert callable(change)
    ticks = market_ticks(70)
    wanted = tuple(change(terms) for terms in FIRST)
    first = Life(tmp_path, FIRST)
    first.take(ticks, 30)
    first.stop()

    second = Life(tmp_path, wanted)
    second.take(ticks, last := rendered_after(ticks, 60))
    second.stop()

    lived = new_shard()
    for number, tick in enumerate(ticks[:last], 1):
        if number == 31:
            lived.propose(wanted)
        for event in tick:
            lived.accept(event)
    assert differences(second.shard, lived) == []
    assert second.keeper.counters["terms_changed"] == len(FIRST)
    for gone in range(4):  # the newest snapshots are gone, one after the other, and at last all of them
        again = Life(tmp_path, wanted)
        assert again.keeper.counters["damaged_files"] == 0
        assert again.shard.terms == lived.terms
        assert differences(again.shard, lived) == [], f"with {gone} snapshots gone"
        again.stop()
        for newest in again.folder.snapshots.ticks()[-1:]:
            again.folder.snapshots.path(newest).unlink()


def test_terms_that_end_a_leverage_or_count_otherwise_are_refused() -> None:
    shard = new_shard()
    one = next(terms for terms in shard.terms if terms.instrument_id == "venue:BTCUSDT")
    i = one.instrument

    lower = tuple(replace(tier, max_leverage=50) for tier in i.maintenance_tiers)
    with pytest.raises(ConfigError, match="75x, 100x, 125x of venue:BTCUSDT, which may be open"):
        shard.propose([replace(one, instrument=replace(i, maintenance_tiers=lower))])
    for field, value in (("price_decimals", 3), ("trigger", "last"), ("contract_size", Fraction(2))):
        with pytest.raises(ConfigError, match=f"{field} of venue:BTCUSDT, which cannot change in a data folder"):
            shard.propose([replace(one, instrument=replace(i, **{field: value}))])  # type: ignore[arg-type]
    assert shard.propose([one]) == []


@pytest.mark.parametrize("terms", [*FIRST, *(other_rules(terms) for terms in FIRST)])
def test_terms_are_the_same_after_they_were_plain(terms: Terms) -> None:
    plain = terms_as_plain([terms])

    assert terms_of_plain(plain) == {terms.instrument_id: terms}


def test_rules_that_lack_a_later_field_have_its_default() -> None:
    plain = terms_as_plain([FIRST[0]])
    del plain[FIRST[0].instrument_id]["rules"]["tier_unit"]

    assert terms_of_plain(plain) == {FIRST[0].instrument_id: FIRST[0]}


@pytest.mark.parametrize(
    ("name", "value"),
    [("venue", 1), ("maintenance_tiers", [[1, 2]]), ("fee_rate", 0.5), ("contract_size", "1/0"), ("unheard", 1)],
)
def test_rules_that_are_none_are_refused(name: str, value: object) -> None:
    plain = terms_as_plain([FIRST[0]])
    plain[FIRST[0].instrument_id]["rules"][name] = value

    with pytest.raises(UnreadableTerms):
        terms_of_plain(plain)
