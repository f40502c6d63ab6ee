"""Events are frozen values."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from liqscape.events import PositionSide, TakerSide, TickEnd, Trade, new_trade
from tests.unit.synthetic_market import mark


def test_event_cannot_be_changed_once_said() -> None:
    event = mark(0, 908_000)

    with pytest.raises(FrozenInstanceError):
        event.price = 1  # type: ignore[misc]


def test_trade_made_quickly_is_a_trade_like_any_other() -> None:
    said = ("venue:BTC", 5, 650_001, 12_000_000, TakerSide.SELL)
    made, plain = new_trade(*said), Trade(*said)

    assert type(made) is Trade
    assert (made, hash(made), repr(made)) == (plain, hash(plain), repr(plain))
    assert [getattr(made, field.name) for field in fields(Trade)] == list(said)
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == plain
    assert replace(made, price=1) == replace(plain, price=1) != plain
    with pytest.raises(FrozenInstanceError):
        made.price = 1  # type: ignore[misc]


def test_side_of_a_position_is_bit_zero_of_a_key() -> None:
    assert (int(PositionSide.LONG), int(PositionSide.SHORT)) == (0, 1)


def test_tick_is_rendered_unless_its_source_says_otherwise() -> None:
    assert TickEnd(1).render
