"""The asynchronous client: live streams, and exact answers one call each."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Any, Final, Unpack, cast

import grpc
import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.axes import GridAxes, check_newest_column
from liqscape_client.candles import CandleChange, CandleRing
from liqscape_client.channel_selectors import ChannelOptions, wanted_selectors
from liqscape_client.channel_selectors import channel_selectors as channel_selectors
from liqscape_client.cluster_options import ClusterOptions, clusters_request
from liqscape_client.clusters import ClusterList
from liqscape_client.comparison import Comparison
from liqscape_client.connection import DEFAULT_ADDRESS, Tls, to_credentials, token_metadata
from liqscape_client.errors import DecodeError
from liqscape_client.grid_options import GridOptions, MapOptions, PositionOptions, grid_request, map_request, model_name
from liqscape_client.grids import Grid
from liqscape_client.liquidation_maps import LiquidationMap, assemble_map
from liqscape_client.market_state import state_names
from liqscape_client.playback import Playback
from liqscape_client.retry import to_client_error
from liqscape_client.stream import LiveStream

DEFAULT_TIMEOUT_S: Final = 10.0
_CELL_BYTES: Final = 8

CHANNEL_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    # Measured: with bandwidth probing and the default window a slow reader sees data 11 s old, with these under 1 s.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 16_384),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A connection of one's own: a dead or backed-off one shared through the global pool would outlive the attempt.
    ("grpc.use_local_subchannel_pool", 1),
)


class Client:
    """A server, asked asynchronously. Use as `async with Client("127.0.0.1:50051") as client`.

    Args:
        address: host:port, or unix:/path.
        token: who asks, where the server wants to know; refused over clear text beyond this machine.
        tls: True = encrypt and trust what the system trusts; Tls(...) = with files of one's own; None = clear text.
        credentials: in place of tls, for what it has no words for.
        metadata: sent with each call.
        timeout_s: longest wait for an answer to a question; streams have none.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        token: str | None = None,
        tls: Tls | bool | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.address = address
        self._credentials = credentials or to_credentials(tls)
        encrypted = self._credentials is not None
        self.metadata = (*metadata, *token_metadata(token, address, encrypted=encrypted))
        self._timeout_s = timeout_s
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection used for questions; streams have their own."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def open_channel(self) -> grpc.aio.Channel:
        """Return a new connection with the options a stream needs."""
        if self._credentials is None:
            return grpc.aio.insecure_channel(self.address, options=CHANNEL_OPTIONS)
        return grpc.aio.secure_channel(self.address, self._credentials, options=CHANNEL_OPTIONS)

    def stream(
        self,
        symbols: str | Iterable[str] = (),
        timeframes: str | Iterable[str] = (),
        *,
        cadence_ms: int = 0,
        credits: int | None = None,
        selectors: Iterable[stream_pb2.ChannelSelector] = (),
        **options: Unpack[ChannelOptions],
    ) -> LiveStream:
        """Return a stream of the channels named, not started yet: enter it with `async with`.

        Args:
            symbols: base coins; none = every channel the server has.
            timeframes: of each symbol; none = all nine.
            cadence_ms: smallest interval between messages, rounded up to 100, 250, 500, 1000 or 5000; 0 = every
                tick.
            credits: open a session: the server sends so many messages of data ahead of what has been applied, 1 to 8
                (2 is good), broken channels are mended on it and LiveStream.change works. None = a plain subscription.
            selectors: more channels, as channel_selectors() returns them, where not all want the same options.
            options: tiles of these channels in place of all rows, or a choice of positions; see ChannelOptions.
        """
        wanted = wanted_selectors(symbols, timeframes, selectors, options)
        return LiveStream(self.open_channel, wanted, cadence_ms=cadence_ms, credits=credits, metadata=self.metadata)

    def playback(
        self,
        symbols: str | Iterable[str] = (),
        timeframes: str | Iterable[str] = (),
        *,
        from_minute: int,
        until_minute: int,
        step_minutes: int = 0,
        speed: float = 0.0,
        paused: bool = False,
        credits: int = 2,
        selectors: Iterable[stream_pb2.ChannelSelector] = (),
        **options: Unpack[ChannelOptions],
    ) -> Playback:
        """Return a past span of up to four channels, not begun yet: enter it with `async with`, then iterate.

        Args:
            symbols, timeframes: which channels; name both.
            from_minute: the first picture is as of the end of this minute since 1970 UTC.
            until_minute: every picture is of a minute before it.
            step_minutes: from one picture to the next; 0 = the narrowest column of the channels.
            speed: seconds of the span a second; 0 = as fast as pictures are made and taken.
            paused: stay at the first picture until told to play.
            credits: messages of data sent ahead of what has been taken, 1 to 8.
            selectors: more channels, as channel_selectors() returns them.
            options: a choice of positions; see ChannelOptions. Rows and prices cannot be chosen.
        """
        request = stream_pb2.PlaybackOpen(
            channels=wanted_selectors(symbols, timeframes, selectors, options),
            from_minute=from_minute,
            until_minute=until_minute,
            step_minutes=step_minutes,
            speed=speed,
            max_in_flight=credits,
            paused=paused,
        )
        return Playback(self.open_channel, request, self.metadata, time.monotonic)

    async def grid(self, symbol: str, timeframe: str = "", **options: Unpack[GridOptions]) -> Grid:
        """Return an exact grid: with symbol and timeframe alone the one that is streamed, at the server's newest tick.

        Args:
            symbol: base coin.
            timeframe: one of the nine; empty with column_minutes and columns.
            options: filters, a moment, a window of one's own; see GridOptions.

        Raises:
            NotFound, InvalidRequest, NotReady, Unreachable: as the server says. DecodeError: the answer is malformed.
        """
        call = self._questions().unary_stream(
            "/liqscape.v1.QueryService/GetGrid",
            request_serializer=query_pb2.GetGridRequest.SerializeToString,
            response_deserializer=query_pb2.GetGridResponse.FromString,
        )
        request = grid_request(symbol, timeframe, options)
        try:
            return await assemble_grid(call(request, timeout=self._timeout_s, metadata=self.metadata))
        except grpc.aio.AioRpcError as error:
            raise to_client_error(error) from error

    async def compare(
        self,
        symbol: str,
        timeframe: str = "",
        *,
        earlier_minute: int,
        later_minute: int | None = None,
        **options: Unpack[PositionOptions],
    ) -> Comparison:
        """Return what is open at two moments by price, on the rows of the later one.

        Args:
            symbol: base coin.
            timeframe: one of the nine: how far back positions count, at each moment.
            earlier_minute: since 1970 UTC; held in memory, or archived.
            later_minute: the same; None: now.
            options: filters and rows; see PositionOptions.

        Raises:
            ClientError: rows of then cannot be those of the later moment. Others: as grid.
        """
        moment = {} if later_minute is None else {"as_of_minute": later_minute}
        later = await self.grid(symbol, timeframe, **cast(GridOptions, {**options, **moment}))
        middles = later.axes.price_middle()  # not edges: no rounding leads out of the row
        rows = {"price_low": float(middles[0]), "price_high": float(middles[-1]), "as_of_minute": earlier_minute}
        return Comparison(await self.grid(symbol, timeframe, **cast(GridOptions, {**options, **rows})), later)

    async def liquidation_map(self, symbol: str, **options: Unpack[MapOptions]) -> LiquidationMap:
        """Return the live book by price, captured after the server's newest tick: every open position, however old.

        Args:
            symbol: base coin.
            options: filters, rows, breakdown, model; see MapOptions.

        Raises:
            NotFound, InvalidRequest, NotReady, Unreachable: as the server says. DecodeError: the answer is malformed.
        """
        call = self._questions().unary_stream(
            "/liqscape.v1.QueryService/GetLiquidationMap",
            request_serializer=query_pb2.GetLiquidationMapRequest.SerializeToString,
            response_deserializer=query_pb2.GetLiquidationMapResponse.FromString,
        )
        request = map_request(symbol, options)
        try:
            return await assemble_map(call(request, timeout=self._timeout_s, metadata=self.metadata))
        except grpc.aio.AioRpcError as error:
            raise to_client_error(error) from error

    async def clusters(self, symbol: str, **options: Unpack[ClusterOptions]) -> ClusterList:
        """Return where liquidation prices of the live book lie close together: the first three of each side by default.

        Args:
            symbol: base coin.
            options: filters, order, and every threshold; see ClusterOptions.

        Raises:
            NotFound, InvalidRequest, NotReady, Unreachable: as the server says. DecodeError: the answer is malformed.
        """
        answer = await self._ask("ListClusters", clusters_request(symbol, options), query_pb2.ListClustersResponse)
        return ClusterList.from_message(answer)

    async def status(self) -> query_pb2.GetStatusResponse:
        """Return what the server is doing, as it came."""
        answer: query_pb2.GetStatusResponse = await self._ask(
            "GetStatus", query_pb2.GetStatusRequest(), query_pb2.GetStatusResponse
        )
        return answer

    async def instruments(self) -> query_pb2.ListInstrumentsResponse:
        """Return the instruments and timeframes of the model, as they came."""
        answer: query_pb2.ListInstrumentsResponse = await self._ask(
            "ListInstruments", query_pb2.ListInstrumentsRequest(), query_pb2.ListInstrumentsResponse
        )
        return answer

    async def _ask(self, method: str, request: Any, response_type: Any) -> Any:
        call = self._questions().unary_unary(
            f"/liqscape.v1.QueryService/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response_type.FromString,
        )
        try:
            return await call(request, timeout=self._timeout_s, metadata=self.metadata)
        except grpc.aio.AioRpcError as error:
            raise to_client_error(error) from error

    def _questions(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = self.open_channel()
        return self._channel


async def assemble_grid(parts: AsyncIterable[query_pb2.GetGridResponse]) -> Grid:
    """Put the parts of a GetGrid answer together.

    Raises:
        DecodeError: a part is missing, out of order, of the wrong size, or there are too many.
    """
    header: query_pb2.GridHeader | None = None
    cells: NDArray[np.int64] | None = None
    axes: GridAxes | None = None
    filled = 0
    async for part in parts:
        if part.WhichOneof("part") == "header":
            if header is not None:
                raise DecodeError("grid has two headers")
            header, axes = part.header, GridAxes.from_message(part.header.axes)
            if header.cells_bytes != axes.columns * axes.rows * _CELL_BYTES:
                raise DecodeError(f"grid of {axes.columns} x {axes.rows} cells names {header.cells_bytes} bytes")
            cells = np.empty((axes.columns, axes.rows), dtype=np.int64)
        elif cells is None:
            raise DecodeError("grid fragment comes before its header")
        else:
            filled = _take_fragment(cells, filled, part.fragment)
    if header is None or axes is None or cells is None or filled != axes.columns:
        raise DecodeError(f"grid ends after {filled} of {axes.columns if axes else 'unknown many'} columns")
    return _to_grid(header, axes, cells)


def _take_fragment(cells: NDArray[np.int64], filled: int, fragment: query_pb2.GridFragment) -> int:
    """Copy a fragment into place and return how many columns are filled then."""
    columns, rows = cells.shape
    end = fragment.column_index + fragment.columns
    if fragment.column_index != filled or end > columns or not fragment.columns:
        span = f"[{fragment.column_index}, {end})"
        raise DecodeError(f"grid fragment {span} does not follow {filled} of {columns} columns")
    if len(fragment.cells) != fragment.columns * rows * _CELL_BYTES:
        raise DecodeError(f"grid fragment of {fragment.columns} x {rows} cells holds {len(fragment.cells)} bytes")
    cells[filled:end] = np.frombuffer(fragment.cells, dtype="<i8").reshape(fragment.columns, rows)
    return end


def _to_grid(header: query_pb2.GridHeader, axes: GridAxes, cells: NDArray[np.int64]) -> Grid:
    if len(header.usd_per_weighted_lot) != axes.rows:
        raise DecodeError(f"grid of {axes.rows} rows names {len(header.usd_per_weighted_lot)} factors")
    newest_column = check_newest_column(header.newest_column)
    candles = CandleRing(axes.columns)
    candles.apply(CandleChange.from_message(header.candles, newest_column))
    return Grid(
        symbol=header.symbol,
        timeframe=header.timeframe,
        epoch=header.epoch,
        tick=header.tick,
        generation=header.generation,
        axes=axes,
        newest_column=newest_column,
        cells=cells,
        usd_per_weighted_lot=np.array(header.usd_per_weighted_lot, dtype=np.float64),
        lot_decimals=header.lot_decimals,
        weight_one=header.weight_one,
        candles=candles.window(newest_column, axes.price_unit),
        mark_price=header.mark_price / axes.price_unit,
        source_watermark_unix_ns=header.source_watermark_unix_ns,
        states=state_names(header.states),
        coverage=tuple(header.coverage),
        meaning=header.meaning,
        as_of_minute=header.as_of_minute,
        reconciled=header.reconciled,
        model=model_name(header.model),
    )
