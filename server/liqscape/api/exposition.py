"""What a server counts, in the words of Prometheus: GetStatus, read again by other rules, and the histograms.

There is one source: every number but those of the histograms is taken from the answer to GetStatus, so the two cannot
disagree. Labels are few and their values bounded: symbols and instruments of the model, states and reasons of closed
sets. A peer or a token is never one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from liqscape.feeds.status import FeedState
from liqscape.feeds.tables import CONFIRMED, FETCHED, SHIPPED
from liqscape.metrics import Histogram, Timings
from liqscape.v1 import query_pb2, stream_pb2

PREFIX: Final = "liqscape_"

INSTRUMENT_LABELS: Final = ("symbol", "venue", "instrument")

FEED_LABELS: Final = ("venue", "channel")
CONTEXT_LABELS: Final = ("symbol", "venue")
ACCOUNT_STATES: Final = ("fresh", "stale", "refused", "waiting")
TABLE_ORIGINS: Final = (SHIPPED, CONFIRMED, FETCHED)


class _Counter(NamedTuple):
    metric: str
    help: str


COUNTERS: Final[dict[str, _Counter]] = {
    # Streams.
    "streams_opened": _Counter("streams_opened", "Streams accepted."),
    "streams_refused": _Counter("streams_refused", "Streams refused because the server was full."),
    "streams_cut": _Counter("streams_cut", "Calls ended because their reader did not read."),
    "stream_joins": _Counter("stream_joins", "Streams begun with keyframes."),
    "stream_resumes": _Counter("stream_resumes", "Streams resumed with what was missed."),
    "stream_frames": _Counter("stream_frames", "Frames taken by the transport, heartbeats included."),
    "stream_frame_bytes": _Counter("stream_frame_bytes", "Bytes of these frames, before the framing of gRPC."),
    "stream_heartbeats": _Counter("stream_heartbeats", "Heartbeats sent on idle streams."),
    "stream_keyframes": _Counter("stream_keyframes", "Keyframes of channels sent."),
    "source_ticks_merged": _Counter("source_ticks_merged", "Ticks merged on their way from engine to event loop."),
    "session_changes": _Counter("session_changes", "Changes of selection that readers of sessions asked for."),
    "sessions_idle": _Counter("sessions_idle", "Sessions ended because nothing was acknowledged."),
    "session_requests_delayed": _Counter("session_requests_delayed", "Requests of sessions that came too fast."),
    "playbacks_refused": _Counter("playbacks_refused", "Playbacks refused because too many were open."),
    "playback_pictures": _Counter("playback_pictures", "Pictures of the past sent by playbacks."),
    "worker_restarts": _Counter("worker_restarts", "Edge processes started again."),
    "engine_restarts": _Counter("engine_restarts", "Engine processes started again."),
    # Tiles and custom channels.
    "channels_opened": _Counter("channels_opened", "Tiles and custom channels opened."),
    "channels_closed": _Counter("channels_closed", "Tiles and custom channels closed, nobody reading them."),
    "channels_refused": _Counter("channels_refused", "Streams and changes refused for want of room for a channel."),
    "channel_builds_failed": _Counter("channel_builds_failed", "First grids of custom channels that broke down."),
    # Market data and engine.
    "gaps": _Counter("gaps", "Gaps in the input."),
    "rejected_events": _Counter("rejected_events", "Events of the input that broke a rule and were left out."),
    "late_events": _Counter("late_events", "Events stamped too long before they were heard, and left out."),
    "repeated_events": _Counter("repeated_events", "Samples and candles said again, and left out."),
    "disordered_events": _Counter("disordered_events", "Prices older than another of their tick: not its close."),
    "leapt_events": _Counter("leapt_events", "Late events believed, of venues whose clock was set back."),
    "stamps_ahead": _Counter("stamps_ahead", "Times at which an instrument's stamps were ahead of the tick's end."),
    "held_ticks": _Counter("held_ticks", "Ticks that would have gone back in time, and stood still."),
    "corrections": _Counter("corrections", "Corrections of what was said before."),
    "terms_changed": _Counter("terms_changed", "Changes of mixes or rules since the start."),
    "margin_tables_taken": _Counter("margin_tables_taken", "Margin tables told by venues that took effect."),
    "margin_tables_refused": _Counter("margin_tables_refused", "Margin tables told by venues that could not."),
    "margin_tables_unkept": _Counter("margin_tables_unkept", "Times that told tables could not be written down."),
    "positions_stated": _Counter("positions_stated", "Statements of positions of accounts that were taken."),
    "liquidations_printed": _Counter("liquidations_printed", "Liquidations that venues have printed."),
    "open_interest_interpolated": _Counter(
        "open_interest_interpolated", "Samples of open interest that lay between two of the input."
    ),
    "compactions": _Counter("compactions", "Merges of old events."),
    "compactions_without_memory": _Counter("compactions_without_memory", "Merges put off for want of device memory."),
    "self_checks": _Counter("self_checks", "Channels compared with their full recompute."),
    "self_check_differences": _Counter("self_check_differences", "Comparisons that differed: a defect, if not 0."),
    "waits_for_encoding": _Counter("waits_for_encoding", "Ticks that waited for the encoding of earlier ones."),
    # Durability; all 0 without --data.
    "journal_ticks": _Counter("journal_ticks", "Ticks committed to the journal."),
    "journal_bytes": _Counter("journal_bytes", "Bytes of these ticks."),
    "journal_failures": _Counter("journal_failures", "Times at which the journal could not be written."),
    "journal_ticks_let_go": _Counter("journal_ticks_let_go", "Ticks that only a later snapshot holds."),
    "journal_ticks_lost": _Counter("journal_ticks_lost", "Committed ticks that were missing at the start."),
    "journal_ticks_replayed": _Counter("journal_ticks_replayed", "Ticks of the journal replayed at the start."),
    "snapshots": _Counter("snapshots", "Snapshots written."),
    "snapshot_failures": _Counter("snapshot_failures", "Snapshots that could not be written."),
    "damaged_files": _Counter("damaged_files", "Files found damaged and set aside."),
    "archive_days_dropped": _Counter("archive_days_dropped", "Sealed days, raw or whole, that retention has dropped."),
    "archive_failures": _Counter("archive_failures", "Times at which the archive could not be written."),
    "archive_holes": _Counter("archive_holes", "Stretches of ticks that the archive does not hold."),
    "archive_damaged_files": _Counter("archive_damaged_files", "Files of the archive found damaged and set aside."),
    "queries_shed": _Counter("queries_shed", "Times at which questions gave their device memory up to ticks."),
}
"""Counters of GetStatus by name; all of them are shown from the start, as 0."""

GAUGES: Final[dict[str, _Counter]] = {
    "streams_stalled": _Counter("streams_stalled", "Open calls whose reader does not read."),
    "playbacks_open": _Counter("playbacks_open", "Playbacks open now; they are among the streams."),
    "journal_ticks_waiting": _Counter("journal_ticks_waiting", "Ticks that wait until the journal can be written."),
    "snapshot_bytes": _Counter("snapshot_size_bytes", "Bytes of the newest snapshot."),
    "archive_days": _Counter("archive_days", "Sealed days in the archive."),
    "archive_bytes": _Counter("archive_size_bytes", "Bytes of the sealed days."),
    "workers_running": _Counter("workers_running", "Edge processes that serve; 0 where the server is one process."),
    "tiles_open": _Counter("tiles_open", "Tiles open now."),
    "tiles_limit": _Counter("tiles_limit", "Tiles there may be at one time."),
    "custom_channels_open": _Counter("custom_channels_open", "Custom channels open now."),
    "custom_channels_limit": _Counter("custom_channels_limit", "Custom channels there may be at one time."),
}
"""Those among the counters of GetStatus that can fall."""

REASONS: Final[dict[str, tuple[_Counter, tuple[str, ...]]]] = {
    "stream_lagged_": (
        _Counter("stream_lagged", "Resume points that could not be honoured, by reason."),
        tuple(name.removeprefix("REASON_").lower() for name in stream_pb2.Lagged.Reason.keys()[1:]),
    ),
    "session_rejected_channels_": (
        _Counter("session_rejected_channels", "Channels that readers of sessions have found broken, by reason."),
        ("gap", "checksum_differs", "malformed", "missing"),
    ),
}
"""Counters of GetStatus by the beginning of their name; the rest is a reason. Those named are shown from the start."""

CONTEXT_GAUGES: Final = {
    "context_open_interest_coins": ("open_interest_base", "One-sided open interest of a market beside the map."),
    "context_open_interest_change_coins": ("open_interest_change_base", "Its change since the trading day before."),
    "context_settle_quote": ("settle_quote", "Settlement of its contract month with the most coins open."),
    "context_final": ("is_final", "1 where its numbers are final, 0 where one is preliminary."),
    "context_age_seconds": ("age_seconds", "Since the end of its newest trading day; of a replay, by its data's time."),
    "context_open_interest_share_ratio": ("open_interest_share", "Its part of all open interest, 0 to 1."),
    "context_covered_share_ratio": ("covered_share", "What the map explains of all open interest, 0 to 1."),
}
"""Field of MarketContext and help, by metric. All open interest: that of the market and of the map's instruments."""

STATES: Final = ("building", "serving", "ended", "failed")
DATA_STATES: Final = tuple(name.removeprefix("DATA_STATE_").lower() for name in stream_pb2.DataState.keys()[1:])


class ServerMetrics:
    """One scrape: a collector for prometheus_client.

    Args:
        status: the answer to GetStatus.
        timings: the histograms.
    """

    def __init__(self, status: query_pb2.GetStatusResponse, timings: Timings) -> None:
        self._status = status
        self._timings = timings

    def collect(self) -> Iterator[Metric]:
        """Yield every family, those without samples too."""
        yield from self._identity()
        yield from self._counters()
        yield from self._market()
        yield from self._feeds()
        yield from self._accounts()
        yield from self._context()
        yield from self._margin_tables()
        yield from self._histograms()

    def _identity(self) -> Iterator[Metric]:
        status = self._status
        yield _info("build", "Version and array backend.", version=status.server_version, backend=status.backend)
        yield _info("epoch", "Epoch of the engine: a new one with each start.", epoch=f"{status.epoch:016x}")
        state = query_pb2.EngineState.Name(status.state).removeprefix("ENGINE_STATE_").lower()
        yield _gauge("engine_state", "1 for the state of the engine.", ("state",), {(s,): s == state for s in STATES})
        states = {stream_pb2.DataState.Name(value).removeprefix("DATA_STATE_").lower() for value in status.states}
        yield _gauge("data_state", "1 for what the data are.", ("state",), {(s,): s in states for s in DATA_STATES})
        yield _gauge("build_progress_ratio", "History built so far, 0 to 1.", (), {(): status.progress})
        yield _gauge("tick", "Number of the newest tick of this epoch.", (), {(): status.tick})
        yield _gauge("streams_open", "Streams open now.", (), {(): status.streams})
        yield _counter(
            "ticks_conflated", "Ticks merged for slow readers, all streams.", (), {(): status.ticks_conflated}
        )

    def _counters(self) -> Iterator[Metric]:
        left = dict(self._status.counters)
        for name, (metric, help_text) in COUNTERS.items():
            yield _counter(metric, help_text, (), {(): left.pop(name, 0)})
        for name, (metric, help_text) in GAUGES.items():
            yield _gauge(metric, help_text, (), {(): left.pop(name, 0)})
        for prefix, ((metric, help_text), reasons) in REASONS.items():
            values = {(reason,): left.pop(prefix + reason, 0) for reason in reasons}
            values |= {(n.removeprefix(prefix),): left.pop(n) for n in sorted(left) if n.startswith(prefix)}
            yield _counter(metric, help_text, ("reason",), values)
        for name in self._timings.query_counts():
            left.pop(name, None)  # told by the histogram of queries
        for name, value in sorted(left.items()):
            yield _counter(name, f"Counter {name} of GetStatus.", (), {(): value})

    def _market(self) -> Iterator[Metric]:
        symbols = self._status.symbols
        instruments = [(c, (c.symbol, c.venue, c.instrument)) for s in symbols for c in s.coverage]
        yield _gauge("live_cohorts", "Open cohorts.", ("symbol",), {(s.symbol,): s.live_cohorts for s in symbols})
        yield _gauge(
            "ledger_events", "Events in the ledger.", ("symbol",), {(s.symbol,): s.ledger_events for s in symbols}
        )
        yield _gauge(
            "covered_share_ratio",
            "Share of open interest whose origin was seen, 0 to 1.",
            INSTRUMENT_LABELS,
            {labels: covered_share(coverage) for coverage, labels in instruments},
        )
        yield _gauge(
            "stated_share_ratio",
            "Share of live lots that the venue itself states of accounts, 0 to 1; the rest is estimated.",
            INSTRUMENT_LABELS,
            {labels: stated_share(coverage) for coverage, labels in instruments},
        )
        yield _gauge(
            "stated_beyond_lots",
            "Lots that the venue states and the book has no room for, both sides.",
            INSTRUMENT_LABELS,
            {labels: c.stated_beyond_long_lots + c.stated_beyond_short_lots for c, labels in instruments},
        )
        now_ns = self._status.server_unix_ns
        yield _gauge(
            "data_age_seconds",
            "Wall clock less the time of the newest event included; of a replay, how long ago that was.",
            INSTRUMENT_LABELS,
            {labels: (now_ns - c.watermark_unix_ns) / 1e9 for c, labels in instruments if c.watermark_unix_ns},
        )
        yield _counter(
            "instrument_rejected_events",
            "Events of an instrument that broke a rule and were left out.",
            INSTRUMENT_LABELS,
            {labels: coverage.rejected_events for coverage, labels in instruments},
        )

    def _feeds(self) -> Iterator[Metric]:
        feeds, now_ns = self._status.feeds, self._status.server_unix_ns
        channels = [(channel, (feed.venue, channel.channel)) for feed in feeds for channel in feed.channels]
        yield _gauge(
            "feed_state",
            "1 for the state of a channel of a venue.",
            ("venue", "channel", "state"),
            {(*labels, s.value): s.value == channel.state for channel, labels in channels for s in FeedState},
        )
        yield _counter(
            "feed_events", "Events passed on.", FEED_LABELS, {labels: channel.events for channel, labels in channels}
        )
        yield _gauge(
            "feed_age_seconds",
            "Wall clock less the receive time of the newest message.",
            FEED_LABELS,
            {labels: (now_ns - c.heard_unix_ns) / 1e9 for c, labels in channels if c.heard_unix_ns},
        )
        yield _counter(
            "feed_rejected",
            "Inputs thrown away, by reason.",
            ("venue", "reason"),
            {(feed.venue, reason): count for feed in feeds for reason, count in sorted(feed.rejected.items())},
        )
        yield _counter(
            "feed_reconnects", "Connections begun anew.", ("venue",), {(feed.venue,): feed.reconnects for feed in feeds}
        )
        yield _gauge(
            "feed_connections", "Connections open now.", ("venue",), {(feed.venue,): feed.connections for feed in feeds}
        )
        yield _gauge(
            "feed_lag_seconds",
            "Median of receive time less venue time: way and difference of the clocks.",
            ("venue",),
            {(feed.venue,): feed.lag_ns / 1e9 for feed in feeds if feed.HasField("lag_ns")},
        )
        yield _gauge(
            "feed_open_interest_share_ratio",
            "Its open interest as last believed, of that of all venues listened to, 0 to 1.",
            ("venue",),
            {(feed.venue,): feed.open_interest_share for feed in feeds},
        )
        yield _gauge(
            "feed_quarantined_instruments",
            "Instruments that are heard and not believed.",
            ("venue",),
            {(feed.venue,): len(feed.quarantined) for feed in feeds},
        )

    def _accounts(self) -> Iterator[Metric]:
        now_ns = self._status.server_unix_ns
        followed = [(feed.venue, feed.accounts) for feed in self._status.feeds if feed.HasField("accounts")]
        yield _gauge(
            "feed_accounts",
            "Accounts whose positions the venue is asked for, by what is known of them.",
            ("venue", "state"),
            {(venue, state): getattr(accounts, state) for venue, accounts in followed for state in ACCOUNT_STATES},
        )
        yield _gauge(
            "feed_account_positions",
            "Positions of these accounts that are held now.",
            ("venue",),
            {(venue,): accounts.positions for venue, accounts in followed},
        )
        yield _gauge(
            "feed_accounts_age_seconds",
            "Wall clock less the time of the oldest statement.",
            ("venue",),
            {
                (venue,): (now_ns - accounts.oldest_unix_ns) / 1e9
                for venue, accounts in followed
                if accounts.oldest_unix_ns
            },
        )
        yield _counter(
            "feed_account_statements",
            "Statements of accounts taken.",
            ("venue",),
            {(venue,): accounts.statements for venue, accounts in followed},
        )
        yield _counter(
            "feed_accounts_rejected",
            "Answers about accounts, or parts of them, that were not taken, by reason.",
            ("venue", "reason"),
            {(venue, why): count for venue, accounts in followed for why, count in sorted(accounts.rejected.items())},
        )

    def _context(self) -> Iterator[Metric]:
        markets = [((market.symbol, market.venue), market) for market in self._status.context]
        for name, (field, help_text) in CONTEXT_GAUGES.items():
            may_lack = query_pb2.MarketContext.DESCRIPTOR.fields_by_name[field].has_presence
            told = {labels: getattr(m, field) for labels, m in markets if not may_lack or m.HasField(field)}
            yield _gauge(name, help_text, CONTEXT_LABELS, told)
        if self._status.HasField("daily_report"):
            report = self._status.daily_report
            yield _counter(
                "daily_report_failures", "Changes of the daily report that were not taken.", (), {(): report.failures}
            )
            yield _gauge("daily_report_stale", "1 where the newest was not taken.", (), {(): bool(report.message)})

    def _margin_tables(self) -> Iterator[Metric]:
        tables = [(feed.venue, table) for feed in self._status.feeds for table in feed.margin_tables]
        counted = Counter((venue, table.origin) for venue, table in tables)
        asked = dict.fromkeys(venue for venue, _ in tables)
        yield _gauge(
            "feed_margin_tables",
            "Instruments by where the margin table in force is from.",
            ("venue", "origin"),
            {(venue, origin): counted[venue, origin] for venue in asked for origin in TABLE_ORIGINS},
        )
        yield _counter(
            "feed_margin_table_failures",
            "Requests that brought no margin table that could be used.",
            ("venue",),
            {(venue,): sum(table.failures for of, table in tables if of == venue) for venue in asked},
        )

    def _histograms(self) -> Iterator[Metric]:
        timings = self._timings
        yield _histogram(
            "freshness_seconds",
            "Stages between an event at a venue and a reader that has it.",
            ("stage",),
            {(stage.value,): histogram for stage, histogram in timings.freshness.items()},
        )
        yield _histogram("tick_compute_seconds", "One step of all books and grids.", (), {(): timings.tick_compute})
        yield _histogram("encode_seconds", "One tick made into chunks.", (), {(): timings.encode})
        yield _histogram(
            "query_duration_seconds",
            "Questions, from their request to the last message of the answer.",
            ("method", "code"),
            timings.queries,
        )
        yield _histogram(
            "event_loop_lag_seconds", "How late the event loop wakes up.", (), {(): timings.event_loop_lag}
        )


def covered_share(coverage: stream_pb2.VenueChunk) -> float:
    """Return live / (live + uncovered) over both sides; 0 before anything was seen."""
    live = coverage.live_long_lots + coverage.live_short_lots
    total = live + coverage.uncovered_long_lots + coverage.uncovered_short_lots
    return live / total if total else 0.0


def stated_share(coverage: stream_pb2.VenueChunk) -> float:
    """Return stated / live lots over both sides; 0 where nothing is live."""
    live = coverage.live_long_lots + coverage.live_short_lots
    return (coverage.stated_long_lots + coverage.stated_short_lots) / live if live else 0.0


def _info(name: str, help_text: str, **labels: str) -> Metric:
    return InfoMetricFamily(PREFIX + name, help_text, labels)


def _gauge(name: str, help_text: str, labels: Iterable[str], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, help_text, labels=list(labels))
    for label_values, value in values.items():
        family.add_metric(label_values, float(value))
    return family


def _counter(name: str, help_text: str, labels: Iterable[str], values: Mapping[Any, float]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, help_text, labels=list(labels))
    for label_values, value in values.items():
        family.add_metric(label_values, float(value))
    return family


def _histogram(name: str, help_text: str, labels: Iterable[str], values: Mapping[Any, Histogram]) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, help_text, labels=list(labels))
    for label_values, histogram in list(values.items()):
        buckets = [(_bound(bound), count) for bound, count in histogram.cumulative()]
        family.add_metric(label_values, buckets, histogram.sum)
    return family


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)
