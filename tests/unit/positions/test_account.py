"""The accounts of one instrument: what opens becomes cohorts, what closes is shared, and nothing is lost."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from liqscape.errors import ConfigError, ModelError
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions import hazard
from liqscape.positions.account import InstrumentAccount
from liqscape.positions.flow import Flow
from liqscape.positions.inflow import Opening
from liqscape.positions.margin import MAX_BASE_ROW, RowMap
from liqscape.positions.weights import make_key
from tests.unit.synthetic_market import BTC, make_bar, make_instrument

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
MINUTE = 29_430_154
NO_HAZARD = np.zeros(2, np.int64)


def flow(opens_long: int = 0, closes_long: int = 0, opens_short: int = 0, closes_short: int = 0) -> Flow:
    return Flow(opens_long, closes_long, opens_short, closes_short, opens_long + closes_short, 0)


def account_at(sample: int, mix: tuple[int, ...] | None = None) -> InstrumentAccount:
    """Return an account whose first sample was seen."""
    account = InstrumentAccount(0, BTC, mix)
    see_first_sample(account, sample)
    return account


def see_first_sample(account: InstrumentAccount, sample: int) -> None:
    account.begin_sample(sample)
    account.finish_sample(sample)


def lots_by_side(opening: Opening) -> list[int]:
    return [int(opening.lots[opening.keys & 1 == side].sum()) for side in PositionSide]


def test_first_sample_is_uncovered_as_a_whole() -> None:
    account = account_at(1000)

    assert (account.live, account.uncovered, account.last_sample) == ([0, 0], [1000, 1000], 1000)


def test_trades_before_the_first_sample_belong_to_no_interval() -> None:
    account = InstrumentAccount(0, BTC)

    account.add_traded(make_bar(MINUTE, (4450, 4451), lots=10))
    before = account.traded_lots
    see_first_sample(account, 1000)
    account.add_traded(make_bar(MINUTE, (4450, 4451), lots=7))
    account.add_traded(make_bar(MINUTE, (4455, 4455), lots=5))

    assert (before, account.traded_lots) == (0, 12)
    assert account.watermark_ns == make_bar(MINUTE).watermark_ns


def test_sample_ends_the_interval() -> None:
    account = account_at(1000)
    account.add_traded(make_bar(MINUTE, (4450, 4451), lots=10))

    account.finish_sample(1000)

    assert (account.traded_lots, account.swept) == (0, (0, 0))


def test_what_opens_is_split_exactly_and_comes_in_order_without_duplicates() -> None:
    account = account_at(0)
    account.add_traded(make_bar(MINUTE, (4450, 4468), lots=224_118_200))

    opening = account.open(MINUTE, flow(opens_long=81_780_861, opens_short=81_780_859), None, NO_HAZARD)

    codes = (opening.rows.astype(np.int64) << 16) | opening.keys
    assert lots_by_side(opening) == account.live == [81_780_861, 81_780_859]
    assert (np.diff(codes) > 0).all()
    assert opening.lots.min() > 0
    columns = (opening.rows, opening.keys, opening.lots, opening.clocks)
    assert [column.dtype.name for column in columns] == ["int32", "uint16", "int64", "int64"]


def test_cohorts_lie_on_the_liquidation_rows_of_the_rows_traded() -> None:
    account = account_at(0)
    account.add_traded(make_bar(MINUTE, (4459, 4459), lots=10_000_000))

    opening = account.open(MINUTE, flow(opens_long=1_000_000, opens_short=1_000_000), None, NO_HAZARD)

    rows = RowMap.of(BTC).liquidation_rows(np.array([4459], np.int64))
    wanted = Counter(
        {
            (int(rows[side, tier, 0]), make_key(0, tier, side)): account.mix[tier]
            for side in PositionSide
            for tier in range(len(LEVERAGE_TIERS))
        }
    )
    given = zip(opening.rows.tolist(), opening.keys.tolist(), opening.lots.tolist(), strict=True)
    assert {(row, key): lots for row, key, lots in given} == wanted


def test_entry_rows_with_one_liquidation_row_are_one_cohort() -> None:
    # At 3x a long's liquidation row moves two rows for three entry rows, so some entry rows meet.
    all_at_3x = (1_000_000, 0, 0, 0, 0, 0, 0, 0, 0)
    account = account_at(0, all_at_3x)
    account.add_traded(make_bar(MINUTE, (3000, 3029), lots=30))

    opening = account.open(MINUTE, flow(opens_long=30), None, NO_HAZARD)

    entry_rows = np.arange(3000, 3030, dtype=np.int64)
    wanted = Counter(RowMap.of(BTC).liquidation_rows(entry_rows)[LONG, 0].tolist())
    assert len(wanted) < 30
    assert dict(zip(opening.rows.tolist(), opening.lots.tolist(), strict=True)) == wanted


def test_clock_of_a_cohort_is_the_hazard_of_its_side_plus_its_draw() -> None:
    account = account_at(0)
    account.add_traded(make_bar(MINUTE, (4459, 4460), lots=10_000_000))
    hazards = np.array([5_000_000, 70_000], np.int64)

    opening = account.open(MINUTE, flow(opens_long=1_000_000, opens_short=1_000_000), None, hazards)

    seed = hazard.text_seed("BTC/venue:BTCUSDT")
    table = hazard.exponential_quantiles()
    for row, key, clock in zip(opening.rows, opening.keys, opening.clocks.tolist(), strict=True):
        draw = int(hazard.draw_h16(seed, MINUTE, np.array([row]), np.array([key]))[0])
        leverage = LEVERAGE_TIERS[int(key) >> 1]
        assert clock == int(hazards[int(key) & 1]) + (int(table[draw]) * (655_360 // leverage) >> 16)


def test_number_of_the_instrument_is_in_its_keys_and_not_in_its_draws() -> None:
    openings = []
    for number in (0, 3):
        account = InstrumentAccount(number, BTC)
        see_first_sample(account, 0)
        account.add_traded(make_bar(MINUTE, (4459, 4460), lots=10_000_000))
        openings.append(account.open(MINUTE, flow(opens_long=1_000_000), None, np.zeros(8, np.int64)))

    first, fourth = openings
    assert (fourth.keys - first.keys == 3 << 5).all()
    assert fourth.clocks.tolist() == first.clocks.tolist()


def test_lots_that_open_without_trades_enter_at_the_last_price() -> None:
    account = account_at(0)

    opening = account.open(MINUTE, flow(opens_long=1_000_000), 4459, NO_HAZARD)

    assert opening.rows.tolist() == sorted(
        RowMap.of(BTC).liquidation_rows(np.array([4459], np.int64))[LONG, :, 0].tolist()
    )


def test_bar_with_zero_volume_enters_at_the_last_price() -> None:
    account = account_at(0)
    account.add_traded(make_bar(MINUTE, (4459, 4459), lots=0))

    assert len(account.open(MINUTE, flow(opens_long=9), 4459, NO_HAZARD).rows) > 0
    assert len(account.open(MINUTE, flow(), None, NO_HAZARD).rows) == 0


def test_lots_that_open_without_any_price_are_a_defect() -> None:
    with pytest.raises(ModelError, match="venue:BTCUSDT opened lots at minute 29430154 without any price"):
        account_at(0).open(MINUTE, flow(opens_long=9), None, NO_HAZARD)


def test_row_beyond_the_arithmetic_is_refused() -> None:
    account = account_at(0)
    account.add_traded(make_bar(MINUTE, (MAX_BASE_ROW, MAX_BASE_ROW), lots=1))

    with pytest.raises(ModelError, match="is beyond 268435456"):
        account.open(MINUTE, flow(opens_long=1), None, NO_HAZARD)


def test_closes_are_shared_between_live_and_uncovered_and_uncovered_takes_the_rest() -> None:
    account = account_at(100)
    account.open(MINUTE, flow(opens_long=50, closes_long=50), 4459, NO_HAZARD)
    account.uncovered[LONG] = 50
    account.finish_sample(100)

    from_live = account.close(flow(closes_long=33))

    assert from_live == (16, 0)
    assert account.live == [34, 0]
    assert account.uncovered == [33, 100]


def test_sweeps_are_part_of_the_closes() -> None:
    account = account_at(100)
    account.open(MINUTE, flow(opens_long=60), 4459, NO_HAZARD)
    account.uncovered[LONG] = 40

    account.sweep((20, 0))
    from_live = account.close(flow(closes_long=50))

    # 30 more must close out of 40 live and 40 uncovered.
    assert from_live == (15, 0)
    assert (account.live[LONG], account.uncovered[LONG], account.swept) == (25, 25, (20, 0))


def test_closing_everything_empties_both() -> None:
    account = account_at(100)
    account.open(MINUTE, flow(opens_long=60), 4459, NO_HAZARD)
    account.uncovered[LONG] = 40

    assert account.close(flow(closes_long=100, closes_short=100)) == (60, 0)
    assert (account.live, account.uncovered) == ([0, 0], [0, 0])
    assert account.close(flow()) == (0, 0)


def test_accounts_that_differ_from_open_interest_are_a_defect() -> None:
    account = account_at(100)

    with pytest.raises(ModelError, match=r"long: live 0 \+ uncovered 100 lots must equal open interest 99"):
        account.finish_sample(99)


def test_negative_account_is_a_defect() -> None:
    account = account_at(100)
    account.live[LONG], account.uncovered[LONG] = -1, 101

    with pytest.raises(ModelError, match="live -1"):
        account.finish_sample(100)


def test_excess_volume_is_added_to_the_model_error() -> None:
    account = account_at(100)

    account.close(Flow(0, 0, 0, 0, 0, 7))
    account.close(Flow(0, 0, 0, 0, 0, 5))

    assert account.model_error_lots == 12


def test_venue_with_fewer_tiers_opens_only_those() -> None:
    instrument = make_instrument(max_leverage=20)
    account = InstrumentAccount(0, instrument)
    see_first_sample(account, 0)

    opening = account.open(MINUTE, flow(opens_long=1_000_000), 4459, NO_HAZARD)

    assert {LEVERAGE_TIERS[key >> 1] for key in opening.keys.tolist()} == {3, 5, 10, 20}


def test_mix_with_a_share_too_few_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"mix of .* has 1 shares; give one for each of 3, 5, 10"):
        InstrumentAccount(0, BTC, (1_000_000,))
