"""Places and queries, with a clock that is turned by hand."""

from __future__ import annotations

import contextlib

import pytest

from liqscape.api import admission
from liqscape.api.admission import Admission
from liqscape.api.auth import Caller
from liqscape.api.limits import CallerLimits
from liqscape.errors import LimitExceeded


class Books:
    """An admission, its clock, and the places that are held."""

    def __init__(self, max_streams: int = 100) -> None:
        self.now = 50.0
        self.admission = Admission(max_streams, lambda: self.now)
        self.held = contextlib.ExitStack()

    def open(self, caller: Caller, count: int = 1) -> None:
        for _ in range(count):
            self.held.enter_context(self.admission.stream(caller))

    def refusal(self, caller: Caller) -> LimitExceeded:
        with pytest.raises(LimitExceeded) as caught:
            self.open(caller)
        return caught.value


def caller(name: str, streams: int = 1000, queries: int = 1000) -> Caller:
    limits = CallerLimits(streams=streams, channels=1, queries_per_minute=queries, cells=1)
    return Caller(name, f"token {name!r}", limits)


def test_streams_of_a_caller_are_limited_and_a_closed_one_makes_room() -> None:
    books = Books()
    desk = caller("desk", streams=2)
    books.open(desk)
    with books.admission.stream(desk):
        refusal = books.refusal(desk)

    books.open(desk)

    assert str(refusal) == "token 'desk' has 2 streams open, its limit"
    assert refusal.retry_after_ms is not None


def test_place_is_free_again_after_an_error() -> None:
    books = Books()
    desk = caller("desk", streams=1)
    with pytest.raises(ValueError, match="x"), books.admission.stream(desk):
        raise ValueError("x")

    books.open(desk)


def test_server_has_a_limit_too() -> None:
    books = Books(max_streams=2)  # too few for a tenth to be kept
    books.open(caller("a"))
    books.open(caller("b"))

    assert str(books.refusal(caller("c"))) == "2 streams are open, the limit of this server"


def test_who_has_the_most_is_refused_first() -> None:
    books = Books(max_streams=100)
    books.open(caller("greedy"), 80)
    books.open(caller("desk"), 10)

    refusal = books.refusal(caller("greedy"))
    books.open(caller("desk"))
    books.open(caller("late"))

    assert "the rest is for others than token 'greedy', who has the most (80)" in str(refusal)
    assert refusal.retry_after_ms is not None


def test_caller_alone_leaves_a_tenth_for_those_who_come_later() -> None:
    books = Books(max_streams=100)
    books.open(caller("greedy"), 90)

    books.refusal(caller("greedy"))
    for number in range(10):
        books.open(caller(f"late {number}"))

    assert "the limit of this server" in str(books.refusal(caller("too late")))


def test_queries_come_in_a_burst_then_at_their_rate() -> None:
    books = Books()
    desk = caller("desk", queries=6)
    for _ in range(6):
        books.admission.query(desk)

    with pytest.raises(LimitExceeded, match="token 'desk' may ask 6 queries a minute, and has") as caught:
        books.admission.query(desk)
    assert caught.value.retry_after_ms == 10_001
    books.now += 10.001
    books.admission.query(desk)
    with pytest.raises(LimitExceeded):
        books.admission.query(desk)
    books.admission.query(caller("other", queries=6))
    books.now += 3600
    for _ in range(6):
        books.admission.query(desk)
    with pytest.raises(LimitExceeded):
        books.admission.query(desk)


def test_refused_query_costs_nothing() -> None:
    books = Books()
    desk = caller("desk", queries=1)
    books.admission.query(desk)
    for _ in range(100):
        with pytest.raises(LimitExceeded):
            books.admission.query(desk)

    books.now += 60
    books.admission.query(desk)


def test_callers_who_are_gone_are_forgotten_and_those_who_are_here_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_IDLE_CALLERS", 10)
    books = Books()
    books.admission = Admission(100, lambda: books.now)
    desk = caller("desk", streams=1)
    books.open(desk)
    for number in range(1000):
        books.now += 10
        books.admission.query(caller(f"passing {number}"))

    assert len(books.admission._accounts) <= 30
    assert "its limit" in str(books.refusal(desk))
