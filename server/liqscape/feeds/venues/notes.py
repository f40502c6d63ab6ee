"""Notes of a venue's own words in a Reading, bounded: what it calls its messages, and what it says against us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from liqscape.feeds.venues.dialect import Reading, in_words

MAX_WORD: Final = 32
"""Characters of a kind of message."""

MAX_KINDS: Final = 64
"""Kinds of ignored messages that are told apart, in a Reading and of a venue in all. A venue has some ten; more are
counted together."""

OTHER_KIND: Final = "other kind"

MAX_REFUSAL: Final = 300
"""Characters of a refusal."""


def ignore(into: Reading, kind: object) -> None:
    """Count a message as understood and not needed, by what the venue calls it."""
    into.ignored[known_kind(into.ignored, in_words(kind)[:MAX_WORD])] += 1


def known_kind(counted: Mapping[str, int], word: str) -> str:
    """Return the kind under which a message is counted: its own while there are few, else that of all others."""
    return word if word in counted or len(counted) < MAX_KINDS else OTHER_KIND


def refuse(into: Reading, said: object) -> None:
    """Note what a venue says against a subscription or a request."""
    into.refused.append(in_words(said, MAX_REFUSAL))
