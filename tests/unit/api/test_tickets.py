"""Tickets: each stands for its token once, and not for long."""

from __future__ import annotations

import pytest

from liqscape.api import tickets
from liqscape.api.tickets import TICKET_SECONDS, Tickets
from liqscape.errors import LimitExceeded


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_ticket_is_good_once() -> None:
    known = Tickets(Clock())
    first, second = known.issue("Bearer a"), known.issue("Bearer b")

    assert first != second
    assert known.redeem(second) == "Bearer b"
    assert known.redeem(second) is None
    assert known.redeem(first) == "Bearer a"
    assert known.redeem("guessed") is None


def test_a_ticket_grows_old() -> None:
    clock = Clock()
    known = Tickets(clock)
    old = known.issue("Bearer a")
    clock.now += TICKET_SECONDS / 2
    young = known.issue("Bearer b")
    clock.now += TICKET_SECONDS / 2

    assert known.redeem(old) is None
    assert known.redeem(young) == "Bearer b"


def test_tickets_that_nobody_uses_fill_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "MAX_TICKETS", 2)
    clock = Clock()
    known = Tickets(clock)
    for _ in range(2):
        known.issue("Bearer a")

    with pytest.raises(LimitExceeded, match="2 tickets wait to be used") as refused:
        known.issue("Bearer a")

    assert refused.value.retry_after_ms == 30_000
    clock.now += TICKET_SECONDS
    known.issue("Bearer a")
