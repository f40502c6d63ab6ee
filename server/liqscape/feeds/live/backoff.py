"""How long to wait before trying again. Pure."""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 1.0
"""A venue that has restarted a server is back at once; one that fails for longer should not be asked every second."""

LONGEST_S: Final = 60.0
"""Age that a recovered venue may have for our sake: a column of the finest timeframe."""

BLOCKED_S: Final = 300.0
"""A refusal for legal or network reasons does not end by asking; every address is tried again all the same, because
routes change."""

TOO_MANY_STATUS: Final = (418, 429)

TOO_MANY_S: Final = 30.0
"""Pause after 429 or 418 without Retry-After: half of the minute by which most venues count."""


class Backoff:
    """Full jitter: the n-th wait is drawn evenly from 0 to first x 2^n, at most longest.

    So that many who lose a venue at one moment do not come back at one moment. Source: Amazon Architecture Blog,
    "Exponential Backoff And Jitter".

    Args:
        generator: where the draws come from.
        first_s, longest_s: seconds.
    """

    def __init__(self, generator: random.Random, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        self._generator = generator
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0

    def reset(self) -> None:
        """Forget failures: it has worked."""
        self._failures = 0

    def after_failure(self, *, blocked: bool = False, retry_after_s: float | None = None) -> float:
        """Return seconds to wait after one more failure.

        Args:
            blocked: refused for good, as far as one can tell.
            retry_after_s: what the other side has asked for; never undercut.
        """
        if blocked:
            wait = self._generator.uniform(BLOCKED_S / 2, BLOCKED_S)
        else:
            ceiling = min(self._longest_s, self._first_s * 2.0 ** min(self._failures, 30))
            wait = self._generator.uniform(0.0, ceiling)
        self._failures += 1
        return wait if retry_after_s is None else max(wait, retry_after_s)
