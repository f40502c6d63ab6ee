"""What leads from one picture of the past to the next: nothing where nothing has changed, else no more than that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange
from liqscape.broadcast.past_encoder import PastEncoder
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import Channel, ChannelAxes
from liqscape.v1 import stream_pb2
from tests.fake_engine import FRAMES, SCALES, candle_columns
from tests.wire_decoder import ChannelReplica, decode_candles

CHANNEL = Channel(3, "BTC", FRAMES[0])
COLUMNS = FRAMES[0].columns
CANDLES = {98: (5, 9, 2, 7), 99: (7, 8, 6, 6)}


def picture(
    levels: NDArray[np.uint8], newest: int = 100, candles: dict[int, tuple[int, int, int, int]] = CANDLES
) -> PastPicture:
    axes = ChannelAxes(FRAMES[0], SCALES["BTC"], RowRange(100, levels.shape[1], 2))
    return PastPicture(100, axes, newest, levels, candle_columns(candles), 7, 9)


def levels(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (COLUMNS, 8), dtype=np.uint8)


class Led:
    """A channel of an encoder, and who follows it."""

    def __init__(self) -> None:
        self.encoder = PastEncoder([CHANNEL], simulated=False, now_ns=lambda: 4)
        self.replica = ChannelReplica()
        self._tick = 0

    def show(self, shown: PastPicture) -> stream_pb2.ChannelChunk | None:
        """Return the chunk that leads to a picture; None where there is none."""
        self._tick += 1
        encoded = self.encoder.encode(self._tick, [shown])
        section = stream_pb2.Section.FromString(b"".join(encoded.entries))
        assert section.chunks[0].symbol.symbol == "BTC"
        assert encoded.are_keyframes[0] is False
        if len(section.chunks) == 1:
            return None
        chunk = section.chunks[1].channel
        assert encoded.are_keyframes == (False, chunk.kind == stream_pb2.CHUNK_KIND_KEYFRAME)
        assert self.replica.apply(chunk)
        assert bytes(self.replica.ring) == shown.ring.tobytes()
        return chunk


def test_channel_in_which_nothing_has_changed_is_left_out_and_its_chain_goes_on() -> None:
    led = Led()
    first = levels(1)
    led.show(picture(first))

    unchanged = led.show(picture(first.copy()))
    one = first.copy()
    one[2, 3] ^= 1
    after = led.show(picture(one))

    assert unchanged is None
    assert after is not None
    assert (after.prev_tick, after.tick, after.kind) == (1, 3, stream_pb2.CHUNK_KIND_DELTA)


def test_column_that_comes_in_without_a_level_is_told() -> None:
    led = Led()
    led.show(picture(levels(1)))

    chunk = led.show(picture(levels(1), newest=101))

    assert chunk is not None
    assert (chunk.newest_column, chunk.payload) == (101, b"\x00")
    assert led.replica.newest_column == 101


def test_prices_that_are_new_or_others_are_told_and_no_more() -> None:
    led = Led()
    led.show(picture(levels(1)))

    chunk = led.show(picture(levels(1), candles={98: (5, 9, 2, 7), 99: (7, 8, 6, 7), 100: (1, 2, 0, 1)}))
    gone = led.show(picture(levels(1), candles={99: (7, 8, 6, 7), 100: (1, 2, 0, 1)}))

    assert chunk is not None
    assert decode_candles(chunk.candles) == {99: (7, 8, 6, 7), 100: (1, 2, 0, 1)}
    assert gone is None  # a price that the server has forgotten is none the less what it was


def test_other_rows_and_a_restart_begin_a_generation_with_a_keyframe() -> None:
    led = Led()
    led.show(picture(levels(1)))

    moved = picture(levels(1))
    chunk = led.show(replace(moved, axes=replace(moved.axes, rows=RowRange(107, 8, 2))))
    led.encoder.restart()
    again = led.show(picture(levels(1)))

    assert chunk is not None
    assert again is not None
    assert [(c.generation, c.kind) for c in (chunk, again)] == [
        (2, stream_pb2.CHUNK_KIND_KEYFRAME),
        (3, stream_pb2.CHUNK_KIND_KEYFRAME),
    ]
