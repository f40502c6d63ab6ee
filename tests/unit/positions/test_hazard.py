"""Integer clocks: the shipped table, the hash and the draws, each against a second computation."""

from __future__ import annotations

import numpy as np
import pytest

from liqscape.errors import ModelError
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions import hazard
from tests.conftest import IS_FULL


def draw_one(seed: int, open_minute: int, row: int, tier_side: int) -> int:
    """Return the draw of one cohort in Python integers."""
    state = hazard.mix64(seed ^ open_minute)
    state = hazard.mix64(state ^ (row % 2**32))
    return hazard.mix64(state ^ tier_side) >> 48


@pytest.mark.slow
def test_shipped_table_is_the_quantiles_of_the_unit_exponential() -> None:
    shipped = hazard.exponential_quantiles()

    assert shipped.shape == (65_536,)
    numbers = range(0, 65_536, 1 if IS_FULL else 16)
    assert shipped[list(numbers)].tolist() == [hazard.compute_quantile(i) for i in numbers]


def test_table_falls_and_has_mean_one() -> None:
    table = hazard.exponential_quantiles()

    assert (np.diff(table) <= 0).all()
    assert table.min() >= 0
    assert abs(table.mean() / hazard.CLOCK_ONE - 1) < 1e-4


def test_table_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        hazard.exponential_quantiles()[0] = 1


def test_damaged_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hazard, "TABLE_SHA256", "0" * 64)

    with pytest.raises(ModelError, match=r"exponential_quantiles\.bin has sha256 785f.* expected 0000"):
        hazard.exponential_quantiles.__wrapped__()


@pytest.mark.parametrize("leverage", LEVERAGE_TIERS)
def test_mean_wait_of_a_tier_is_ten_over_its_leverage(leverage: int) -> None:
    assert hazard.turnover_reciprocal(leverage) == 10 * 65_536 // leverage


def test_hash_is_split_mix_64() -> None:
    # The first three outputs of SplitMix64 seeded with 1234567, as its authors publish them.
    gamma = 0x9E3779B97F4A7C15

    outputs = [hazard.mix64((1_234_567 + i * gamma) % 2**64) for i in range(3)]

    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_draws_of_arrays_are_those_of_single_cohorts() -> None:
    generator = np.random.Generator(np.random.PCG64(3))
    rows = np.concatenate((generator.integers(0, 2**31 - 1, 500), [0, 1, 2**31 - 1, -1, -(2**31)])).astype(np.int32)
    tier_sides = generator.integers(0, 18, len(rows)).astype(np.uint16)
    seed = hazard.text_seed("BTC/venue:BTCUSDT")

    for minute in (0, 29_430_154, 2**31 - 1):
        draws = hazard.draw_h16(seed, minute, rows, tier_sides)

        wanted = [draw_one(seed, minute, r, t) for r, t in zip(rows.tolist(), tier_sides.tolist(), strict=True)]
        assert draws.dtype == np.int64
        assert draws.tolist() == wanted


def test_draw_depends_on_every_part_of_its_name() -> None:
    def draws(text: str = "BTC/venue:BTCUSDT", minute: int = 7, row: int = 4029, tier_side: int = 4) -> tuple[int, ...]:
        rows = np.arange(row, row + 50, dtype=np.int32)
        return tuple(hazard.draw_h16(hazard.text_seed(text), minute, rows, np.full(50, tier_side, np.uint16)).tolist())

    named = [
        draws(),
        draws(text="BTC/venue:BTCUSDC"),
        draws(text="ETH/venue:BTCUSDT"),
        draws(minute=8),
        draws(tier_side=5),
    ]

    assert len(set(named)) == len(named)
    assert draws(row=4030)[:-1] == draws()[1:]


def test_draws_fill_their_range_evenly() -> None:
    rows = np.arange(1 << 16, dtype=np.int32)

    draws = hazard.draw_h16(hazard.text_seed("BTC/venue:BTCUSDT"), 29_430_154, rows, np.full(len(rows), 4, np.uint16))

    counts = np.bincount(draws >> 12, minlength=16)
    assert len(counts) == 16
    assert abs(counts - 4096).max() < 6 * 64  # six standard deviations of a fair draw


def test_seed_of_a_text_depends_on_the_order_of_its_letters() -> None:
    assert hazard.text_seed("ab") != hazard.text_seed("ba")
    assert hazard.text_seed("") == 0
    assert 0 <= hazard.text_seed("BTC/venue:BTCUSDT") < 2**64
