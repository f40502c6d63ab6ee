"""Compares what was heard with what has happened: what is missing must have been announced."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import QUANTITY_DECIMALS, Event, Gap, Liquidation, OpenInterest, PrintPrice, TickEnd, Trade
from liqscape.feeds.live.inbox import venue_time_ns
from liqscape.grid.shard import Shard
from liqscape.instruments import Instrument

Flow = Trade | Liquidation


def flows(events: Iterable[Event]) -> Counter[Flow]:
    """Return the events of which each counts; what a venue's print price is, and whether it prints all, left out."""
    return Counter(
        replace(event, price_kind=PrintPrice.FILL, complete=True) if isinstance(event, Liquidation) else event
        for event in events
        if isinstance(event, Flow)
    )


def gaps_of(events: Iterable[Event], instrument_id: str) -> list[Gap]:
    """Return the gaps of an instrument."""
    return [event for event in events if isinstance(event, Gap) and event.instrument_id == instrument_id]


def unannounced(happened: Sequence[Event], heard: Sequence[Event], until_ns: int) -> list[Flow]:
    """Return what has happened before an instant, was not heard, and lies in no gap."""
    missing = flows(happened) - flows(heard)
    gaps: dict[str, list[Gap]] = defaultdict(list)
    for event in heard:
        if isinstance(event, Gap):
            gaps[event.instrument_id].append(event)
    return [
        event
        for event in missing
        if event.time_ns < until_ns
        and not any(gap.from_ns <= event.time_ns < gap.to_ns for gap in gaps[event.instrument_id])
    ]


def made_up(happened: Sequence[Event], heard: Sequence[Event]) -> list[Flow]:
    """Return what was heard and has not happened, or not so often."""
    return list(flows(heard) - flows(happened))


def unreconciled(ticks: Iterable[Sequence[Event]], instruments: Sequence[Instrument]) -> tuple[int, list[str]]:
    """Feed ticks into a shard and return how many samples there were, and where the books did not add up to them.

    Args:
        ticks: events in the order in which they were passed on, a list a tick; the ends of ticks are made here.
        instruments: all that they name.
    """
    shard = Shard(instruments, NumpyBackend(), lambda: 0)
    samples, wrong = 0, []
    end_ns = 0
    for number, events in enumerate(ticks):
        ordered = sorted((e for e in events if not isinstance(e, TickEnd)), key=venue_time_ns)
        for event in ordered:
            shard.accept(event)
        end_ns = max([end_ns + 1, *(venue_time_ns(e) + 1 for e in ordered if not isinstance(e, Gap))])
        shard.accept(TickEnd(end_ns, render=False))
        newest = {e.instrument_id: e.quantity for e in ordered if isinstance(e, OpenInterest)}
        for name, quantity in newest.items():
            instrument = next(i for i in instruments if i.instrument_id == name)
            scale = shard.market.scale(instrument.symbol)
            if scale is None:
                continue  # before any price a sample waits
            account = shard.book(instrument.symbol).account(name)
            one = 10**QUANTITY_DECIMALS if instrument.is_inverse else 10 ** (QUANTITY_DECIMALS - scale.lot_decimals)
            samples += 1
            for side in (0, 1):
                if account.live[side] + account.uncovered[side] != quantity // one:
                    wrong.append(f"tick {number}, {name}, side {side}")
    return samples, wrong
