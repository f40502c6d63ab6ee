"""What can go wrong at a fake venue, on demand."""

from __future__ import annotations

import enum


class Fault(enum.Enum):
    """One way to fail; active between inject and heal."""

    SILENCE = "connections stay open and say nothing"
    DUPLICATE = "every message is sent twice"
    REORDER = "messages are sent in pairs, the later one first"
    GAP = "every third trade is left out; of what is not numbered nobody could know"
    MALFORMED = "every third message is cut in half"
    TOO_MANY = "requests and connections are answered with 429"
    LEGAL = "requests and connections are answered with 451"
    FORBIDDEN = "requests and connections are answered with 403"
    SLOW_DRIP = "no more than two messages a second leave"
    WRONG_SIZE = "quantities are a thousand times as large"
    CLOCK_SKEW = "stamps are a minute ahead"
    DEAF = "subscriptions are not confirmed and not served"
    UNCONFIRMED = "subscriptions are served and not confirmed"


REFUSALS = {Fault.TOO_MANY: 429, Fault.LEGAL: 451, Fault.FORBIDDEN: 403}

SKEW_NS = 60_000_000_000

WRONG_FACTOR = 1000
