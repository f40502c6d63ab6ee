"""Notes of a venue's own words in a Reading, bounded: what it calls its messages, and what it says against us."""

from __future__ import annotations

from typing import Final

from liqscape.feeds.venues.dialect import Reading

MAX_WORD: Final = 32
"""Characters of a kind of message."""

MAX_KINDS: Final = 64
"""Kinds of ignored messages that a Reading tells apart; a venue has some ten. More are counted together."""

MAX_REFUSAL: Final = 300
"""Characters of a refusal."""


def ignore(into: Reading, kind: object) -> None:
    """Count a message as understood and not needed, by what the venue calls it."""
    word = str(kind)[:MAX_WORD]
    if word not in into.ignored and len(into.ignored) >= MAX_KINDS:
        word = "other kind"
    into.ignored[word] += 1


def refuse(into: Reading, said: object) -> None:
    """Note what a venue says against a subscription or a request."""
    into.refused.append(str(said)[:MAX_REFUSAL])
