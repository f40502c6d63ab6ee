"""Events are frozen values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from liqscape.events import PositionSide, TickEnd
from tests.unit.synthetic_market import mark


def test_event_cannot_be_changed_once_said() -> None:
    event = mark(0, 908_000)

    with pytest.raises(FrozenInstanceError):
        event.price = 1  # type: ignore[misc]


def test_side_of_a_position_is_bit_zero_of_a_key() -> None:
    assert (int(PositionSide.LONG), int(PositionSide.SHORT)) == (0, 1)


def test_tick_is_rendered_unless_its_source_says_otherwise() -> None:
    assert TickEnd(1).render
