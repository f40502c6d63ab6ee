"""A custom channel on the device is NumPy's: begun beside the default ones, over moves of rows, and closed again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.grid.channel_specs import ChannelSpec
from liqscape.grid.shard import Shard
from tests.cuda.cpu_runtime import CpuRuntime
from tests.unit.grid.test_custom_channels import TENS, Rings, run_builds, trading
from tests.unit.synthetic_market import BTC

TICKS = 16
SPECS = (ChannelSpec("BTC", "12h", TENS), ChannelSpec("BTC", "12h", None, row_fold=4))


@pytest.mark.slow
@pytest.mark.usefixtures("few_rows")
def test_custom_channel_equals_numpys_and_leaves_the_default_ones_alone(runtime: CpuRuntime) -> None:
    shards = (
        Shard([BTC], NumpyBackend(), lambda: 0, with_open_only=False),
        Shard([BTC], CudaBackend(runtime, threads=32), lambda: 0, with_open_only=False, max_custom_channels=64),
    )
    rings = Rings(), Rings()
    numbers: list[int] = []
    compared: Counter[int] = Counter()
    for event in trading(40):
        outputs = [shard.accept(event) for shard in shards]
        if outputs[0] is None:
            continue
        for output, held in zip(outputs, rings, strict=True):
            assert output is not None
            held.take(output)
        run_builds(shards[0])
        if shards[0].tick == 4:
            opened = [[shard.on_demand.open(spec).channel_id for spec in SPECS] for shard in shards]
            assert opened[0] == opened[1]
            numbers = opened[0]
            run_builds(shards[0])
        one, other = rings
        for channel_id in one.levels.keys() & other.levels.keys():
            if one.axes[channel_id] == other.axes[channel_id]:
                np.testing.assert_array_equal(one.levels[channel_id], other.levels[channel_id])
                compared[channel_id] += bool(other.levels[channel_id].any())
        if shards[0].tick == TICKS - 2:
            for shard in shards:
                for number in numbers:
                    shard.on_demand.close(number)
        if shards[0].tick == TICKS:
            break

    assert [len(rings[1].generations[number]) for number in numbers] == [2, 2]  # rows moved at tick 11
    assert min(compared[number] for number in numbers) >= 6
    assert outputs[1] is not None
    assert {update.channel.channel_id for update in outputs[1].channels}.isdisjoint(numbers)
