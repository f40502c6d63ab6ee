"""What of a tick people will look for years later, kept for good beside the ticks: corrections, changes of terms."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from liqscape.market.closed_tick import ClosedTick
from liqscape.market.terms import terms_text

CORRECTION: Final = "correction"
TERMS: Final = "terms"

SHOWN_SOURCE: Final = 120
"""Characters of where rules were read: an address, and not all that is to be said of it. The note has it whole."""


def notes_of(tick: ClosedTick) -> list[tuple[str, str]]:
    """Return kind and text, JSON, of each note of a tick."""
    corrections = [(CORRECTION, json.dumps(asdict(c), separators=(",", ":"))) for c in tick.corrections]
    about = f'{{"time_ns":{tick.end_ns},"terms":'
    return [*corrections, *((TERMS, f"{about}{terms_text(terms)}}}") for terms in tick.terms)]


def told(kind: str, text: str) -> str:
    """Return a note in words, one line.

    Raises:
        ValueError, KeyError, TypeError: it is none of those above.
    """
    said = json.loads(text)
    if kind == CORRECTION:
        span = f"{_stamp(said['from_ns'])} to {_stamp(said['to_ns'])}"
        what = "prices and trades" if said["quantity"] is None else f"open interest {said['quantity']:,}"
        return f"{said['instrument_id']}: {what} of {span}, said {_stamp(said['time_ns'])}: {said['reason']}"
    rules = said["terms"]["rules"]
    mixes = f"inflow mix {said['terms']['inflow_mix']}, size mix {said['terms']['size_mix']}"
    read = f"rules of {rules['rules_date']} ({rules['rules_source'][:SHOWN_SOURCE]})"
    return f"{rules['venue']}:{rules['name']}: {read}, {mixes}, from {_stamp(said['time_ns'])}"


def _stamp(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
