"""An export from the archive of a server: the tables of an export of a recording, and the grids that were served."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from liqscape.__main__ import main
from liqscape.archive.manifest import DAY_MINUTES
from liqscape.archive.reader import ArchiveReader
from liqscape.axes import MINUTE_NS, TIMEFRAME_NAMES, timeframe
from liqscape.errors import ConfigError, OutOfRange
from liqscape.events import Event
from liqscape.export_archive import export_archive
from liqscape.export_tables import BARS, EVENTS
from liqscape.feeds.recordings import stamp_text
from tests.archived_market import SYMBOL, ArchivedShard, market, rendered

TICKS: list[list[Event]] = rendered(market(1, seed=6), (), every=40)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "data"
    kept = ArchivedShard(folder)
    kept.take(TICKS, len(TICKS))
    kept.stop()
    return folder


def test_stretch_is_written_with_the_grids_of_its_end(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = ArchiveReader.of_folder(data / "archive")
    retained = reader.retained(SYMBOL)
    assert retained is not None
    until = retained[1] - 60
    stamp = stamp_text((until + 1) * MINUTE_NS)

    status = main(["export", "--data", str(data), "--symbol", "btc", "--until", stamp, "--out", str(tmp_path / "out")])

    assert status == 0
    assert "wrote" in capsys.readouterr().out
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == ["bars.parquet", "events.parquet", "grids.npz", "meta.json"]
    events, bars = (pq.read_table(out / f"{name}.parquet") for name in ("events", "bars"))
    assert (events.schema.names, bars.schema.names) == (EVENTS.names, BARS.names)
    step = reader.state(SYMBOL, until).scale.base_step
    raw = list(reader.events(SYMBOL, until - DAY_MINUTES + 1, until, step))
    assert np.array_equal(events["lots"].to_numpy(), np.concatenate([piece.lots for piece in raw]))
    assert np.array_equal(events["row"].to_numpy(), np.concatenate([piece.row for piece in raw]))
    assert bars.num_rows > 0
    assert all(bar["low"] <= bar["close"] <= bar["high"] for bar in bars.to_pylist())
    meta = json.loads((out / "meta.json").read_text())
    assert (meta["until"], meta["until_minute"], meta["left_out"]) == (stamp, until, {})
    with np.load(out / "grids.npz") as grids:
        for name in TIMEFRAME_NAMES:
            assert np.array_equal(grids[name], reader.grid(SYMBOL, timeframe(name), until).cells)
            assert grids[f"{name}_axes"].tolist() == meta["timeframes"][name]


def test_what_is_not_kept_is_refused_and_nothing_is_left(data: Path, tmp_path: Path) -> None:
    for begin, until, error, text in (
        (None, 1, ConfigError, "is no whole minute"),
        (None, MINUTE_NS, OutOfRange, "holds minutes"),
        (10**8 * MINUTE_NS, None, ConfigError, "is not before"),
    ):
        with pytest.raises(error, match=text):
            export_archive(data / "archive", SYMBOL, begin, until, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds no day"):
        export_archive(tmp_path, "BTC", None, None, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_from_goes_with_an_archive_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", "--manifest", "x.toml", "--symbol", "BTC", "--out", str(tmp_path / "out")]

    assert main([*arguments, "--from", "2026-01-01"]) != 0
    assert "from goes with --data" in capsys.readouterr().err
