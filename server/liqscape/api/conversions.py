"""Answers of the engine as messages of QueryService."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import numpy as np

from liqscape import __version__
from liqscape.api.context_conversions import context_message, report_message
from liqscape.axes import TIMEFRAMES, WEIGHT_ONE
from liqscape.broadcast.accounts import Account
from liqscape.broadcast.chunks import axes_message, candles_message, coverage_message
from liqscape.feeds.exact import AccountsStatus
from liqscape.feeds.status import VenueStatus
from liqscape.grid.updates import EngineStatus, GridAnswer, InstrumentView, PositionModel, SymbolStatus
from liqscape.metrics import LATENCY_BOUNDS_S
from liqscape.v1 import query_pb2, stream_pb2

MAX_FRAGMENT_BYTES: Final = 1 << 20
"""As for frames of a stream: well below the 4 MiB a gRPC client takes by default."""

FRAGMENT_OVERHEAD_BYTES: Final = 64
"""Tags, lengths and two small numbers."""

CELL_MEANING: Final = (
    "estimate by a model, confirmed by no exchange: weighted lots of positions opened in the window and still open at "
    "the end of the column, by the price at which they would be force-closed"
)

OPEN_ONLY_CELL_MEANING: Final = (
    "estimate by the open-only model, for comparison, confirmed by no exchange: weighted lots of positions that rising "
    "open interest opened in the window and that no price has reached by the end of the column, by their entry price "
    "less or more 1/leverage; nothing is closed, so there are too many"
)

CELL: Final = np.dtype("<i8")

MODELS: Final = {
    PositionModel.NET_OF_CLOSES: query_pb2.POSITION_MODEL_NET_OF_CLOSES,
    PositionModel.OPEN_ONLY: query_pb2.POSITION_MODEL_OPEN_ONLY,
}

_ENGINE_STATES: Final = {
    "building": query_pb2.ENGINE_STATE_BUILDING,
    "serving": query_pb2.ENGINE_STATE_SERVING,
    "ended": query_pb2.ENGINE_STATE_ENDED,
    "failed": query_pb2.ENGINE_STATE_FAILED,
}


def grid_header(answer: GridAnswer, states: Iterable[stream_pb2.DataState]) -> query_pb2.GetGridResponse:
    """Return the first message of a grid."""
    return query_pb2.GetGridResponse(
        header=query_pb2.GridHeader(
            symbol=answer.channel.symbol,
            timeframe=answer.channel.timeframe.name,
            epoch=answer.epoch,
            tick=answer.tick,
            generation=answer.generation,
            axes=axes_message(answer.axes),
            newest_column=answer.newest_column,
            lot_decimals=answer.axes.scale.lot_decimals,
            weight_one=WEIGHT_ONE,
            usd_per_weighted_lot=answer.usd_per_weighted_lot.tolist(),
            candles=candles_message(answer.candles),
            mark_price=answer.mark_price,
            source_watermark_unix_ns=answer.source_watermark_ns,
            states=states,
            coverage=[coverage_message(coverage) for coverage in answer.coverage],
            cells_bytes=answer.cells.size * CELL.itemsize,
            meaning=OPEN_ONLY_CELL_MEANING if answer.model is PositionModel.OPEN_ONLY else CELL_MEANING,
            as_of_minute=answer.as_of_minute,
            reconciled=answer.reconciled,
            model=MODELS[answer.model],
        )
    )


def grid_fragments(answer: GridAnswer) -> Iterator[query_pb2.GetGridResponse]:
    """Yield the cells of a grid in whole columns, made one at a time."""
    columns, rows = answer.cells.shape
    room = MAX_FRAGMENT_BYTES - FRAGMENT_OVERHEAD_BYTES
    step = max(1, room // max(1, rows * CELL.itemsize))
    for first in range(0, columns, step):
        part = answer.cells[first : first + step]
        yield query_pb2.GetGridResponse(
            fragment=query_pb2.GridFragment(
                column_index=first, columns=len(part), cells=part.astype(CELL, copy=False).tobytes()
            )
        )


class DataView(Protocol):
    """What is known of the data where streams are served: a hub, or whoever watches the engine."""

    goodbye: stream_pb2.GoingAway | None

    def states(self) -> tuple[stream_pb2.DataState, ...]:
        """Return what the data are now."""
        ...

    @property
    def now_ns(self) -> Callable[[], int]:
        """Return the wall clock."""
        ...


def status_response(status: EngineStatus, view: DataView, account: Account) -> query_pb2.GetStatusResponse:
    """Return engine and streams together."""
    return query_pb2.GetStatusResponse(
        server_version=__version__,
        state=_ENGINE_STATES[status.state],
        message=status.message or (view.goodbye.reason if view.goodbye else ""),
        progress=status.progress,
        seconds_left=status.seconds_left,
        epoch=status.epoch,
        tick=status.tick,
        backend=status.backend,
        input=status.input,
        states=view.states(),
        server_unix_ns=view.now_ns(),
        symbols=[_symbol_status(symbol) for symbol in status.symbols],
        streams=account.counters.streams_open,
        ticks_conflated=account.counters.ticks_conflated,
        counters={
            **status.counters,
            **account.counts,
            **account.counters.by_name(),
            **account.timings.query_counts(),
        },
        latency_bounds_seconds=LATENCY_BOUNDS_S,
        freshness=[
            query_pb2.StageLatency(stage=stage.value, counts=histogram.counts, sum_seconds=histogram.sum)
            for stage, histogram in account.timings.freshness.items()
        ],
        feeds=[_venue_feed(venue) for venue in status.feeds],
        context=[context_message(context) for context in status.context],
        daily_report=None if status.daily_report is None else report_message(status.daily_report),
    )


def _venue_feed(venue: VenueStatus) -> query_pb2.VenueFeed:
    return query_pb2.VenueFeed(
        venue=venue.venue,
        message=venue.message,
        channels=[
            query_pb2.ChannelFeed(
                channel=channel.channel,
                state=channel.state.value,
                heard_unix_ns=channel.heard_ns,
                events=channel.events,
            )
            for channel in venue.channels
        ],
        connections=venue.connections,
        reconnects=venue.reconnects,
        lag_ns=venue.lag_ns,
        open_interest_share=venue.open_interest_share,
        rejected=venue.rejected,
        ignored=venue.ignored,
        quarantined=venue.quarantined,
        accounts=None if venue.accounts is None else _accounts(venue.accounts),
        margin_tables=[
            query_pb2.MarginTable(
                instrument=table.instrument_id,
                origin=table.origin,
                rules_date=table.rules_date,
                rules_source=table.rules_source,
                read_unix_ns=table.read_ns,
                failures=table.failures,
                failure=table.failure,
                failed_unix_ns=table.failed_ns,
                note=table.note,
            )
            for table in venue.tables
        ],
    )


def _accounts(accounts: AccountsStatus) -> query_pb2.FollowedAccounts:
    return query_pb2.FollowedAccounts(
        named=accounts.named,
        found=accounts.found,
        fresh=accounts.fresh,
        stale=accounts.stale,
        refused=accounts.refused,
        waiting=accounts.waiting,
        statements=accounts.statements,
        positions=accounts.positions,
        oldest_unix_ns=accounts.oldest_ns,
        rejected=accounts.rejected,
    )


def instruments_response(views: Iterable[InstrumentView]) -> query_pb2.ListInstrumentsResponse:
    """Return instruments sorted by id, and the timeframes."""
    return query_pb2.ListInstrumentsResponse(
        instruments=[_instrument(view) for view in sorted(views, key=lambda view: view.instrument_id)],
        timeframes=[
            query_pb2.TimeframeDescription(
                timeframe=frame.name,
                column_minutes=frame.column_minutes,
                columns=frame.columns,
                span_permille=frame.span_permille,
            )
            for frame in TIMEFRAMES
        ],
    )


def _symbol_status(status: SymbolStatus) -> query_pb2.SymbolStatus:
    return query_pb2.SymbolStatus(
        symbol=status.symbol,
        mark_price=status.mark_price,
        price_decimals=status.price_decimals,
        source_watermark_unix_ns=status.source_watermark_ns,
        live_cohorts=status.live_cohorts,
        ledger_events=status.ledger_events,
        coverage=[coverage_message(coverage) for coverage in status.coverage],
        tick_compute_ms=status.tick_compute_ms,
    )


def _instrument(view: InstrumentView) -> query_pb2.InstrumentDescription:
    return query_pb2.InstrumentDescription(
        instrument=view.instrument_id,
        venue=view.venue,
        symbol=view.symbol,
        contract=view.contract,
        trigger=view.trigger,
        price_decimals=view.price_decimals,
        base_step=view.base_step,
        lot_decimals=view.lot_decimals,
        maintenance_margin_rate_ppm=view.maintenance_margin_rate_ppm,
        rules_date=view.rules_date,
        tiers=[
            query_pb2.TierDescription(
                leverage=tier.leverage,
                inflow_share_ppm=tier.inflow_share_ppm,
                long_liquidation_ratio=tier.long_liquidation_ratio,
                short_liquidation_ratio=tier.short_liquidation_ratio,
                long_bankruptcy_ratio=tier.long_bankruptcy_ratio,
                short_bankruptcy_ratio=tier.short_bankruptcy_ratio,
            )
            for tier in view.tiers
        ],
    )
