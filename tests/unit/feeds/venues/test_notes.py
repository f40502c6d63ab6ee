"""A venue's own words are counted within bounds."""

from __future__ import annotations

from liqscape.feeds.venues.dialect import Reading
from liqscape.feeds.venues.notes import MAX_KINDS, MAX_REFUSAL, MAX_WORD, ignore, refuse


def test_kinds_are_told_apart_until_there_are_too_many_and_none_is_lost() -> None:
    into = Reading()

    for number in range(10 * MAX_KINDS):
        ignore(into, f"kind {number}")
        ignore(into, "kind 0")

    assert len(into.ignored) <= MAX_KINDS + 1
    assert into.ignored.total() == 20 * MAX_KINDS
    assert into.ignored["kind 0"] == 10 * MAX_KINDS + 1
    assert into.ignored["other kind"] == 9 * MAX_KINDS


def test_long_words_and_refusals_are_cut() -> None:
    into = Reading()

    ignore(into, "x" * 1000)
    refuse(into, {"error": "x" * 100_000})

    assert [len(word) for word in into.ignored] == [MAX_WORD]
    assert [len(text) for text in into.refused] == [MAX_REFUSAL]
