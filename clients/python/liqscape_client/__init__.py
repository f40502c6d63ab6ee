"""Client of a liqscape server: live heatmaps that are in sync or say that they are not, and exact grids."""

from liqscape_client.axes import GridAxes
from liqscape_client.candles import Candles
from liqscape_client.channel_parts import ChannelPart
from liqscape_client.channel_selectors import channel_selectors
from liqscape_client.client import Client
from liqscape_client.clusters import Cluster, ClusterList, ClusterNeighbour, ClusterSide, ReliabilityReason
from liqscape_client.comparison import Comparison
from liqscape_client.connection import Tls
from liqscape_client.context import AssumedSeries, ContractMonth, MarketContext
from liqscape_client.errors import (
    ChangeRefused,
    ClientError,
    DecodeError,
    InvalidRequest,
    MissingPackage,
    NotAllowed,
    NotFound,
    NotInSync,
    NotReady,
    NotServed,
    ServerError,
    Unreachable,
)
from liqscape_client.exact_positions import ExactPositions, ExactRow, ExactTotal
from liqscape_client.grids import Grid, Heatmap
from liqscape_client.liquidation_maps import LiquidationMap, MapSeries
from liqscape_client.market_state import SymbolState
from liqscape_client.playback import Moment, Playback
from liqscape_client.replica import Outcome, Replica
from liqscape_client.replica_set import ReplicaSet
from liqscape_client.stream import LiveStream
from liqscape_client.stream_state import Phase, StreamState, StreamUpdate
from liqscape_client.sync import SyncClient, SyncPlayback, SyncStream
from liqscape_client.tile_stack import stack_tiles

__all__ = [
    "AssumedSeries",
    "Candles",
    "ChangeRefused",
    "ChannelPart",
    "Client",
    "ClientError",
    "Cluster",
    "ClusterList",
    "ClusterNeighbour",
    "ClusterSide",
    "Comparison",
    "ContractMonth",
    "DecodeError",
    "ExactPositions",
    "ExactRow",
    "ExactTotal",
    "Grid",
    "GridAxes",
    "Heatmap",
    "InvalidRequest",
    "LiquidationMap",
    "LiveStream",
    "MapSeries",
    "MarketContext",
    "MissingPackage",
    "Moment",
    "NotAllowed",
    "NotFound",
    "NotInSync",
    "NotReady",
    "NotServed",
    "Outcome",
    "Phase",
    "Playback",
    "ReliabilityReason",
    "Replica",
    "ReplicaSet",
    "ServerError",
    "StreamState",
    "StreamUpdate",
    "SymbolState",
    "SyncClient",
    "SyncPlayback",
    "SyncStream",
    "Tls",
    "Unreachable",
    "channel_selectors",
    "stack_tiles",
]
