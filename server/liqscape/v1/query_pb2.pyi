from liqscape.v1 import stream_pb2 as _stream_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Provenance(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROVENANCE_UNSPECIFIED: _ClassVar[Provenance]
    PROVENANCE_STATED: _ClassVar[Provenance]
    PROVENANCE_ESTIMATED: _ClassVar[Provenance]

class PositionModel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSITION_MODEL_UNSPECIFIED: _ClassVar[PositionModel]
    POSITION_MODEL_NET_OF_CLOSES: _ClassVar[PositionModel]
    POSITION_MODEL_OPEN_ONLY: _ClassVar[PositionModel]

class PositionSide(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSITION_SIDE_UNSPECIFIED: _ClassVar[PositionSide]
    POSITION_SIDE_LONG: _ClassVar[PositionSide]
    POSITION_SIDE_SHORT: _ClassVar[PositionSide]

class MapBreakdown(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MAP_BREAKDOWN_UNSPECIFIED: _ClassVar[MapBreakdown]
    MAP_BREAKDOWN_VENUE: _ClassVar[MapBreakdown]
    MAP_BREAKDOWN_INSTRUMENT: _ClassVar[MapBreakdown]
    MAP_BREAKDOWN_LEVERAGE: _ClassVar[MapBreakdown]

class ClusterOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLUSTER_ORDER_UNSPECIFIED: _ClassVar[ClusterOrder]
    CLUSTER_ORDER_SCORE: _ClassVar[ClusterOrder]
    CLUSTER_ORDER_MASS: _ClassVar[ClusterOrder]
    CLUSTER_ORDER_DISTANCE: _ClassVar[ClusterOrder]

class ReliabilityGrade(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELIABILITY_GRADE_UNSPECIFIED: _ClassVar[ReliabilityGrade]
    RELIABILITY_GRADE_HIGH: _ClassVar[ReliabilityGrade]
    RELIABILITY_GRADE_MEDIUM: _ClassVar[ReliabilityGrade]
    RELIABILITY_GRADE_LOW: _ClassVar[ReliabilityGrade]

class EngineState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENGINE_STATE_UNSPECIFIED: _ClassVar[EngineState]
    ENGINE_STATE_BUILDING: _ClassVar[EngineState]
    ENGINE_STATE_SERVING: _ClassVar[EngineState]
    ENGINE_STATE_ENDED: _ClassVar[EngineState]
    ENGINE_STATE_FAILED: _ClassVar[EngineState]
PROVENANCE_UNSPECIFIED: Provenance
PROVENANCE_STATED: Provenance
PROVENANCE_ESTIMATED: Provenance
POSITION_MODEL_UNSPECIFIED: PositionModel
POSITION_MODEL_NET_OF_CLOSES: PositionModel
POSITION_MODEL_OPEN_ONLY: PositionModel
POSITION_SIDE_UNSPECIFIED: PositionSide
POSITION_SIDE_LONG: PositionSide
POSITION_SIDE_SHORT: PositionSide
MAP_BREAKDOWN_UNSPECIFIED: MapBreakdown
MAP_BREAKDOWN_VENUE: MapBreakdown
MAP_BREAKDOWN_INSTRUMENT: MapBreakdown
MAP_BREAKDOWN_LEVERAGE: MapBreakdown
CLUSTER_ORDER_UNSPECIFIED: ClusterOrder
CLUSTER_ORDER_SCORE: ClusterOrder
CLUSTER_ORDER_MASS: ClusterOrder
CLUSTER_ORDER_DISTANCE: ClusterOrder
RELIABILITY_GRADE_UNSPECIFIED: ReliabilityGrade
RELIABILITY_GRADE_HIGH: ReliabilityGrade
RELIABILITY_GRADE_MEDIUM: ReliabilityGrade
RELIABILITY_GRADE_LOW: ReliabilityGrade
ENGINE_STATE_UNSPECIFIED: EngineState
ENGINE_STATE_BUILDING: EngineState
ENGINE_STATE_SERVING: EngineState
ENGINE_STATE_ENDED: EngineState
ENGINE_STATE_FAILED: EngineState

class GetGridRequest(_message.Message):
    __slots__ = ("symbol", "timeframe", "venues", "leverages", "side", "leverage_shares", "as_of_minute", "column_minutes", "columns", "base_steps_per_row", "price_low", "price_high", "model", "provenance")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    VENUES_FIELD_NUMBER: _ClassVar[int]
    LEVERAGES_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    LEVERAGE_SHARES_FIELD_NUMBER: _ClassVar[int]
    AS_OF_MINUTE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_MINUTES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    BASE_STEPS_PER_ROW_FIELD_NUMBER: _ClassVar[int]
    PRICE_LOW_FIELD_NUMBER: _ClassVar[int]
    PRICE_HIGH_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    timeframe: str
    venues: _containers.RepeatedScalarFieldContainer[str]
    leverages: _containers.RepeatedScalarFieldContainer[int]
    side: PositionSide
    leverage_shares: _containers.RepeatedCompositeFieldContainer[LeverageShare]
    as_of_minute: int
    column_minutes: int
    columns: int
    base_steps_per_row: int
    price_low: float
    price_high: float
    model: PositionModel
    provenance: Provenance
    def __init__(self, symbol: _Optional[str] = ..., timeframe: _Optional[str] = ..., venues: _Optional[_Iterable[str]] = ..., leverages: _Optional[_Iterable[int]] = ..., side: _Optional[_Union[PositionSide, str]] = ..., leverage_shares: _Optional[_Iterable[_Union[LeverageShare, _Mapping]]] = ..., as_of_minute: _Optional[int] = ..., column_minutes: _Optional[int] = ..., columns: _Optional[int] = ..., base_steps_per_row: _Optional[int] = ..., price_low: _Optional[float] = ..., price_high: _Optional[float] = ..., model: _Optional[_Union[PositionModel, str]] = ..., provenance: _Optional[_Union[Provenance, str]] = ...) -> None: ...

class LeverageShare(_message.Message):
    __slots__ = ("leverage", "share_ppm")
    LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    SHARE_PPM_FIELD_NUMBER: _ClassVar[int]
    leverage: int
    share_ppm: int
    def __init__(self, leverage: _Optional[int] = ..., share_ppm: _Optional[int] = ...) -> None: ...

class GetGridResponse(_message.Message):
    __slots__ = ("header", "fragment")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    header: GridHeader
    fragment: GridFragment
    def __init__(self, header: _Optional[_Union[GridHeader, _Mapping]] = ..., fragment: _Optional[_Union[GridFragment, _Mapping]] = ...) -> None: ...

class GridHeader(_message.Message):
    __slots__ = ("symbol", "timeframe", "epoch", "tick", "generation", "axes", "newest_column", "lot_decimals", "weight_one", "usd_per_weighted_lot", "candles", "mark_price", "source_watermark_unix_ns", "states", "coverage", "cells_bytes", "meaning", "as_of_minute", "reconciled", "model")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    NEWEST_COLUMN_FIELD_NUMBER: _ClassVar[int]
    LOT_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_ONE_FIELD_NUMBER: _ClassVar[int]
    USD_PER_WEIGHTED_LOT_FIELD_NUMBER: _ClassVar[int]
    CANDLES_FIELD_NUMBER: _ClassVar[int]
    MARK_PRICE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WATERMARK_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    CELLS_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    AS_OF_MINUTE_FIELD_NUMBER: _ClassVar[int]
    RECONCILED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    timeframe: str
    epoch: int
    tick: int
    generation: int
    axes: _stream_pb2.Axes
    newest_column: int
    lot_decimals: int
    weight_one: int
    usd_per_weighted_lot: _containers.RepeatedScalarFieldContainer[float]
    candles: _stream_pb2.Candles
    mark_price: int
    source_watermark_unix_ns: int
    states: _containers.RepeatedScalarFieldContainer[_stream_pb2.DataState]
    coverage: _containers.RepeatedCompositeFieldContainer[_stream_pb2.VenueChunk]
    cells_bytes: int
    meaning: str
    as_of_minute: int
    reconciled: bool
    model: PositionModel
    def __init__(self, symbol: _Optional[str] = ..., timeframe: _Optional[str] = ..., epoch: _Optional[int] = ..., tick: _Optional[int] = ..., generation: _Optional[int] = ..., axes: _Optional[_Union[_stream_pb2.Axes, _Mapping]] = ..., newest_column: _Optional[int] = ..., lot_decimals: _Optional[int] = ..., weight_one: _Optional[int] = ..., usd_per_weighted_lot: _Optional[_Iterable[float]] = ..., candles: _Optional[_Union[_stream_pb2.Candles, _Mapping]] = ..., mark_price: _Optional[int] = ..., source_watermark_unix_ns: _Optional[int] = ..., states: _Optional[_Iterable[_Union[_stream_pb2.DataState, str]]] = ..., coverage: _Optional[_Iterable[_Union[_stream_pb2.VenueChunk, _Mapping]]] = ..., cells_bytes: _Optional[int] = ..., meaning: _Optional[str] = ..., as_of_minute: _Optional[int] = ..., reconciled: bool = ..., model: _Optional[_Union[PositionModel, str]] = ...) -> None: ...

class GridFragment(_message.Message):
    __slots__ = ("column_index", "columns", "cells")
    COLUMN_INDEX_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    column_index: int
    columns: int
    cells: bytes
    def __init__(self, column_index: _Optional[int] = ..., columns: _Optional[int] = ..., cells: _Optional[bytes] = ...) -> None: ...

class GetLiquidationMapRequest(_message.Message):
    __slots__ = ("symbol", "venues", "leverages", "side", "leverage_shares", "base_steps_per_row", "price_low", "price_high", "breakdown", "model", "provenance")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    VENUES_FIELD_NUMBER: _ClassVar[int]
    LEVERAGES_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    LEVERAGE_SHARES_FIELD_NUMBER: _ClassVar[int]
    BASE_STEPS_PER_ROW_FIELD_NUMBER: _ClassVar[int]
    PRICE_LOW_FIELD_NUMBER: _ClassVar[int]
    PRICE_HIGH_FIELD_NUMBER: _ClassVar[int]
    BREAKDOWN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    venues: _containers.RepeatedScalarFieldContainer[str]
    leverages: _containers.RepeatedScalarFieldContainer[int]
    side: PositionSide
    leverage_shares: _containers.RepeatedCompositeFieldContainer[LeverageShare]
    base_steps_per_row: int
    price_low: float
    price_high: float
    breakdown: _containers.RepeatedScalarFieldContainer[MapBreakdown]
    model: PositionModel
    provenance: Provenance
    def __init__(self, symbol: _Optional[str] = ..., venues: _Optional[_Iterable[str]] = ..., leverages: _Optional[_Iterable[int]] = ..., side: _Optional[_Union[PositionSide, str]] = ..., leverage_shares: _Optional[_Iterable[_Union[LeverageShare, _Mapping]]] = ..., base_steps_per_row: _Optional[int] = ..., price_low: _Optional[float] = ..., price_high: _Optional[float] = ..., breakdown: _Optional[_Iterable[_Union[MapBreakdown, str]]] = ..., model: _Optional[_Union[PositionModel, str]] = ..., provenance: _Optional[_Union[Provenance, str]] = ...) -> None: ...

class GetLiquidationMapResponse(_message.Message):
    __slots__ = ("header", "fragment")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    header: MapHeader
    fragment: MapFragment
    def __init__(self, header: _Optional[_Union[MapHeader, _Mapping]] = ..., fragment: _Optional[_Union[MapFragment, _Mapping]] = ...) -> None: ...

class MapHeader(_message.Message):
    __slots__ = ("symbol", "epoch", "tick", "axis", "lot_decimals", "weight_one", "usd_per_weighted_lot", "mark_price", "price_row", "source_watermark_unix_ns", "states", "coverage", "meaning", "model", "reconciled", "series", "cells_bytes", "long_cumulative_weighted_lots", "short_cumulative_weighted_lots", "long_cumulative_usd", "short_cumulative_usd", "by_side", "by_venue", "by_leverage", "exact", "long_without_price_weighted_lots", "short_without_price_weighted_lots", "context", "assumed")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    LOT_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_ONE_FIELD_NUMBER: _ClassVar[int]
    USD_PER_WEIGHTED_LOT_FIELD_NUMBER: _ClassVar[int]
    MARK_PRICE_FIELD_NUMBER: _ClassVar[int]
    PRICE_ROW_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WATERMARK_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RECONCILED_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    CELLS_BYTES_FIELD_NUMBER: _ClassVar[int]
    LONG_CUMULATIVE_WEIGHTED_LOTS_FIELD_NUMBER: _ClassVar[int]
    SHORT_CUMULATIVE_WEIGHTED_LOTS_FIELD_NUMBER: _ClassVar[int]
    LONG_CUMULATIVE_USD_FIELD_NUMBER: _ClassVar[int]
    SHORT_CUMULATIVE_USD_FIELD_NUMBER: _ClassVar[int]
    BY_SIDE_FIELD_NUMBER: _ClassVar[int]
    BY_VENUE_FIELD_NUMBER: _ClassVar[int]
    BY_LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    LONG_WITHOUT_PRICE_WEIGHTED_LOTS_FIELD_NUMBER: _ClassVar[int]
    SHORT_WITHOUT_PRICE_WEIGHTED_LOTS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    ASSUMED_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    epoch: int
    tick: int
    axis: RowAxis
    lot_decimals: int
    weight_one: int
    usd_per_weighted_lot: _containers.RepeatedScalarFieldContainer[float]
    mark_price: int
    price_row: int
    source_watermark_unix_ns: int
    states: _containers.RepeatedScalarFieldContainer[_stream_pb2.DataState]
    coverage: _containers.RepeatedCompositeFieldContainer[_stream_pb2.VenueChunk]
    meaning: str
    model: PositionModel
    reconciled: bool
    series: _containers.RepeatedCompositeFieldContainer[MapSeries]
    cells_bytes: int
    long_cumulative_weighted_lots: _containers.RepeatedScalarFieldContainer[int]
    short_cumulative_weighted_lots: _containers.RepeatedScalarFieldContainer[int]
    long_cumulative_usd: _containers.RepeatedScalarFieldContainer[float]
    short_cumulative_usd: _containers.RepeatedScalarFieldContainer[float]
    by_side: _containers.RepeatedCompositeFieldContainer[MapSeries]
    by_venue: _containers.RepeatedCompositeFieldContainer[MapSeries]
    by_leverage: _containers.RepeatedCompositeFieldContainer[MapSeries]
    exact: _containers.RepeatedCompositeFieldContainer[ExactPositions]
    long_without_price_weighted_lots: int
    short_without_price_weighted_lots: int
    context: _containers.RepeatedCompositeFieldContainer[MarketContext]
    assumed: _containers.RepeatedCompositeFieldContainer[AssumedPositions]
    def __init__(self, symbol: _Optional[str] = ..., epoch: _Optional[int] = ..., tick: _Optional[int] = ..., axis: _Optional[_Union[RowAxis, _Mapping]] = ..., lot_decimals: _Optional[int] = ..., weight_one: _Optional[int] = ..., usd_per_weighted_lot: _Optional[_Iterable[float]] = ..., mark_price: _Optional[int] = ..., price_row: _Optional[int] = ..., source_watermark_unix_ns: _Optional[int] = ..., states: _Optional[_Iterable[_Union[_stream_pb2.DataState, str]]] = ..., coverage: _Optional[_Iterable[_Union[_stream_pb2.VenueChunk, _Mapping]]] = ..., meaning: _Optional[str] = ..., model: _Optional[_Union[PositionModel, str]] = ..., reconciled: bool = ..., series: _Optional[_Iterable[_Union[MapSeries, _Mapping]]] = ..., cells_bytes: _Optional[int] = ..., long_cumulative_weighted_lots: _Optional[_Iterable[int]] = ..., short_cumulative_weighted_lots: _Optional[_Iterable[int]] = ..., long_cumulative_usd: _Optional[_Iterable[float]] = ..., short_cumulative_usd: _Optional[_Iterable[float]] = ..., by_side: _Optional[_Iterable[_Union[MapSeries, _Mapping]]] = ..., by_venue: _Optional[_Iterable[_Union[MapSeries, _Mapping]]] = ..., by_leverage: _Optional[_Iterable[_Union[MapSeries, _Mapping]]] = ..., exact: _Optional[_Iterable[_Union[ExactPositions, _Mapping]]] = ..., long_without_price_weighted_lots: _Optional[int] = ..., short_without_price_weighted_lots: _Optional[int] = ..., context: _Optional[_Iterable[_Union[MarketContext, _Mapping]]] = ..., assumed: _Optional[_Iterable[_Union[AssumedPositions, _Mapping]]] = ...) -> None: ...

class ExactPositions(_message.Message):
    __slots__ = ("venue", "rows", "totals")
    VENUE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    venue: str
    rows: _containers.RepeatedCompositeFieldContainer[ExactRow]
    totals: _containers.RepeatedCompositeFieldContainer[ExactTotal]
    def __init__(self, venue: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[ExactRow, _Mapping]]] = ..., totals: _Optional[_Iterable[_Union[ExactTotal, _Mapping]]] = ...) -> None: ...

class ExactRow(_message.Message):
    __slots__ = ("row", "side", "lots", "model_lots", "model_share", "accounts", "oldest_unix_ns")
    ROW_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_LOTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHARE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    row: int
    side: PositionSide
    lots: int
    model_lots: int
    model_share: float
    accounts: int
    oldest_unix_ns: int
    def __init__(self, row: _Optional[int] = ..., side: _Optional[_Union[PositionSide, str]] = ..., lots: _Optional[int] = ..., model_lots: _Optional[int] = ..., model_share: _Optional[float] = ..., accounts: _Optional[int] = ..., oldest_unix_ns: _Optional[int] = ...) -> None: ...

class ExactTotal(_message.Message):
    __slots__ = ("side", "inside_lots", "below_lots", "above_lots", "without_price_lots", "accounts", "accounts_without_price", "oldest_unix_ns", "open_interest_lots", "open_interest_share")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    INSIDE_LOTS_FIELD_NUMBER: _ClassVar[int]
    BELOW_LOTS_FIELD_NUMBER: _ClassVar[int]
    ABOVE_LOTS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_PRICE_LOTS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_WITHOUT_PRICE_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_LOTS_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_SHARE_FIELD_NUMBER: _ClassVar[int]
    side: PositionSide
    inside_lots: int
    below_lots: int
    above_lots: int
    without_price_lots: int
    accounts: int
    accounts_without_price: int
    oldest_unix_ns: int
    open_interest_lots: int
    open_interest_share: float
    def __init__(self, side: _Optional[_Union[PositionSide, str]] = ..., inside_lots: _Optional[int] = ..., below_lots: _Optional[int] = ..., above_lots: _Optional[int] = ..., without_price_lots: _Optional[int] = ..., accounts: _Optional[int] = ..., accounts_without_price: _Optional[int] = ..., oldest_unix_ns: _Optional[int] = ..., open_interest_lots: _Optional[int] = ..., open_interest_share: _Optional[float] = ...) -> None: ...

class RowAxis(_message.Message):
    __slots__ = ("first_row", "rows", "base_steps_per_row", "base_step", "price_decimals")
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BASE_STEPS_PER_ROW_FIELD_NUMBER: _ClassVar[int]
    BASE_STEP_FIELD_NUMBER: _ClassVar[int]
    PRICE_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    first_row: int
    rows: int
    base_steps_per_row: int
    base_step: int
    price_decimals: int
    def __init__(self, first_row: _Optional[int] = ..., rows: _Optional[int] = ..., base_steps_per_row: _Optional[int] = ..., base_step: _Optional[int] = ..., price_decimals: _Optional[int] = ...) -> None: ...

class MapSeries(_message.Message):
    __slots__ = ("venue", "instrument", "leverage", "side", "inside", "below", "above", "stated")
    VENUE_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    INSIDE_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    STATED_FIELD_NUMBER: _ClassVar[int]
    venue: str
    instrument: str
    leverage: int
    side: PositionSide
    inside: MapAmount
    below: MapAmount
    above: MapAmount
    stated: bool
    def __init__(self, venue: _Optional[str] = ..., instrument: _Optional[str] = ..., leverage: _Optional[int] = ..., side: _Optional[_Union[PositionSide, str]] = ..., inside: _Optional[_Union[MapAmount, _Mapping]] = ..., below: _Optional[_Union[MapAmount, _Mapping]] = ..., above: _Optional[_Union[MapAmount, _Mapping]] = ..., stated: bool = ...) -> None: ...

class MapAmount(_message.Message):
    __slots__ = ("weighted_lots", "usd")
    WEIGHTED_LOTS_FIELD_NUMBER: _ClassVar[int]
    USD_FIELD_NUMBER: _ClassVar[int]
    weighted_lots: int
    usd: float
    def __init__(self, weighted_lots: _Optional[int] = ..., usd: _Optional[float] = ...) -> None: ...

class MapFragment(_message.Message):
    __slots__ = ("series_index", "series", "cells")
    SERIES_INDEX_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    series_index: int
    series: int
    cells: bytes
    def __init__(self, series_index: _Optional[int] = ..., series: _Optional[int] = ..., cells: _Optional[bytes] = ...) -> None: ...

class ListClustersRequest(_message.Message):
    __slots__ = ("symbol", "venues", "leverages", "side", "base_steps_per_row", "model", "limit", "order", "thresholds")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    VENUES_FIELD_NUMBER: _ClassVar[int]
    LEVERAGES_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    BASE_STEPS_PER_ROW_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    venues: _containers.RepeatedScalarFieldContainer[str]
    leverages: _containers.RepeatedScalarFieldContainer[int]
    side: PositionSide
    base_steps_per_row: int
    model: PositionModel
    limit: int
    order: ClusterOrder
    thresholds: ClusterThresholds
    def __init__(self, symbol: _Optional[str] = ..., venues: _Optional[_Iterable[str]] = ..., leverages: _Optional[_Iterable[int]] = ..., side: _Optional[_Union[PositionSide, str]] = ..., base_steps_per_row: _Optional[int] = ..., model: _Optional[_Union[PositionModel, str]] = ..., limit: _Optional[int] = ..., order: _Optional[_Union[ClusterOrder, str]] = ..., thresholds: _Optional[_Union[ClusterThresholds, _Mapping]] = ...) -> None: ...

class ClusterThresholds(_message.Message):
    __slots__ = ("smoothing_percent", "valley_share", "edge_share", "max_width_percent", "min_mass_usd", "within_percent", "isolation_percent", "neighbour_share", "band_percent", "noise_floor_usd", "min_open_interest_usd", "min_covered_share", "max_feed_lag_seconds", "min_venues", "max_venue_share", "expiry_hours")
    SMOOTHING_PERCENT_FIELD_NUMBER: _ClassVar[int]
    VALLEY_SHARE_FIELD_NUMBER: _ClassVar[int]
    EDGE_SHARE_FIELD_NUMBER: _ClassVar[int]
    MAX_WIDTH_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MIN_MASS_USD_FIELD_NUMBER: _ClassVar[int]
    WITHIN_PERCENT_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_PERCENT_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOUR_SHARE_FIELD_NUMBER: _ClassVar[int]
    BAND_PERCENT_FIELD_NUMBER: _ClassVar[int]
    NOISE_FLOOR_USD_FIELD_NUMBER: _ClassVar[int]
    MIN_OPEN_INTEREST_USD_FIELD_NUMBER: _ClassVar[int]
    MIN_COVERED_SHARE_FIELD_NUMBER: _ClassVar[int]
    MAX_FEED_LAG_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MIN_VENUES_FIELD_NUMBER: _ClassVar[int]
    MAX_VENUE_SHARE_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_HOURS_FIELD_NUMBER: _ClassVar[int]
    smoothing_percent: float
    valley_share: float
    edge_share: float
    max_width_percent: float
    min_mass_usd: float
    within_percent: float
    isolation_percent: float
    neighbour_share: float
    band_percent: float
    noise_floor_usd: float
    min_open_interest_usd: float
    min_covered_share: float
    max_feed_lag_seconds: float
    min_venues: int
    max_venue_share: float
    expiry_hours: float
    def __init__(self, smoothing_percent: _Optional[float] = ..., valley_share: _Optional[float] = ..., edge_share: _Optional[float] = ..., max_width_percent: _Optional[float] = ..., min_mass_usd: _Optional[float] = ..., within_percent: _Optional[float] = ..., isolation_percent: _Optional[float] = ..., neighbour_share: _Optional[float] = ..., band_percent: _Optional[float] = ..., noise_floor_usd: _Optional[float] = ..., min_open_interest_usd: _Optional[float] = ..., min_covered_share: _Optional[float] = ..., max_feed_lag_seconds: _Optional[float] = ..., min_venues: _Optional[int] = ..., max_venue_share: _Optional[float] = ..., expiry_hours: _Optional[float] = ...) -> None: ...

class ListClustersResponse(_message.Message):
    __slots__ = ("symbol", "epoch", "tick", "axis", "lot_decimals", "mark_price", "source_watermark_unix_ns", "server_unix_ns", "states", "meaning", "model", "covered_share", "open_interest_usd", "thresholds", "order", "clusters", "sides", "band_source", "coverage")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    LOT_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    MARK_PRICE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WATERMARK_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    SERVER_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    COVERED_SHARE_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_USD_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    SIDES_FIELD_NUMBER: _ClassVar[int]
    BAND_SOURCE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    epoch: int
    tick: int
    axis: RowAxis
    lot_decimals: int
    mark_price: int
    source_watermark_unix_ns: int
    server_unix_ns: int
    states: _containers.RepeatedScalarFieldContainer[_stream_pb2.DataState]
    meaning: str
    model: PositionModel
    covered_share: float
    open_interest_usd: float
    thresholds: ClusterThresholds
    order: ClusterOrder
    clusters: _containers.RepeatedCompositeFieldContainer[Cluster]
    sides: _containers.RepeatedCompositeFieldContainer[ClusterSide]
    band_source: str
    coverage: _containers.RepeatedCompositeFieldContainer[_stream_pb2.VenueChunk]
    def __init__(self, symbol: _Optional[str] = ..., epoch: _Optional[int] = ..., tick: _Optional[int] = ..., axis: _Optional[_Union[RowAxis, _Mapping]] = ..., lot_decimals: _Optional[int] = ..., mark_price: _Optional[int] = ..., source_watermark_unix_ns: _Optional[int] = ..., server_unix_ns: _Optional[int] = ..., states: _Optional[_Iterable[_Union[_stream_pb2.DataState, str]]] = ..., meaning: _Optional[str] = ..., model: _Optional[_Union[PositionModel, str]] = ..., covered_share: _Optional[float] = ..., open_interest_usd: _Optional[float] = ..., thresholds: _Optional[_Union[ClusterThresholds, _Mapping]] = ..., order: _Optional[_Union[ClusterOrder, str]] = ..., clusters: _Optional[_Iterable[_Union[Cluster, _Mapping]]] = ..., sides: _Optional[_Iterable[_Union[ClusterSide, _Mapping]]] = ..., band_source: _Optional[str] = ..., coverage: _Optional[_Iterable[_Union[_stream_pb2.VenueChunk, _Mapping]]] = ...) -> None: ...

class Cluster(_message.Message):
    __slots__ = ("side", "rank", "first_row", "last_row", "peak_row", "price_low", "price_high", "peak_price", "lots", "usd", "open_interest_share", "mean_leverage", "mean_margin_percent", "by_venue", "by_leverage", "largest_venue_share", "venue_concentration", "edge_distance", "edge_distance_percent", "peak_distance", "peak_distance_percent", "below", "above", "isolated", "score_usd", "band_low", "band_high", "stated_lots", "stated_share", "stated_accounts", "oldest_stated_unix_ns", "grade", "reasons")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    LAST_ROW_FIELD_NUMBER: _ClassVar[int]
    PEAK_ROW_FIELD_NUMBER: _ClassVar[int]
    PRICE_LOW_FIELD_NUMBER: _ClassVar[int]
    PRICE_HIGH_FIELD_NUMBER: _ClassVar[int]
    PEAK_PRICE_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    USD_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_SHARE_FIELD_NUMBER: _ClassVar[int]
    MEAN_LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    MEAN_MARGIN_PERCENT_FIELD_NUMBER: _ClassVar[int]
    BY_VENUE_FIELD_NUMBER: _ClassVar[int]
    BY_LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    LARGEST_VENUE_SHARE_FIELD_NUMBER: _ClassVar[int]
    VENUE_CONCENTRATION_FIELD_NUMBER: _ClassVar[int]
    EDGE_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    EDGE_DISTANCE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    PEAK_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    PEAK_DISTANCE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    ISOLATED_FIELD_NUMBER: _ClassVar[int]
    SCORE_USD_FIELD_NUMBER: _ClassVar[int]
    BAND_LOW_FIELD_NUMBER: _ClassVar[int]
    BAND_HIGH_FIELD_NUMBER: _ClassVar[int]
    STATED_LOTS_FIELD_NUMBER: _ClassVar[int]
    STATED_SHARE_FIELD_NUMBER: _ClassVar[int]
    STATED_ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    OLDEST_STATED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    side: PositionSide
    rank: int
    first_row: int
    last_row: int
    peak_row: int
    price_low: float
    price_high: float
    peak_price: float
    lots: int
    usd: float
    open_interest_share: float
    mean_leverage: float
    mean_margin_percent: float
    by_venue: _containers.RepeatedCompositeFieldContainer[ClusterPart]
    by_leverage: _containers.RepeatedCompositeFieldContainer[ClusterPart]
    largest_venue_share: float
    venue_concentration: float
    edge_distance: float
    edge_distance_percent: float
    peak_distance: float
    peak_distance_percent: float
    below: ClusterNeighbour
    above: ClusterNeighbour
    isolated: bool
    score_usd: float
    band_low: float
    band_high: float
    stated_lots: int
    stated_share: float
    stated_accounts: int
    oldest_stated_unix_ns: int
    grade: ReliabilityGrade
    reasons: _containers.RepeatedCompositeFieldContainer[ReliabilityReason]
    def __init__(self, side: _Optional[_Union[PositionSide, str]] = ..., rank: _Optional[int] = ..., first_row: _Optional[int] = ..., last_row: _Optional[int] = ..., peak_row: _Optional[int] = ..., price_low: _Optional[float] = ..., price_high: _Optional[float] = ..., peak_price: _Optional[float] = ..., lots: _Optional[int] = ..., usd: _Optional[float] = ..., open_interest_share: _Optional[float] = ..., mean_leverage: _Optional[float] = ..., mean_margin_percent: _Optional[float] = ..., by_venue: _Optional[_Iterable[_Union[ClusterPart, _Mapping]]] = ..., by_leverage: _Optional[_Iterable[_Union[ClusterPart, _Mapping]]] = ..., largest_venue_share: _Optional[float] = ..., venue_concentration: _Optional[float] = ..., edge_distance: _Optional[float] = ..., edge_distance_percent: _Optional[float] = ..., peak_distance: _Optional[float] = ..., peak_distance_percent: _Optional[float] = ..., below: _Optional[_Union[ClusterNeighbour, _Mapping]] = ..., above: _Optional[_Union[ClusterNeighbour, _Mapping]] = ..., isolated: bool = ..., score_usd: _Optional[float] = ..., band_low: _Optional[float] = ..., band_high: _Optional[float] = ..., stated_lots: _Optional[int] = ..., stated_share: _Optional[float] = ..., stated_accounts: _Optional[int] = ..., oldest_stated_unix_ns: _Optional[int] = ..., grade: _Optional[_Union[ReliabilityGrade, str]] = ..., reasons: _Optional[_Iterable[_Union[ReliabilityReason, _Mapping]]] = ...) -> None: ...

class ClusterPart(_message.Message):
    __slots__ = ("venue", "leverage", "lots", "share")
    VENUE_FIELD_NUMBER: _ClassVar[int]
    LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    venue: str
    leverage: int
    lots: int
    share: float
    def __init__(self, venue: _Optional[str] = ..., leverage: _Optional[int] = ..., lots: _Optional[int] = ..., share: _Optional[float] = ...) -> None: ...

class ClusterNeighbour(_message.Message):
    __slots__ = ("peak_price", "distance_percent", "usd", "gap_percent")
    PEAK_PRICE_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    USD_FIELD_NUMBER: _ClassVar[int]
    GAP_PERCENT_FIELD_NUMBER: _ClassVar[int]
    peak_price: float
    distance_percent: float
    usd: float
    gap_percent: float
    def __init__(self, peak_price: _Optional[float] = ..., distance_percent: _Optional[float] = ..., usd: _Optional[float] = ..., gap_percent: _Optional[float] = ...) -> None: ...

class ReliabilityReason(_message.Message):
    __slots__ = ("code", "text", "severe")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SEVERE_FIELD_NUMBER: _ClassVar[int]
    code: str
    text: str
    severe: bool
    def __init__(self, code: _Optional[str] = ..., text: _Optional[str] = ..., severe: bool = ...) -> None: ...

class ClusterSide(_message.Message):
    __slots__ = ("side", "open_interest_lots", "live_lots", "at_price_lots", "outside_lots", "clustered_lots", "found", "small", "largest_small_usd", "far", "unlisted", "near_lots", "near_usd")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_LOTS_FIELD_NUMBER: _ClassVar[int]
    LIVE_LOTS_FIELD_NUMBER: _ClassVar[int]
    AT_PRICE_LOTS_FIELD_NUMBER: _ClassVar[int]
    OUTSIDE_LOTS_FIELD_NUMBER: _ClassVar[int]
    CLUSTERED_LOTS_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    SMALL_FIELD_NUMBER: _ClassVar[int]
    LARGEST_SMALL_USD_FIELD_NUMBER: _ClassVar[int]
    FAR_FIELD_NUMBER: _ClassVar[int]
    UNLISTED_FIELD_NUMBER: _ClassVar[int]
    NEAR_LOTS_FIELD_NUMBER: _ClassVar[int]
    NEAR_USD_FIELD_NUMBER: _ClassVar[int]
    side: PositionSide
    open_interest_lots: int
    live_lots: int
    at_price_lots: int
    outside_lots: int
    clustered_lots: int
    found: int
    small: int
    largest_small_usd: float
    far: int
    unlisted: int
    near_lots: int
    near_usd: float
    def __init__(self, side: _Optional[_Union[PositionSide, str]] = ..., open_interest_lots: _Optional[int] = ..., live_lots: _Optional[int] = ..., at_price_lots: _Optional[int] = ..., outside_lots: _Optional[int] = ..., clustered_lots: _Optional[int] = ..., found: _Optional[int] = ..., small: _Optional[int] = ..., largest_small_usd: _Optional[float] = ..., far: _Optional[int] = ..., unlisted: _Optional[int] = ..., near_lots: _Optional[int] = ..., near_usd: _Optional[float] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("server_version", "state", "message", "progress", "seconds_left", "epoch", "tick", "backend", "input", "states", "server_unix_ns", "symbols", "streams", "ticks_conflated", "counters", "latency_bounds_seconds", "freshness", "feeds", "context", "daily_report")
    class CountersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    SERVER_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    TICKS_CONFLATED_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_BOUNDS_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    FEEDS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    DAILY_REPORT_FIELD_NUMBER: _ClassVar[int]
    server_version: str
    state: EngineState
    message: str
    progress: float
    seconds_left: float
    epoch: int
    tick: int
    backend: str
    input: str
    states: _containers.RepeatedScalarFieldContainer[_stream_pb2.DataState]
    server_unix_ns: int
    symbols: _containers.RepeatedCompositeFieldContainer[SymbolStatus]
    streams: int
    ticks_conflated: int
    counters: _containers.ScalarMap[str, int]
    latency_bounds_seconds: _containers.RepeatedScalarFieldContainer[float]
    freshness: _containers.RepeatedCompositeFieldContainer[StageLatency]
    feeds: _containers.RepeatedCompositeFieldContainer[VenueFeed]
    context: _containers.RepeatedCompositeFieldContainer[MarketContext]
    daily_report: DailyReportFiles
    def __init__(self, server_version: _Optional[str] = ..., state: _Optional[_Union[EngineState, str]] = ..., message: _Optional[str] = ..., progress: _Optional[float] = ..., seconds_left: _Optional[float] = ..., epoch: _Optional[int] = ..., tick: _Optional[int] = ..., backend: _Optional[str] = ..., input: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_stream_pb2.DataState, str]]] = ..., server_unix_ns: _Optional[int] = ..., symbols: _Optional[_Iterable[_Union[SymbolStatus, _Mapping]]] = ..., streams: _Optional[int] = ..., ticks_conflated: _Optional[int] = ..., counters: _Optional[_Mapping[str, int]] = ..., latency_bounds_seconds: _Optional[_Iterable[float]] = ..., freshness: _Optional[_Iterable[_Union[StageLatency, _Mapping]]] = ..., feeds: _Optional[_Iterable[_Union[VenueFeed, _Mapping]]] = ..., context: _Optional[_Iterable[_Union[MarketContext, _Mapping]]] = ..., daily_report: _Optional[_Union[DailyReportFiles, _Mapping]] = ...) -> None: ...

class VenueFeed(_message.Message):
    __slots__ = ("venue", "message", "channels", "connections", "reconnects", "lag_ns", "open_interest_share", "rejected", "ignored", "quarantined", "accounts", "margin_tables")
    class RejectedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class IgnoredEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VENUE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    RECONNECTS_FIELD_NUMBER: _ClassVar[int]
    LAG_NS_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_SHARE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    IGNORED_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    MARGIN_TABLES_FIELD_NUMBER: _ClassVar[int]
    venue: str
    message: str
    channels: _containers.RepeatedCompositeFieldContainer[ChannelFeed]
    connections: int
    reconnects: int
    lag_ns: int
    open_interest_share: float
    rejected: _containers.ScalarMap[str, int]
    ignored: _containers.ScalarMap[str, int]
    quarantined: _containers.RepeatedScalarFieldContainer[str]
    accounts: FollowedAccounts
    margin_tables: _containers.RepeatedCompositeFieldContainer[MarginTable]
    def __init__(self, venue: _Optional[str] = ..., message: _Optional[str] = ..., channels: _Optional[_Iterable[_Union[ChannelFeed, _Mapping]]] = ..., connections: _Optional[int] = ..., reconnects: _Optional[int] = ..., lag_ns: _Optional[int] = ..., open_interest_share: _Optional[float] = ..., rejected: _Optional[_Mapping[str, int]] = ..., ignored: _Optional[_Mapping[str, int]] = ..., quarantined: _Optional[_Iterable[str]] = ..., accounts: _Optional[_Union[FollowedAccounts, _Mapping]] = ..., margin_tables: _Optional[_Iterable[_Union[MarginTable, _Mapping]]] = ...) -> None: ...

class MarginTable(_message.Message):
    __slots__ = ("instrument", "origin", "rules_date", "rules_source", "read_unix_ns", "failures", "failure", "failed_unix_ns", "note")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    RULES_DATE_FIELD_NUMBER: _ClassVar[int]
    RULES_SOURCE_FIELD_NUMBER: _ClassVar[int]
    READ_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    FAILED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    origin: str
    rules_date: str
    rules_source: str
    read_unix_ns: int
    failures: int
    failure: str
    failed_unix_ns: int
    note: str
    def __init__(self, instrument: _Optional[str] = ..., origin: _Optional[str] = ..., rules_date: _Optional[str] = ..., rules_source: _Optional[str] = ..., read_unix_ns: _Optional[int] = ..., failures: _Optional[int] = ..., failure: _Optional[str] = ..., failed_unix_ns: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class FollowedAccounts(_message.Message):
    __slots__ = ("named", "found", "fresh", "stale", "refused", "waiting", "statements", "positions", "oldest_unix_ns", "rejected")
    class RejectedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAMED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    named: int
    found: int
    fresh: int
    stale: int
    refused: int
    waiting: int
    statements: int
    positions: int
    oldest_unix_ns: int
    rejected: _containers.ScalarMap[str, int]
    def __init__(self, named: _Optional[int] = ..., found: _Optional[int] = ..., fresh: _Optional[int] = ..., stale: _Optional[int] = ..., refused: _Optional[int] = ..., waiting: _Optional[int] = ..., statements: _Optional[int] = ..., positions: _Optional[int] = ..., oldest_unix_ns: _Optional[int] = ..., rejected: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ChannelFeed(_message.Message):
    __slots__ = ("channel", "state", "heard_unix_ns", "events")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HEARD_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    channel: str
    state: str
    heard_unix_ns: int
    events: int
    def __init__(self, channel: _Optional[str] = ..., state: _Optional[str] = ..., heard_unix_ns: _Optional[int] = ..., events: _Optional[int] = ...) -> None: ...

class StageLatency(_message.Message):
    __slots__ = ("stage", "counts", "sum_seconds")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SUM_SECONDS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    counts: _containers.RepeatedScalarFieldContainer[int]
    sum_seconds: float
    def __init__(self, stage: _Optional[str] = ..., counts: _Optional[_Iterable[int]] = ..., sum_seconds: _Optional[float] = ...) -> None: ...

class SymbolStatus(_message.Message):
    __slots__ = ("symbol", "mark_price", "price_decimals", "source_watermark_unix_ns", "live_cohorts", "ledger_events", "coverage", "tick_compute_ms")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    MARK_PRICE_FIELD_NUMBER: _ClassVar[int]
    PRICE_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WATERMARK_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    LIVE_COHORTS_FIELD_NUMBER: _ClassVar[int]
    LEDGER_EVENTS_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    TICK_COMPUTE_MS_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    mark_price: int
    price_decimals: int
    source_watermark_unix_ns: int
    live_cohorts: int
    ledger_events: int
    coverage: _containers.RepeatedCompositeFieldContainer[_stream_pb2.VenueChunk]
    tick_compute_ms: float
    def __init__(self, symbol: _Optional[str] = ..., mark_price: _Optional[int] = ..., price_decimals: _Optional[int] = ..., source_watermark_unix_ns: _Optional[int] = ..., live_cohorts: _Optional[int] = ..., ledger_events: _Optional[int] = ..., coverage: _Optional[_Iterable[_Union[_stream_pb2.VenueChunk, _Mapping]]] = ..., tick_compute_ms: _Optional[float] = ...) -> None: ...

class ListInstrumentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListInstrumentsResponse(_message.Message):
    __slots__ = ("instruments", "timeframes")
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAMES_FIELD_NUMBER: _ClassVar[int]
    instruments: _containers.RepeatedCompositeFieldContainer[InstrumentDescription]
    timeframes: _containers.RepeatedCompositeFieldContainer[TimeframeDescription]
    def __init__(self, instruments: _Optional[_Iterable[_Union[InstrumentDescription, _Mapping]]] = ..., timeframes: _Optional[_Iterable[_Union[TimeframeDescription, _Mapping]]] = ...) -> None: ...

class TimeframeDescription(_message.Message):
    __slots__ = ("timeframe", "column_minutes", "columns", "span_permille")
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    COLUMN_MINUTES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SPAN_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    timeframe: str
    column_minutes: int
    columns: int
    span_permille: int
    def __init__(self, timeframe: _Optional[str] = ..., column_minutes: _Optional[int] = ..., columns: _Optional[int] = ..., span_permille: _Optional[int] = ...) -> None: ...

class InstrumentDescription(_message.Message):
    __slots__ = ("instrument", "venue", "symbol", "contract", "trigger", "price_decimals", "base_step", "lot_decimals", "maintenance_margin_rate_ppm", "rules_date", "tiers")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    PRICE_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    BASE_STEP_FIELD_NUMBER: _ClassVar[int]
    LOT_DECIMALS_FIELD_NUMBER: _ClassVar[int]
    MAINTENANCE_MARGIN_RATE_PPM_FIELD_NUMBER: _ClassVar[int]
    RULES_DATE_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    venue: str
    symbol: str
    contract: str
    trigger: str
    price_decimals: int
    base_step: int
    lot_decimals: int
    maintenance_margin_rate_ppm: int
    rules_date: str
    tiers: _containers.RepeatedCompositeFieldContainer[TierDescription]
    def __init__(self, instrument: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., contract: _Optional[str] = ..., trigger: _Optional[str] = ..., price_decimals: _Optional[int] = ..., base_step: _Optional[int] = ..., lot_decimals: _Optional[int] = ..., maintenance_margin_rate_ppm: _Optional[int] = ..., rules_date: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[TierDescription, _Mapping]]] = ...) -> None: ...

class TierDescription(_message.Message):
    __slots__ = ("leverage", "inflow_share_ppm", "long_liquidation_ratio", "short_liquidation_ratio", "long_bankruptcy_ratio", "short_bankruptcy_ratio")
    LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    INFLOW_SHARE_PPM_FIELD_NUMBER: _ClassVar[int]
    LONG_LIQUIDATION_RATIO_FIELD_NUMBER: _ClassVar[int]
    SHORT_LIQUIDATION_RATIO_FIELD_NUMBER: _ClassVar[int]
    LONG_BANKRUPTCY_RATIO_FIELD_NUMBER: _ClassVar[int]
    SHORT_BANKRUPTCY_RATIO_FIELD_NUMBER: _ClassVar[int]
    leverage: int
    inflow_share_ppm: int
    long_liquidation_ratio: float
    short_liquidation_ratio: float
    long_bankruptcy_ratio: float
    short_bankruptcy_ratio: float
    def __init__(self, leverage: _Optional[int] = ..., inflow_share_ppm: _Optional[int] = ..., long_liquidation_ratio: _Optional[float] = ..., short_liquidation_ratio: _Optional[float] = ..., long_bankruptcy_ratio: _Optional[float] = ..., short_bankruptcy_ratio: _Optional[float] = ...) -> None: ...

class MarketContext(_message.Message):
    __slots__ = ("venue", "symbol", "label", "trade_date", "is_final", "as_of_unix_ns", "age_seconds", "open_interest_base", "open_interest_change_base", "previous_trade_date", "settle_quote", "months", "meaning", "open_interest_share", "covered_share", "warning")
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TRADE_DATE_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    AS_OF_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_BASE_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_CHANGE_BASE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_TRADE_DATE_FIELD_NUMBER: _ClassVar[int]
    SETTLE_QUOTE_FIELD_NUMBER: _ClassVar[int]
    MONTHS_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_SHARE_FIELD_NUMBER: _ClassVar[int]
    COVERED_SHARE_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    venue: str
    symbol: str
    label: str
    trade_date: str
    is_final: bool
    as_of_unix_ns: int
    age_seconds: float
    open_interest_base: float
    open_interest_change_base: float
    previous_trade_date: str
    settle_quote: float
    months: _containers.RepeatedCompositeFieldContainer[ContractMonth]
    meaning: str
    open_interest_share: float
    covered_share: float
    warning: str
    def __init__(self, venue: _Optional[str] = ..., symbol: _Optional[str] = ..., label: _Optional[str] = ..., trade_date: _Optional[str] = ..., is_final: bool = ..., as_of_unix_ns: _Optional[int] = ..., age_seconds: _Optional[float] = ..., open_interest_base: _Optional[float] = ..., open_interest_change_base: _Optional[float] = ..., previous_trade_date: _Optional[str] = ..., settle_quote: _Optional[float] = ..., months: _Optional[_Iterable[_Union[ContractMonth, _Mapping]]] = ..., meaning: _Optional[str] = ..., open_interest_share: _Optional[float] = ..., covered_share: _Optional[float] = ..., warning: _Optional[str] = ...) -> None: ...

class ContractMonth(_message.Message):
    __slots__ = ("product", "contract_month", "contract_size_base", "open_interest_contracts", "open_interest_change_contracts", "volume_contracts", "settle_quote", "is_final")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_MONTH_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_SIZE_BASE_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_CONTRACTS_FIELD_NUMBER: _ClassVar[int]
    OPEN_INTEREST_CHANGE_CONTRACTS_FIELD_NUMBER: _ClassVar[int]
    VOLUME_CONTRACTS_FIELD_NUMBER: _ClassVar[int]
    SETTLE_QUOTE_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    product: str
    contract_month: str
    contract_size_base: float
    open_interest_contracts: int
    open_interest_change_contracts: int
    volume_contracts: int
    settle_quote: float
    is_final: bool
    def __init__(self, product: _Optional[str] = ..., contract_month: _Optional[str] = ..., contract_size_base: _Optional[float] = ..., open_interest_contracts: _Optional[int] = ..., open_interest_change_contracts: _Optional[int] = ..., volume_contracts: _Optional[int] = ..., settle_quote: _Optional[float] = ..., is_final: bool = ...) -> None: ...

class AssumedPositions(_message.Message):
    __slots__ = ("venue", "meaning", "series")
    VENUE_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    venue: str
    meaning: str
    series: _containers.RepeatedCompositeFieldContainer[AssumedSeries]
    def __init__(self, venue: _Optional[str] = ..., meaning: _Optional[str] = ..., series: _Optional[_Iterable[_Union[AssumedSeries, _Mapping]]] = ...) -> None: ...

class AssumedSeries(_message.Message):
    __slots__ = ("label", "leverage", "side", "rows", "lots", "inside_lots", "below_lots", "above_lots", "reached_lots", "without_price_lots")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    INSIDE_LOTS_FIELD_NUMBER: _ClassVar[int]
    BELOW_LOTS_FIELD_NUMBER: _ClassVar[int]
    ABOVE_LOTS_FIELD_NUMBER: _ClassVar[int]
    REACHED_LOTS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_PRICE_LOTS_FIELD_NUMBER: _ClassVar[int]
    label: str
    leverage: int
    side: PositionSide
    rows: _containers.RepeatedScalarFieldContainer[int]
    lots: _containers.RepeatedScalarFieldContainer[int]
    inside_lots: int
    below_lots: int
    above_lots: int
    reached_lots: int
    without_price_lots: int
    def __init__(self, label: _Optional[str] = ..., leverage: _Optional[int] = ..., side: _Optional[_Union[PositionSide, str]] = ..., rows: _Optional[_Iterable[int]] = ..., lots: _Optional[_Iterable[int]] = ..., inside_lots: _Optional[int] = ..., below_lots: _Optional[int] = ..., above_lots: _Optional[int] = ..., reached_lots: _Optional[int] = ..., without_price_lots: _Optional[int] = ...) -> None: ...

class DailyReportFiles(_message.Message):
    __slots__ = ("files", "rows", "ignored", "read_unix_ns", "failures", "message")
    FILES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    IGNORED_FIELD_NUMBER: _ClassVar[int]
    READ_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    files: int
    rows: int
    ignored: int
    read_unix_ns: int
    failures: int
    message: str
    def __init__(self, files: _Optional[int] = ..., rows: _Optional[int] = ..., ignored: _Optional[int] = ..., read_unix_ns: _Optional[int] = ..., failures: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...
