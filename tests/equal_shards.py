"""Two shards, compared: what they send from now on, and what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from benchmarks.gpu.equal_payloads import same, uncompressed
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.device.backend import LedgerColumns
from liqscape.grid.shard import Shard
from liqscape.grid.symbol_model import SymbolView
from liqscape.grid.updates import PositionModel, TickOutput


class Stream:
    """What a client that joins now is sent, uncompressed and without stamps of a clock."""

    def __init__(self, shard: Shard, tick_ms: int = 1000) -> None:
        about = ShardDescription("equal", 1, tick_ms, True, False, "equal", shard.channels)
        self._encoder = StreamEncoder(about, lambda: 0)

    def send(self, output: TickOutput | None) -> dict[str, bytes]:
        """Return what is sent of a tick, by name."""
        return {} if output is None else dict(named(self._encoder.encode(output)))


def named(record: TickRecord) -> Iterator[tuple[str, bytes]]:
    """Yield by name what is sent of a tick, uncompressed."""
    for kind, chunks in (("chunk", record.channels), ("join keyframe", record.keyframes)):
        for chunk in chunks:
            yield f"{kind} of channel {chunk.channel_id}", uncompressed(chunk.data)
    yield from record.symbols.items()
    yield from record.venues.items()


def differences(one: Shard, other: Shard) -> list[str]:
    """Return by name what differs in all that two shards hold; of grids, what their next ticks tell."""
    held = [dict(_held(shard)) for shard in (one, other)]
    return [name for name in {**held[0], **held[1]} if not same(held[0].get(name), held[1].get(name))]


def fingerprint(shard: Shard) -> str:
    """Return a digest of all that differences compares."""
    digest = hashlib.sha256()
    feed(digest.update, dict(_held(shard)))
    return digest.hexdigest()[:16]


def feed(take: Callable[[bytes], object], value: object) -> None:
    """Pass everything in a value on as bytes: arrays, frozen values, mappings and lists of them, and what prints."""
    if isinstance(value, np.ndarray):
        take(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        feed(take, [getattr(value, field.name) for field in fields(value)])
    elif isinstance(value, Mapping):
        feed(take, [part for item in value.items() for part in item])
    elif isinstance(value, list | tuple):
        take(str(len(value)).encode())
        for item in value:
            feed(take, item)
    else:
        take(f"{value!r};".encode())


def _held(shard: Shard) -> Iterator[tuple[str, object]]:
    yield "tick", (shard.tick, shard.end_ns)
    market = shard.market.snapshot()
    yield "market", (market.last_end_ns, market.scales, dict(market.carries), _counted(market.counters))
    for symbol, view in shard.view().items():
        yield f"channels of {symbol}", _channels(view)
        yield f"prices of {symbol}", (view.mark_price, view.source_watermark_ns, view.scale, view.coverage)
        for model in PositionModel:
            book = shard.live_book(symbol, model)
            yield f"cohorts of {symbol}, {model.value}", book.cohorts()
            ledger = view.ledger_of(model)
            yield f"events of {symbol}, {model.value}", _columns(ledger.columns())
            yield f"merged events of {symbol}, {model.value}", [_columns(tier) for tier in ledger.tiers()]
        yield f"book of {symbol}", shard.book(symbol).snapshot()()


def _channels(view: SymbolView) -> list[object]:
    return [(c.channel, list(c.history), c.candles, c.newest_column) for c in view.channels.values()]


def _columns(events: LedgerColumns) -> list[object]:
    return [events.minute, events.open_minute, events.row, events.key, events.lots, events.cause]


def _counted(counters: object) -> dict[str, int]:
    assert isinstance(counters, dict)
    return {name: count for name, count in sorted(counters.items()) if count}
