"""Compares what was heard with what has happened: what is missing must have been announced."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import QUANTITY_DECIMALS, Event, Gap, Liquidation, OpenInterest, TickEnd, Trade
from liqscape.feeds.live.holes import MARGIN_NS
from liqscape.feeds.live.inbox import venue_time_ns
from liqscape.feeds.live.pace import LEAST_NS
from liqscape.grid.shard import Shard
from liqscape.instruments import Instrument

Flow = Trade | Liquidation


def flows(events: Iterable[Event]) -> Counter[Flow]:
    """Return the events of which each counts."""
    return Counter(event for event in events if isinstance(event, Flow))


def gaps_of(events: Iterable[Event], instrument_id: str) -> list[Gap]:
    """Return the gaps of an instrument."""
    return [event for event in events if isinstance(event, Gap) and event.instrument_id == instrument_id]


def is_true_silence(gap: Gap, happened: Sequence[Event]) -> bool:
    """Return whether a gap tells of a silence in which nothing has happened indeed: the fake venue itself was held up.

    It lives on the machine of the test; a core that is busy for a fraction of a second is silent for many of its own.
    """
    inside = range(gap.from_ns + MARGIN_NS + 1, gap.to_ns - MARGIN_NS)
    is_long = len(inside) > LEAST_NS  # of steps of two seconds
    return gap.reason == "silent" and is_long and not any(venue_time_ns(event) in inside for event in happened)


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


@dataclass(slots=True)
class Reconciled:
    """What a shard made of ticks.

    Attributes:
        samples: of open interest.
        wrong: where books did not add up to one.
        model_error_lots: closes of more than was known, as its accounts count them, by instrument id.
        counters: of the shard.
    """

    samples: int = 0
    wrong: list[str] = field(default_factory=list)
    model_error_lots: dict[str, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)


def unreconciled(ticks: Iterable[Sequence[Event]], instruments: Sequence[Instrument]) -> tuple[int, list[str]]:
    """Feed ticks into a shard and return how many samples there were, and where the books did not add up to them."""
    found = reconciled(ticks, instruments)
    return found.samples, found.wrong


def reconciled(ticks: Iterable[Sequence[Event]], instruments: Sequence[Instrument]) -> Reconciled:
    """Feed ticks into a shard and return what it made of them.

    Args:
        ticks: events in the order in which they were passed on, a list a tick; the ends of ticks are made here.
        instruments: all that they name.
    """
    shard = Shard(instruments, NumpyBackend(), lambda: 0)
    found = Reconciled()
    by_name = {instrument.instrument_id: instrument for instrument in instruments}
    end_ns = 0
    for number, events in enumerate(ticks):
        ordered = sorted((e for e in events if not isinstance(e, TickEnd)), key=venue_time_ns)
        for event in ordered:
            shard.accept(event)
        end_ns = max([end_ns + 1, *(venue_time_ns(e) + 1 for e in ordered if not isinstance(e, Gap))])
        shard.accept(TickEnd(end_ns, render=False))
        newest = {e.instrument_id: e.quantity for e in ordered if isinstance(e, OpenInterest)}
        for name, quantity in newest.items():
            instrument = by_name[name]
            scale = shard.market.scale(instrument.symbol)
            if scale is None:
                continue  # before any price a sample waits
            account = shard.book(instrument.symbol).account(name)
            one = 10**QUANTITY_DECIMALS if instrument.is_inverse else 10 ** (QUANTITY_DECIMALS - scale.lot_decimals)
            found.samples += 1
            found.model_error_lots[name] = account.model_error_lots
            for side in (0, 1):
                if account.live[side] + account.uncovered[side] != quantity // one:
                    found.wrong.append(f"tick {number}, {name}, side {side}")
    found.counters = dict(shard.counters)
    return found
