"""What is said of tiles: medians by kind, and no tile that differs from its channel."""

from __future__ import annotations

import pytest

from benchmarks.bench_tiles import FRAMES, Run, Track, figures, summary
from benchmarks.prove import STEPS
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.grid.channel_specs import ChannelSpec
from liqscape_client.replica import Replica
from tests.fake_engine import FakeChannels, FakeEngine


def replayed(*, losing: int | None = None) -> Run:
    """Return a run of a small channel in two tiles; one chunk of a tile may be lost."""
    engine = FakeEngine(first_row=126, symbols=("BTC",))
    encoder, desk = StreamEncoder(engine.shard, now_ns=lambda: 3), FakeChannels(engine)
    tracks = {1: Track(Replica("BTC", "12h", 1))}
    tiles = {number: desk._open(ChannelSpec("BTC", "12h", None, number)) for number in (0, 1)}
    tracks |= {channel.channel_id: Track(Replica("BTC", "12h", channel.channel_id)) for channel in tiles.values()}
    lost = False
    for _ in range(20):
        for chunk in encoder.encode(engine.step(changing=[1], cells=1)).channels:
            if chunk.channel_id == losing and not chunk.keyframe and not lost:
                lost = True
            elif chunk.channel_id in tracks:
                tracks[chunk.channel_id].take(chunk)
    return Run({"12h": tracks[1]}, {"12h": {n: tracks[c.channel_id] for n, c in tiles.items()}}, {"12h": 1})


def test_deltas_are_summed_up_by_kind_of_channel() -> None:
    run = replayed()
    run.check()
    for track, sizes in zip((run.whole["12h"], *run.tiles["12h"].values()), ([10, 30], [5], [8, 12]), strict=True):
        track.deltas, track.keyframes = sizes, [100]

    found = summary(run, 4)

    assert (found["12h"]["whole_delta_median"], found["12h"]["whole_tick"]) == (20, 10)
    assert (found["12h"]["price_tile_delta_median"], found["12h"]["price_tile_tick"]) == (10, 5)
    assert (found["12h"]["other_tile_delta_median"], found["12h"]["other_tile_share_of_ticks"]) == (5, 0.25)
    assert figures(found) == {
        "12h: whole / tile of the price / another tile": "median delta 20 / 10 / 5 B; a tick 10 / 5 / 1 B"
    }


def test_a_lost_chunk_ends_the_run() -> None:
    with pytest.raises(RuntimeError, match=r"channel 3 at tick \d+: BTC 12h: gap"):
        replayed(losing=3)


def test_tiles_that_are_not_the_rows_end_the_run() -> None:
    run = replayed()
    held = run.tiles["12h"][0].replica._held
    assert held is not None
    held.ring[:, 127] ^= 1

    with pytest.raises(RuntimeError, match="the tiles of 12h are not its rows"):
        run.check()


def test_it_is_among_what_is_proved() -> None:
    assert "tiles" in [step.name for step in STEPS]
    assert len(set(FRAMES)) == 3
