from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChunkKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHUNK_KIND_UNSPECIFIED: _ClassVar[ChunkKind]
    CHUNK_KIND_KEYFRAME: _ClassVar[ChunkKind]
    CHUNK_KIND_DELTA: _ClassVar[ChunkKind]

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_RLE8: _ClassVar[Encoding]
    ENCODING_RLE8_ZLIB: _ClassVar[Encoding]
    ENCODING_TIME_DIFFERENCE_ZLIB: _ClassVar[Encoding]

class DataState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_STATE_UNSPECIFIED: _ClassVar[DataState]
    DATA_STATE_SIMULATED: _ClassVar[DataState]
    DATA_STATE_REPLAY: _ClassVar[DataState]
    DATA_STATE_STALE: _ClassVar[DataState]
    DATA_STATE_ENDED: _ClassVar[DataState]
CHUNK_KIND_UNSPECIFIED: ChunkKind
CHUNK_KIND_KEYFRAME: ChunkKind
CHUNK_KIND_DELTA: ChunkKind
ENCODING_UNSPECIFIED: Encoding
ENCODING_RLE8: Encoding
ENCODING_RLE8_ZLIB: Encoding
ENCODING_TIME_DIFFERENCE_ZLIB: Encoding
DATA_STATE_UNSPECIFIED: DataState
DATA_STATE_SIMULATED: DataState
DATA_STATE_REPLAY: DataState
DATA_STATE_STALE: DataState
DATA_STATE_ENDED: DataState

class SubscribeRequest(_message.Message):
    __slots__ = ("channels", "cadence_ms", "resume", "max_in_flight")
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    CADENCE_MS_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedCompositeFieldContainer[ChannelSelector]
    cadence_ms: int
    resume: _containers.RepeatedCompositeFieldContainer[ResumePoint]
    max_in_flight: int
    def __init__(self, channels: _Optional[_Iterable[_Union[ChannelSelector, _Mapping]]] = ..., cadence_ms: _Optional[int] = ..., resume: _Optional[_Iterable[_Union[ResumePoint, _Mapping]]] = ..., max_in_flight: _Optional[int] = ...) -> None: ...

class SessionRequest(_message.Message):
    __slots__ = ("open", "acknowledge", "change", "reject")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    REJECT_FIELD_NUMBER: _ClassVar[int]
    open: SubscribeRequest
    acknowledge: Acknowledge
    change: Change
    reject: Reject
    def __init__(self, open: _Optional[_Union[SubscribeRequest, _Mapping]] = ..., acknowledge: _Optional[_Union[Acknowledge, _Mapping]] = ..., change: _Optional[_Union[Change, _Mapping]] = ..., reject: _Optional[_Union[Reject, _Mapping]] = ...) -> None: ...

class Acknowledge(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: int
    def __init__(self, frames: _Optional[int] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("channels", "cadence_ms")
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    CADENCE_MS_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedCompositeFieldContainer[ChannelSelector]
    cadence_ms: int
    def __init__(self, channels: _Optional[_Iterable[_Union[ChannelSelector, _Mapping]]] = ..., cadence_ms: _Optional[int] = ...) -> None: ...

class Reject(_message.Message):
    __slots__ = ("channel_ids", "reason", "details", "source_id")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Reject.Reason]
        REASON_GAP: _ClassVar[Reject.Reason]
        REASON_CHECKSUM_DIFFERS: _ClassVar[Reject.Reason]
        REASON_MALFORMED: _ClassVar[Reject.Reason]
        REASON_MISSING: _ClassVar[Reject.Reason]
    REASON_UNSPECIFIED: Reject.Reason
    REASON_GAP: Reject.Reason
    REASON_CHECKSUM_DIFFERS: Reject.Reason
    REASON_MALFORMED: Reject.Reason
    REASON_MISSING: Reject.Reason
    CHANNEL_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    channel_ids: _containers.RepeatedScalarFieldContainer[int]
    reason: Reject.Reason
    details: str
    source_id: str
    def __init__(self, channel_ids: _Optional[_Iterable[int]] = ..., reason: _Optional[_Union[Reject.Reason, str]] = ..., details: _Optional[str] = ..., source_id: _Optional[str] = ...) -> None: ...

class PlaybackRequest(_message.Message):
    __slots__ = ("open", "acknowledge", "play", "pause", "seek", "speed")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    PLAY_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    SEEK_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    open: PlaybackOpen
    acknowledge: Acknowledge
    play: PlaybackPlay
    pause: PlaybackPause
    seek: PlaybackSeek
    speed: PlaybackSpeed
    def __init__(self, open: _Optional[_Union[PlaybackOpen, _Mapping]] = ..., acknowledge: _Optional[_Union[Acknowledge, _Mapping]] = ..., play: _Optional[_Union[PlaybackPlay, _Mapping]] = ..., pause: _Optional[_Union[PlaybackPause, _Mapping]] = ..., seek: _Optional[_Union[PlaybackSeek, _Mapping]] = ..., speed: _Optional[_Union[PlaybackSpeed, _Mapping]] = ...) -> None: ...

class PlaybackOpen(_message.Message):
    __slots__ = ("channels", "from_minute", "until_minute", "step_minutes", "speed", "max_in_flight", "paused")
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    FROM_MINUTE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MINUTE_FIELD_NUMBER: _ClassVar[int]
    STEP_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedCompositeFieldContainer[ChannelSelector]
    from_minute: int
    until_minute: int
    step_minutes: int
    speed: float
    max_in_flight: int
    paused: bool
    def __init__(self, channels: _Optional[_Iterable[_Union[ChannelSelector, _Mapping]]] = ..., from_minute: _Optional[int] = ..., until_minute: _Optional[int] = ..., step_minutes: _Optional[int] = ..., speed: _Optional[float] = ..., max_in_flight: _Optional[int] = ..., paused: bool = ...) -> None: ...

class PlaybackPlay(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PlaybackPause(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PlaybackSeek(_message.Message):
    __slots__ = ("minute",)
    MINUTE_FIELD_NUMBER: _ClassVar[int]
    minute: int
    def __init__(self, minute: _Optional[int] = ...) -> None: ...

class PlaybackSpeed(_message.Message):
    __slots__ = ("speed",)
    SPEED_FIELD_NUMBER: _ClassVar[int]
    speed: float
    def __init__(self, speed: _Optional[float] = ...) -> None: ...

class ChannelSelector(_message.Message):
    __slots__ = ("symbol", "timeframe", "rows", "prices", "positions", "row_fold")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    ROW_FOLD_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    timeframe: str
    rows: RowSpan
    prices: PriceSpan
    positions: PositionFilter
    row_fold: int
    def __init__(self, symbol: _Optional[str] = ..., timeframe: _Optional[str] = ..., rows: _Optional[_Union[RowSpan, _Mapping]] = ..., prices: _Optional[_Union[PriceSpan, _Mapping]] = ..., positions: _Optional[_Union[PositionFilter, _Mapping]] = ..., row_fold: _Optional[int] = ...) -> None: ...

class RowSpan(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class PriceSpan(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class PositionFilter(_message.Message):
    __slots__ = ("venues", "leverages", "side", "leverage_shares")
    class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SIDE_UNSPECIFIED: _ClassVar[PositionFilter.Side]
        SIDE_LONG: _ClassVar[PositionFilter.Side]
        SIDE_SHORT: _ClassVar[PositionFilter.Side]
    SIDE_UNSPECIFIED: PositionFilter.Side
    SIDE_LONG: PositionFilter.Side
    SIDE_SHORT: PositionFilter.Side
    class Share(_message.Message):
        __slots__ = ("leverage", "share_ppm")
        LEVERAGE_FIELD_NUMBER: _ClassVar[int]
        SHARE_PPM_FIELD_NUMBER: _ClassVar[int]
        leverage: int
        share_ppm: int
        def __init__(self, leverage: _Optional[int] = ..., share_ppm: _Optional[int] = ...) -> None: ...
    VENUES_FIELD_NUMBER: _ClassVar[int]
    LEVERAGES_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    LEVERAGE_SHARES_FIELD_NUMBER: _ClassVar[int]
    venues: _containers.RepeatedScalarFieldContainer[str]
    leverages: _containers.RepeatedScalarFieldContainer[int]
    side: PositionFilter.Side
    leverage_shares: _containers.RepeatedCompositeFieldContainer[PositionFilter.Share]
    def __init__(self, venues: _Optional[_Iterable[str]] = ..., leverages: _Optional[_Iterable[int]] = ..., side: _Optional[_Union[PositionFilter.Side, str]] = ..., leverage_shares: _Optional[_Iterable[_Union[PositionFilter.Share, _Mapping]]] = ...) -> None: ...

class ResumePoint(_message.Message):
    __slots__ = ("source_id", "epoch", "tick")
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    source_id: str
    epoch: int
    tick: int
    def __init__(self, source_id: _Optional[str] = ..., epoch: _Optional[int] = ..., tick: _Optional[int] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("sections", "ticks_conflated", "sent_unix_ns", "hello", "snapshot_end", "heartbeat", "lagged", "going_away", "selection_changed", "playback")
    SECTIONS_FIELD_NUMBER: _ClassVar[int]
    TICKS_CONFLATED_FIELD_NUMBER: _ClassVar[int]
    SENT_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_END_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    LAGGED_FIELD_NUMBER: _ClassVar[int]
    GOING_AWAY_FIELD_NUMBER: _ClassVar[int]
    SELECTION_CHANGED_FIELD_NUMBER: _ClassVar[int]
    PLAYBACK_FIELD_NUMBER: _ClassVar[int]
    sections: _containers.RepeatedCompositeFieldContainer[Section]
    ticks_conflated: int
    sent_unix_ns: int
    hello: Hello
    snapshot_end: SnapshotEnd
    heartbeat: Heartbeat
    lagged: Lagged
    going_away: GoingAway
    selection_changed: SelectionChanged
    playback: PlaybackPosition
    def __init__(self, sections: _Optional[_Iterable[_Union[Section, _Mapping]]] = ..., ticks_conflated: _Optional[int] = ..., sent_unix_ns: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., snapshot_end: _Optional[_Union[SnapshotEnd, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., lagged: _Optional[_Union[Lagged, _Mapping]] = ..., going_away: _Optional[_Union[GoingAway, _Mapping]] = ..., selection_changed: _Optional[_Union[SelectionChanged, _Mapping]] = ..., playback: _Optional[_Union[PlaybackPosition, _Mapping]] = ...) -> None: ...

class Section(_message.Message):
    __slots__ = ("source_id", "epoch", "tick", "complete", "chunks")
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    source_id: str
    epoch: int
    tick: int
    complete: bool
    chunks: _containers.RepeatedCompositeFieldContainer[Chunk]
    def __init__(self, source_id: _Optional[str] = ..., epoch: _Optional[int] = ..., tick: _Optional[int] = ..., complete: bool = ..., chunks: _Optional[_Iterable[_Union[Chunk, _Mapping]]] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("channel", "symbol", "venue")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    channel: ChannelChunk
    symbol: SymbolChunk
    venue: VenueChunk
    def __init__(self, channel: _Optional[_Union[ChannelChunk, _Mapping]] = ..., symbol: _Optional[_Union[SymbolChunk, _Mapping]] = ..., venue: _Optional[_Union[VenueChunk, _Mapping]] = ...) -> None: ...

class ChannelChunk(_message.Message):
    __slots__ = ("channel_id", "generation", "prev_tick", "tick", "kind", "axes", "newest_column", "encoding", "payload", "checksum", "candles")
    CHANNEL_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PREV_TICK_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    NEWEST_COLUMN_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    CANDLES_FIELD_NUMBER: _ClassVar[int]
    channel_id: int
    generation: int
    prev_tick: int
    tick: int
    kind: ChunkKind
    axes: Axes
    newest_column: int
    encoding: Encoding
    payload: bytes
    checksum: int
    candles: Candles
    def __init__(self, channel_id: _Optional[int] = ..., generation: _Optional[int] = ..., prev_tick: _Optional[int] = ..., tick: _Optional[int] = ..., kind: _Optional[_Union[ChunkKind, str]] = ..., axes: _Optional[_Union[Axes, _Mapping]] = ..., newest_column: _Optional[int] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., payload: _Optional[bytes] = ..., checksum: _Optional[int] = ..., candles: _Optional[_Union[Candles, _Mapping]] = ...) -> None: ...

class Axes(_message.Message):
    __slots__ = ("column_minutes", "columns", "first_row", "rows", "base_steps_per_row", "base_step", "price_decimals")
    COLUMN_MINUTES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BASE_STEPS_PER_ROW_FIELD_NUMBER: _ClassVar[int]
    BASE_STEP_FIELD_NUMBER: _ClassVar[int]
    PRICE_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    column_minutes: int
    columns: int
    first_row: int
    rows: int
    base_steps_per_row: int
    base_step: int
    price_decimals: int
    def __init__(self, column_minutes: _Optional[int] = ..., columns: _Optional[int] = ..., first_row: _Optional[int] = ..., rows: _Optional[int] = ..., base_steps_per_row: _Optional[int] = ..., base_step: _Optional[int] = ..., price_decimals: _Optional[int] = ...) -> None: ...

class Candles(_message.Message):
    __slots__ = ("column_differences", "open_differences", "high_minus_open", "open_minus_low", "close_minus_open")
    COLUMN_DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    OPEN_DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    HIGH_MINUS_OPEN_FIELD_NUMBER: _ClassVar[int]
    OPEN_MINUS_LOW_FIELD_NUMBER: _ClassVar[int]
    CLOSE_MINUS_OPEN_FIELD_NUMBER: _ClassVar[int]
    column_differences: _containers.RepeatedScalarFieldContainer[int]
    open_differences: _containers.RepeatedScalarFieldContainer[int]
    high_minus_open: _containers.RepeatedScalarFieldContainer[int]
    open_minus_low: _containers.RepeatedScalarFieldContainer[int]
    close_minus_open: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, column_differences: _Optional[_Iterable[int]] = ..., open_differences: _Optional[_Iterable[int]] = ..., high_minus_open: _Optional[_Iterable[int]] = ..., open_minus_low: _Optional[_Iterable[int]] = ..., close_minus_open: _Optional[_Iterable[int]] = ...) -> None: ...

class SymbolChunk(_message.Message):
    __slots__ = ("symbol", "mark_price", "price_decimals", "source_watermark_unix_ns", "states", "bars_closed_unix_ns", "grids_ready_unix_ns", "chunks_encoded_unix_ns")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    MARK_PRICE_FIELD_NUMBER: _ClassVar[int]
    PRICE_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WATERMARK_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    BARS_CLOSED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    GRIDS_READY_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_ENCODED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    mark_price: int
    price_decimals: int
    source_watermark_unix_ns: int
    states: _containers.RepeatedScalarFieldContainer[DataState]
    bars_closed_unix_ns: int
    grids_ready_unix_ns: int
    chunks_encoded_unix_ns: int
    def __init__(self, symbol: _Optional[str] = ..., mark_price: _Optional[int] = ..., price_decimals: _Optional[int] = ..., source_watermark_unix_ns: _Optional[int] = ..., states: _Optional[_Iterable[_Union[DataState, str]]] = ..., bars_closed_unix_ns: _Optional[int] = ..., grids_ready_unix_ns: _Optional[int] = ..., chunks_encoded_unix_ns: _Optional[int] = ...) -> None: ...

class VenueChunk(_message.Message):
    __slots__ = ("symbol", "venue", "instrument", "watermark_unix_ns", "live_long_lots", "live_short_lots", "uncovered_long_lots", "uncovered_short_lots", "model_error_lots", "rejected_events", "lot_decimals", "stated_long_lots", "stated_short_lots", "stated_beyond_long_lots", "stated_beyond_short_lots")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    LIVE_LONG_LOTS_FIELD_NUMBER: _ClassVar[int]
    LIVE_SHORT_LOTS_FIELD_NUMBER: _ClassVar[int]
    UNCOVERED_LONG_LOTS_FIELD_NUMBER: _ClassVar[int]
    UNCOVERED_SHORT_LOTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_ERROR_LOTS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    LOT_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    STATED_LONG_LOTS_FIELD_NUMBER: _ClassVar[int]
    STATED_SHORT_LOTS_FIELD_NUMBER: _ClassVar[int]
    STATED_BEYOND_LONG_LOTS_FIELD_NUMBER: _ClassVar[int]
    STATED_BEYOND_SHORT_LOTS_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    venue: str
    instrument: str
    watermark_unix_ns: int
    live_long_lots: int
    live_short_lots: int
    uncovered_long_lots: int
    uncovered_short_lots: int
    model_error_lots: int
    rejected_events: int
    lot_decimals: int
    stated_long_lots: int
    stated_short_lots: int
    stated_beyond_long_lots: int
    stated_beyond_short_lots: int
    def __init__(self, symbol: _Optional[str] = ..., venue: _Optional[str] = ..., instrument: _Optional[str] = ..., watermark_unix_ns: _Optional[int] = ..., live_long_lots: _Optional[int] = ..., live_short_lots: _Optional[int] = ..., uncovered_long_lots: _Optional[int] = ..., uncovered_short_lots: _Optional[int] = ..., model_error_lots: _Optional[int] = ..., rejected_events: _Optional[int] = ..., lot_decimals: _Optional[int] = ..., stated_long_lots: _Optional[int] = ..., stated_short_lots: _Optional[int] = ..., stated_beyond_long_lots: _Optional[int] = ..., stated_beyond_short_lots: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_revision", "server_version", "server_unix_ns", "cadence_ms", "heartbeat_ms", "sources", "channels", "resumed", "max_in_flight")
    PROTOCOL_REVISION_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    CADENCE_MS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    protocol_revision: int
    server_version: str
    server_unix_ns: int
    cadence_ms: int
    heartbeat_ms: int
    sources: _containers.RepeatedCompositeFieldContainer[SourceDescription]
    channels: _containers.RepeatedCompositeFieldContainer[ChannelDescription]
    resumed: bool
    max_in_flight: int
    def __init__(self, protocol_revision: _Optional[int] = ..., server_version: _Optional[str] = ..., server_unix_ns: _Optional[int] = ..., cadence_ms: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ..., sources: _Optional[_Iterable[_Union[SourceDescription, _Mapping]]] = ..., channels: _Optional[_Iterable[_Union[ChannelDescription, _Mapping]]] = ..., resumed: bool = ..., max_in_flight: _Optional[int] = ...) -> None: ...

class SelectionChanged(_message.Message):
    __slots__ = ("changes", "continuing", "starting", "cadence_ms", "refused")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    CONTINUING_FIELD_NUMBER: _ClassVar[int]
    STARTING_FIELD_NUMBER: _ClassVar[int]
    CADENCE_MS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    changes: int
    continuing: _containers.RepeatedCompositeFieldContainer[ChannelDescription]
    starting: _containers.RepeatedCompositeFieldContainer[ChannelDescription]
    cadence_ms: int
    refused: str
    def __init__(self, changes: _Optional[int] = ..., continuing: _Optional[_Iterable[_Union[ChannelDescription, _Mapping]]] = ..., starting: _Optional[_Iterable[_Union[ChannelDescription, _Mapping]]] = ..., cadence_ms: _Optional[int] = ..., refused: _Optional[str] = ...) -> None: ...

class SourceDescription(_message.Message):
    __slots__ = ("source_id", "epoch", "tick_ms", "states", "input")
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_MS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    source_id: str
    epoch: int
    tick_ms: int
    states: _containers.RepeatedScalarFieldContainer[DataState]
    input: str
    def __init__(self, source_id: _Optional[str] = ..., epoch: _Optional[int] = ..., tick_ms: _Optional[int] = ..., states: _Optional[_Iterable[_Union[DataState, str]]] = ..., input: _Optional[str] = ...) -> None: ...

class ChannelDescription(_message.Message):
    __slots__ = ("channel_id", "source_id", "symbol", "timeframe", "rows", "positions", "row_fold")
    CHANNEL_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    ROW_FOLD_FIELD_NUMBER: _ClassVar[int]
    channel_id: int
    source_id: str
    symbol: str
    timeframe: str
    rows: RowSpan
    positions: PositionFilter
    row_fold: int
    def __init__(self, channel_id: _Optional[int] = ..., source_id: _Optional[str] = ..., symbol: _Optional[str] = ..., timeframe: _Optional[str] = ..., rows: _Optional[_Union[RowSpan, _Mapping]] = ..., positions: _Optional[_Union[PositionFilter, _Mapping]] = ..., row_fold: _Optional[int] = ...) -> None: ...

class PlaybackPosition(_message.Message):
    __slots__ = ("minute", "state", "stopped", "details", "speed", "step_minutes", "requests", "refused")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[PlaybackPosition.State]
        STATE_PLAYING: _ClassVar[PlaybackPosition.State]
        STATE_PAUSED: _ClassVar[PlaybackPosition.State]
        STATE_STOPPED: _ClassVar[PlaybackPosition.State]
    STATE_UNSPECIFIED: PlaybackPosition.State
    STATE_PLAYING: PlaybackPosition.State
    STATE_PAUSED: PlaybackPosition.State
    STATE_STOPPED: PlaybackPosition.State
    class Stop(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STOP_UNSPECIFIED: _ClassVar[PlaybackPosition.Stop]
        STOP_END_OF_SPAN: _ClassVar[PlaybackPosition.Stop]
        STOP_NOT_HELD: _ClassVar[PlaybackPosition.Stop]
    STOP_UNSPECIFIED: PlaybackPosition.Stop
    STOP_END_OF_SPAN: PlaybackPosition.Stop
    STOP_NOT_HELD: PlaybackPosition.Stop
    MINUTE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    STEP_MINUTES_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    minute: int
    state: PlaybackPosition.State
    stopped: PlaybackPosition.Stop
    details: str
    speed: float
    step_minutes: int
    requests: int
    refused: str
    def __init__(self, minute: _Optional[int] = ..., state: _Optional[_Union[PlaybackPosition.State, str]] = ..., stopped: _Optional[_Union[PlaybackPosition.Stop, str]] = ..., details: _Optional[str] = ..., speed: _Optional[float] = ..., step_minutes: _Optional[int] = ..., requests: _Optional[int] = ..., refused: _Optional[str] = ...) -> None: ...

class SnapshotEnd(_message.Message):
    __slots__ = ("keyframes",)
    KEYFRAMES_FIELD_NUMBER: _ClassVar[int]
    keyframes: int
    def __init__(self, keyframes: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("positions", "source_watermark_unix_ns", "states")
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WATERMARK_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    positions: _containers.RepeatedCompositeFieldContainer[ResumePoint]
    source_watermark_unix_ns: _containers.RepeatedScalarFieldContainer[int]
    states: _containers.RepeatedScalarFieldContainer[DataState]
    def __init__(self, positions: _Optional[_Iterable[_Union[ResumePoint, _Mapping]]] = ..., source_watermark_unix_ns: _Optional[_Iterable[int]] = ..., states: _Optional[_Iterable[_Union[DataState, str]]] = ...) -> None: ...

class Lagged(_message.Message):
    __slots__ = ("reason", "source_id")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Lagged.Reason]
        REASON_EPOCH_CHANGED: _ClassVar[Lagged.Reason]
        REASON_OUT_OF_RING: _ClassVar[Lagged.Reason]
        REASON_FROM_THE_FUTURE: _ClassVar[Lagged.Reason]
        REASON_UNKNOWN_SOURCE: _ClassVar[Lagged.Reason]
        REASON_CHANNEL_CLOSED: _ClassVar[Lagged.Reason]
    REASON_UNSPECIFIED: Lagged.Reason
    REASON_EPOCH_CHANGED: Lagged.Reason
    REASON_OUT_OF_RING: Lagged.Reason
    REASON_FROM_THE_FUTURE: Lagged.Reason
    REASON_UNKNOWN_SOURCE: Lagged.Reason
    REASON_CHANNEL_CLOSED: Lagged.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    reason: Lagged.Reason
    source_id: str
    def __init__(self, reason: _Optional[_Union[Lagged.Reason, str]] = ..., source_id: _Optional[str] = ...) -> None: ...

class GoingAway(_message.Message):
    __slots__ = ("reconnect_after_ms", "reason")
    RECONNECT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    reconnect_after_ms: int
    reason: str
    def __init__(self, reconnect_after_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
