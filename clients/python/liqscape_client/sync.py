"""The plain client: the same calls, blocking, for scripts and notebooks. One thread runs the event loop for it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import TypeVar, Unpack

import grpc

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.channel_parts import ChannelPart
from liqscape_client.channel_selectors import ChannelOptions
from liqscape_client.client import DEFAULT_TIMEOUT_S, Client
from liqscape_client.cluster_options import ClusterOptions
from liqscape_client.clusters import ClusterList
from liqscape_client.comparison import Comparison
from liqscape_client.connection import DEFAULT_ADDRESS, Tls
from liqscape_client.errors import ClientError
from liqscape_client.grid_options import GridOptions, MapOptions, PositionOptions
from liqscape_client.grids import Grid, Heatmap
from liqscape_client.liquidation_maps import LiquidationMap
from liqscape_client.market_state import SymbolState
from liqscape_client.playback import Moment, Playback
from liqscape_client.replica_set import ChannelKey
from liqscape_client.stream import LiveStream, StreamState, StreamUpdate

_T = TypeVar("_T")


class _LoopThread:
    """An event loop in a daemon thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="liqscape client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, object, _T]) -> _T:
        """Run a coroutine in the loop and return its result; an interrupt of the caller cancels it."""
        if not self._thread.is_alive():
            work.close()
            raise ClientError("the client is closed; make a new one")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except (KeyboardInterrupt, concurrent.futures.CancelledError):
            future.cancel()
            raise

    def call(self, function: Callable[[], _T]) -> _T:
        """Call a plain function in the loop, where nothing changes under its hands."""

        async def work() -> _T:
            return function()

        return self.run(work())

    def stop(self) -> None:
        """End the thread, and first every task that is still at work in it."""
        if self._thread.is_alive():
            self.run(self._cancel_others())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _cancel_others(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()


class SyncClient:
    """A server, asked from plain code. Use as `with SyncClient("127.0.0.1:50051") as client`. See Client."""

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
        self._client = Client(
            address, token=token, tls=tls, credentials=credentials, metadata=metadata, timeout_s=timeout_s
        )
        self._thread = _LoopThread()

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and end the thread. May be called twice."""
        try:
            self._thread.run(self._client.close())
        except ClientError:
            return
        self._thread.stop()

    def grid(self, symbol: str, timeframe: str = "", **options: Unpack[GridOptions]) -> Grid:
        """Return the exact grid; see Client.grid."""
        return self._thread.run(self._client.grid(symbol, timeframe, **options))

    def compare(
        self,
        symbol: str,
        timeframe: str = "",
        *,
        earlier_minute: int,
        later_minute: int | None = None,
        **options: Unpack[PositionOptions],
    ) -> Comparison:
        """Return what is open at two moments by price; see Client.compare."""
        return self._thread.run(
            self._client.compare(symbol, timeframe, earlier_minute=earlier_minute, later_minute=later_minute, **options)
        )

    def liquidation_map(self, symbol: str, **options: Unpack[MapOptions]) -> LiquidationMap:
        """Return the live book by price. See Client.liquidation_map."""
        return self._thread.run(self._client.liquidation_map(symbol, **options))

    def clusters(self, symbol: str, **options: Unpack[ClusterOptions]) -> ClusterList:
        """Return where liquidation prices of the live book lie close together. See Client.clusters."""
        return self._thread.run(self._client.clusters(symbol, **options))

    def status(self) -> query_pb2.GetStatusResponse:
        """Return what the server is doing."""
        return self._thread.run(self._client.status())

    def instruments(self) -> query_pb2.ListInstrumentsResponse:
        """Return the instruments and timeframes of the model."""
        return self._thread.run(self._client.instruments())

    def stream(
        self,
        symbols: str | Iterable[str] = (),
        timeframes: str | Iterable[str] = (),
        *,
        cadence_ms: int = 0,
        credits: int | None = None,
        selectors: Iterable[stream_pb2.ChannelSelector] = (),
        **options: Unpack[ChannelOptions],
    ) -> SyncStream:
        """Return a stream of the channels named: enter it with `with`. See Client.stream."""
        stream = self._client.stream(
            symbols, timeframes, cadence_ms=cadence_ms, credits=credits, selectors=selectors, **options
        )
        return SyncStream(self._thread, stream)

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
    ) -> SyncPlayback:
        """Return a past span: enter it with `with`. See Client.playback."""
        playback = self._client.playback(
            symbols,
            timeframes,
            from_minute=from_minute,
            until_minute=until_minute,
            step_minutes=step_minutes,
            speed=speed,
            paused=paused,
            credits=credits,
            selectors=selectors,
            **options,
        )
        return SyncPlayback(self._thread, playback)


class SyncPlayback:
    """A past span, read picture by picture by `for moment in playback`. See Playback."""

    def __init__(self, thread: _LoopThread, playback: Playback) -> None:
        self._thread = thread
        self._playback = playback

    def __enter__(self) -> SyncPlayback:
        self._thread.run(self._playback.__aenter__())
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the playback."""
        self._thread.run(self._playback.close())

    def play(self) -> None:
        """Go on from where it stands."""
        self._thread.run(self._playback.play())

    def pause(self) -> None:
        """Stay; a picture that is already under way still comes."""
        self._thread.run(self._playback.pause())

    def seek(self, minute: int) -> None:
        """Go to a minute of the span, and play or stay as before."""
        self._thread.run(self._playback.seek(minute))

    def set_speed(self, speed: float) -> None:
        """Play at so many seconds of the span a second from now on."""
        self._thread.run(self._playback.set_speed(speed))

    def heatmap(self, symbol: str, timeframe: str, part: ChannelPart | None = None) -> Heatmap:
        """Return a copy of one channel; see Playback.heatmap."""
        return self._thread.call(lambda: self._playback.heatmap(symbol, timeframe, part))

    def symbol(self, name: str) -> SymbolState | None:
        """Return the price of then; None before the first picture."""
        return self._thread.call(lambda: self._playback.symbol(name))

    def __iter__(self) -> Iterator[Moment]:
        """Yield moments until one says "stopped"; after a seek, or play, it may be begun again."""

        async def following() -> Moment | None:
            return await anext(self._playback, None)

        while (moment := self._thread.run(following())) is not None:
            yield moment


class SyncStream:
    """A stream that runs in the background; sample it as often as you like, the latest wins."""

    def __init__(self, thread: _LoopThread, stream: LiveStream) -> None:
        self._thread = thread
        self._stream = stream

    def __enter__(self) -> SyncStream:
        self._thread.call(self._stream.start)
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the stream."""
        self._thread.run(self._stream.close())

    def change(
        self,
        symbols: str | Iterable[str] = (),
        timeframes: str | Iterable[str] = (),
        *,
        cadence_ms: int = 0,
        selectors: Iterable[stream_pb2.ChannelSelector] = (),
        **options: Unpack[ChannelOptions],
    ) -> None:
        """Go over to other channels; see LiveStream.change."""
        self._thread.run(
            self._stream.change(symbols, timeframes, cadence_ms=cadence_ms, selectors=selectors, **options)
        )

    @property
    def state(self) -> StreamState:
        """Return where the stream stands now."""
        return self._thread.call(lambda: self._stream.state)

    def channels(self) -> tuple[ChannelKey, ...]:
        """Return the channels the server named."""
        return self._thread.call(self._stream.replicas.channels)

    def heatmap(self, symbol: str, timeframe: str, part: ChannelPart | None = None) -> Heatmap:
        """Return a copy of one channel; it says itself whether it is in sync."""
        return self._thread.call(lambda: self._stream.heatmap(symbol, timeframe, part))

    def viewport(self, symbol: str, timeframe: str, positions: ChannelPart | None = None) -> Heatmap:
        """Return the tiles of a timeframe as one picture; see LiveStream.viewport."""
        return self._thread.call(lambda: self._stream.viewport(symbol, timeframe, positions))

    def symbol(self, name: str) -> SymbolState | None:
        """Return price and stamps of a symbol; None before its first chunk."""
        return self._thread.call(lambda: self._stream.replicas.symbol(name))

    def covered_share(self, symbol: str) -> float | None:
        """Return the covered share of open interest, 0..1; None before the first coverage."""
        return self._thread.call(lambda: self._stream.replicas.covered_share(symbol))

    def wait_in_sync(self, timeout_s: float | None = None) -> None:
        """Return once the stream is in sync; NotInSync when the time runs out."""
        self._thread.run(self._stream.wait_in_sync(timeout_s))

    def __iter__(self) -> Iterator[StreamUpdate]:
        """Yield what changed, merged since the last one taken; ends when the stream is closed."""
        updates = self._stream.updates()

        async def following() -> StreamUpdate | None:
            return await anext(updates, None)

        while (update := self._thread.run(following())) is not None:
            yield update
