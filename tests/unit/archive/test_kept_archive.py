"""An archive that was made: what readers find in it, what damage does to it, and what a start makes of that."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

from liqscape.__main__ import main
from liqscape.archive.day_files import day_folder, days_in
from liqscape.archive.manifest import DAY_MINUTES, day_of, day_text, read_manifest
from liqscape.archive.reader import ArchiveReader
from liqscape.archive.retention import Retention
from liqscape.archive.schema import MERGED_MINUTES, TABLES, about_of, content_crc32, merged_name
from liqscape.axes import Timeframe, timeframe
from liqscape.device.backend import LedgerColumns
from liqscape.errors import DataLoss, NotFound, OutOfRange
from liqscape.events import Event
from liqscape.grid import event_log
from liqscape.journal.data_folder import DataFolder
from liqscape.positions.mix import prior_inflow_mix
from tests.archived_market import INSTRUMENTS, START_MINUTE, SYMBOL, ArchivedShard, market, rendered

TICKS: list[list[Event]] = rendered(market(3, seed=5), (), every=45)
FIRST_DAY = day_of(START_MINUTE)
HOURS = Timeframe("", 60, 10, 500, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LedgerColumns]:
    """Return the folder of some days, stopped, and every event of them."""
    folder = tmp_path_factory.mktemp("made") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_log, "COMPACT_MIN_EVENTS", 1 << 40)  # the log in memory stays whole, to compare with
        kept = ArchivedShard(folder)
        DataFolder(folder, read_only=True).keep_settings({"made": "up"})
        kept.take(TICKS, len(TICKS))
        kept.stop()
    return folder, kept.shard.ledgers()[SYMBOL][1].columns()


@pytest.fixture
def folder(made: tuple[Path, LedgerColumns], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "data"))


@pytest.fixture
def reader(folder: Path) -> ArchiveReader:
    return ArchiveReader(folder / "archive", INSTRUMENTS)


def table(folder: Path, day: int, name: str) -> Path:
    return day_folder(folder / "archive", day) / f"symbol={SYMBOL}" / f"{name}.parquet"


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


def check(folder: Path) -> int:
    return main(["journal", "check", "--data", str(folder)])


def test_pandas_reads_the_events_of_all_days_and_finds_every_one(made: tuple[Path, LedgerColumns]) -> None:
    folder, events = made
    days = days_in(folder / "archive")
    sealed = events.minute < (days[-1] + 1) * DAY_MINUTES

    found = pd.concat(pd.read_parquet(table(folder, day, "events"), partitioning=None) for day in days)

    for name in ("minute", "open_minute", "row", "lots"):
        assert np.array_equal(found[name].to_numpy(), getattr(events, name)[sealed]), name
    assert set(found["instrument"].unique()) == {i.instrument_id for i in INSTRUMENTS}
    assert set(found["side"].unique()) == {"long", "short"}
    assert set(found["cause"].unique()) == {"opened", "swept", "closed"}
    assert (found["minute"] // DAY_MINUTES).nunique() >= 4


def test_names_of_folders_are_columns_to_who_reads_many_days(folder: Path) -> None:
    files = sorted((folder / "archive").glob("day=*/symbol=*/bars.parquet"))

    bars = dataset.dataset(files, partitioning="hive").to_table(columns=["day", "symbol", "minute"]).to_pandas()

    assert set(bars["symbol"]) == {SYMBOL}
    assert list(bars["day"].unique()) == [day_text(day) for day in days_in(folder / "archive")]


def test_polars_reads_every_day(folder: Path) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")

    found = polars.scan_parquet(f"{folder}/archive/day=*/symbol=BTC/events.parquet", hive_partitioning=True).collect()

    assert found["lots"].sum() == sum(_lots(folder))
    assert {"day", "symbol", "instrument", "cause"} <= set(found.columns)


def test_duckdb_reads_every_day(folder: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    files = f"read_parquet('{folder}/archive/day=*/symbol=BTC/{{}}.parquet', hive_partitioning = true)"

    ((lots, days),) = duckdb.sql(f"SELECT sum(lots), count(DISTINCT day) FROM {files.format('events')}").fetchall()
    ((traded,),) = duckdb.sql(f"SELECT sum(list_sum(traded)) FROM {files.format('bars')}").fetchall()

    assert lots == sum(_lots(folder))
    assert days == 5
    assert traded > 0


def _lots(folder: Path) -> list[int]:
    days = days_in(folder / "archive")
    return [sum(pq.read_table(table(folder, day, "events"), partitioning=None)["lots"].to_pylist()) for day in days]


def test_bars_are_those_of_the_ticks(folder: Path) -> None:
    bars = pq.read_table(table(folder, FIRST_DAY, "bars"), partitioning=None).to_pylist()
    sampled = [bar for bar in bars if bar["open_interest"] is not None]
    traded = [bar for bar in bars if bar["traded"] is not None]

    assert len(bars) > len(traded) > 10
    assert sampled
    assert all(bar["low"] <= min(bar["open"], bar["close"]) <= bar["high"] for bar in bars if bar["open"] is not None)
    assert all((bar["first_row"] is None) == (bar["traded"] is None) for bar in bars)
    assert all(bar["first_minute"] <= bar["minute"] for bar in bars)


def test_every_file_says_what_it_is_and_what_its_values_sum_to(folder: Path) -> None:
    for day in days_in(folder / "archive"):
        manifest = read_manifest(day_folder(folder / "archive", day))
        assert len(manifest.files) == len(TABLES)
        for name, schema in TABLES.items():
            found = pq.read_table(table(folder, day, name), partitioning=None)
            about = about_of(found.schema.metadata)
            assert found.schema.remove_metadata().equals(schema), name
            assert (about["day"], about["symbol"], about["table"]) == (day_text(day), SYMBOL, name)
            assert about["content_crc32"] == f"{content_crc32(found):08x}"
            assert manifest.files[f"symbol={SYMBOL}/{name}.parquet"].rows == found.num_rows


def test_merged_events_are_fewer_and_sum_to_the_same_lots(folder: Path) -> None:
    day = days_in(folder / "archive")[-1]
    raw = pq.read_table(table(folder, day, "events"), partitioning=None)
    counts = []
    for minutes in MERGED_MINUTES:
        merged = pq.read_table(table(folder, day, merged_name(minutes)), partitioning=None)
        counts.append(merged.num_rows)
        assert sum(merged["lots"].to_pylist()) == sum(raw["lots"].to_pylist())

    assert raw.num_rows > counts[0] > counts[1] > counts[2] > 0


def test_minute_tells_the_mixes_that_were_in_force(reader: ArchiveReader) -> None:
    state = reader.state(SYMBOL, START_MINUTE + 100)

    assert state.mixes == {i.instrument_id: prior_inflow_mix(i.leverage_tiers) for i in INSTRUMENTS}
    assert len(state.mix) == 12


def test_minute_out_of_range_is_refused_with_the_range(reader: ArchiveReader) -> None:
    retained = reader.retained(SYMBOL)
    assert retained is not None
    text = f"the archive of BTC holds minutes {retained[0]} .* to {retained[1]}"

    for minute in (retained[0] - 1, retained[1] + 1):
        with pytest.raises(OutOfRange, match=text):
            reader.grid(SYMBOL, timeframe("24h"), minute)
    with pytest.raises(NotFound, match="symbol 'DOGE' is unknown; known are BTC"):
        reader.retained("DOGE")


def test_day_that_is_gone_is_named_by_every_window_that_needs_it(folder: Path, reader: ArchiveReader) -> None:
    gone = FIRST_DAY + 1
    shutil.rmtree(day_folder(folder / "archive", gone))
    after = (gone + 2) * DAY_MINUTES - 1

    with pytest.raises(DataLoss, match=f"{day_text(gone)} is missing in the archive of BTC"):
        reader.grid(SYMBOL, timeframe("12h"), gone * DAY_MINUTES + 600)
    with pytest.raises(DataLoss, match=f"{day_text(gone)}.* windows that begin at minute"):
        reader.grid(SYMBOL, timeframe("3d"), after)
    assert reader.grid(SYMBOL, HOURS, after).cells.any()
    assert reader.grid(SYMBOL, timeframe("1y"), gone * DAY_MINUTES - 1).cells.any()


@pytest.mark.parametrize("name", ["events", "minutes", "axes", "coverage", "events_60m"])
def test_flipped_bit_is_named_by_check_and_by_who_reads_it(
    name: str, folder: Path, reader: ArchiveReader, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(folder) == 0
    path = table(folder, FIRST_DAY, name)
    flip_a_bit(path)

    assert check(folder) == 1
    assert f"DAMAGED: {path} fails its checksum" in capsys.readouterr().out
    asked = (
        ("1m", (FIRST_DAY + 2) * DAY_MINUTES - 1) if name == "events_60m" else ("12h", FIRST_DAY * DAY_MINUTES + 1300)
    )
    with pytest.raises(DataLoss, match=day_text(FIRST_DAY)):
        reader.grid(SYMBOL, timeframe(asked[0]), asked[1])


def test_start_sets_damaged_files_aside_and_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    flip_a_bit(table(folder, FIRST_DAY, "events"))
    manifest = day_folder(folder / "archive", FIRST_DAY - 1) / "manifest.json"
    flip_a_bit(manifest)

    with caplog.at_level(logging.ERROR):
        kept = ArchivedShard(folder)
        kept.archivist.wait()
        kept.stop()

    assert kept.archivist.counters["archive_damaged_files"] == 2
    assert table(folder, FIRST_DAY, "events").with_name("events.parquet.bad").exists()
    assert manifest.parent.with_name(f"day={day_text(FIRST_DAY - 1)}.bad").exists()
    assert "events.parquet is damaged and set aside" in caplog.text
    assert "its manifest cannot be read" in caplog.text
    assert check(folder) == 1
    with pytest.raises(DataLoss, match=day_text(FIRST_DAY - 1)):
        ArchiveReader(folder / "archive", INSTRUMENTS).state(SYMBOL, (FIRST_DAY - 1) * DAY_MINUTES + 5)


def test_repair_sets_aside_what_check_has_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(folder, FIRST_DAY, "coverage")
    flip_a_bit(path)

    assert main(["journal", "repair", "--data", str(folder), "--dry-run"]) == 1
    assert path.exists()
    assert f"{path} would be set aside" in capsys.readouterr().out
    assert main(["journal", "repair", "--data", str(folder)]) == 1

    assert not path.exists()
    assert path.with_name("coverage.parquet.bad").exists()


def test_days_beyond_those_to_be_kept_go_and_that_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    days = days_in(folder / "archive")
    kept = ArchivedShard(folder, retention=Retention(days=2))
    with caplog.at_level(logging.WARNING):
        kept.archivist.let_go()
        kept.archivist.wait()
    kept.stop()
    reader = ArchiveReader(folder / "archive", INSTRUMENTS)
    newest = (days[-1] + 1) * DAY_MINUTES - 1

    assert reader.retained(SYMBOL) == (days[-2] * DAY_MINUTES, newest)
    assert f"dropping raw tables of {day_text(days[0])} to {day_text(days[-3])}" in caplog.text
    assert check(folder) == 0
    assert f"dropped: raw tables up to {day_text(days[-3])}" in capsys.readouterr().out
    assert reader.grid(SYMBOL, timeframe("1y"), newest).cells.any()
    with pytest.raises(OutOfRange, match=f"only merged events are kept.*holds minutes {days[-2] * DAY_MINUTES} "):
        reader.grid(SYMBOL, timeframe("3d"), newest)
    with pytest.raises(OutOfRange, match="is not kept"):
        reader.state(SYMBOL, days[-2] * DAY_MINUTES - 1)


def test_room_decides_too_but_never_about_the_newest_day(folder: Path) -> None:
    days = days_in(folder / "archive")
    kept = ArchivedShard(folder, retention=Retention(most_bytes=1))
    kept.archivist.let_go()
    kept.archivist.wait()
    kept.stop()

    assert days_in(folder / "archive") == days[-1:]
    assert kept.keeper.said == f"the archive has let days up to {day_text(days[-2])} go for want of room"
    assert not read_manifest(day_folder(folder / "archive", days[-1])).is_thin
    assert kept.archivist.counters["archive_days"] == 1
    assert kept.archivist.counters["archive_days_dropped"] == len(days) - 1
