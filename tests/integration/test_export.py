"""What an export writes, when it refuses, and that it leaves nothing half done."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from liqscape.axes import TIMEFRAME_NAMES, minute_of
from liqscape.errors import ConfigError
from liqscape.export import ExportSummary, add_export_arguments, export, parse_until, run_export
from liqscape.export_meta import decimal_text
from tests.integration.synthetic_recording import NAME, write_recording

COLUMNS = {
    "events": ["minute", "open_minute", "row", "venue", "instrument", "tier", "side", "lots", "cause"],
    "live": ["open_minute", "row", "venue", "instrument", "tier", "side", "lots"],
    "bars": ["minute", "instrument", "open", "high", "low", "close", "traded", "open_interest"],
    "reconciliation": [
        *("minute", "instrument", "side"),
        *("open_interest_lots", "live_lots", "uncovered_lots", "model_error_lots"),
    ],
}
BEGIN_MINUTE = minute_of(parse_until("2025-12-01"))
BARS = 40

Run = Callable[..., ExportSummary]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_recording(tmp_path, bars=BARS, step_minutes=5, seed=3)


@pytest.fixture
def run(manifest: Path) -> Run:
    def call(out: Path, until: str | None = None, symbol: str = "BTC", **options: str) -> ExportSummary:
        until_ns = None if until is None else parse_until(until)
        return export(manifest, symbol, until_ns, out, recordings=manifest.parent, **options)  # type: ignore[arg-type]

    return call


@pytest.mark.slow
def test_folder_holds_exactly_the_named_files_with_the_named_columns(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"

    summary = run(out)

    assert sorted(p.name for p in out.iterdir()) == sorted(
        [f"{t}.parquet" for t in COLUMNS] + ["grids.npz", "meta.json"]
    )
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    for table, columns in COLUMNS.items():
        assert pq.read_schema(out / f"{table}.parquet").names == columns
        assert pq.read_metadata(out / f"{table}.parquet").num_rows == summary.rows[f"{table}.parquet"]
    with np.load(out / "grids.npz") as grids:
        assert sorted(grids.files) == sorted([*TIMEFRAME_NAMES, *(f"{name}_axes" for name in TIMEFRAME_NAMES)])
        assert {grids[name].dtype for name in grids.files} == {np.dtype(np.int64)}


@pytest.mark.slow
def test_meta_says_what_the_numbers_are(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "out")

    meta = json.loads((tmp_path / "out" / "meta.json").read_text("utf-8"))
    assert meta["until_minute"] == BEGIN_MINUTE + BARS * 5 - 1
    assert (meta["base_step"], meta["base_step_price_units"], meta["price_decimals"]) == (20, 200, 1)
    assert (meta["lot_size"], meta["lot_decimals"], meta["weight_one"]) == (1e-5, 5, 4096)
    assert len(meta["weights"]) == 18
    assert meta["weights"][5] == {
        **{"venue": "binance", "instrument": "binance:BTCUSDT", "tier": 10, "side": "short", "weight": 4096}
    }
    assert sum(entry["inflow_share_millionths"] for entry in meta["mix"]) == 1_000_000
    assert (meta["source"]["manifest"], meta["symbol"]) == (NAME, "BTC")
    assert meta["statement"].startswith("An estimate.")
    named = {word for names in meta["units"] for word in names.split(" of ")[0].split(", ")}
    assert {column for columns in COLUMNS.values() for column in columns} - named == {"venue"}


@pytest.mark.slow
def test_csv_says_the_same_as_parquet(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "parquet")
    run(tmp_path / "csv", file_format="csv")

    for table in COLUMNS:
        with (tmp_path / "csv" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        expected = pq.read_table(tmp_path / "parquet" / f"{table}.parquet").to_pylist()
        assert len(rows) == len(expected) > 0
        for row, wanted in zip(rows, expected, strict=True):
            assert {k: type(wanted[k])(v) if v else None for k, v in row.items()} == wanted


@pytest.mark.slow
def test_same_recording_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "first")
    run(tmp_path / "second")

    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name


@pytest.mark.slow
def test_until_is_exclusive_and_cuts_at_the_last_whole_bar(run: Run, tmp_path: Path) -> None:
    at_a_bar = run(tmp_path / "a", "2025-12-01T01:00")
    inside_a_bar = run(tmp_path / "b", "2025-12-01T01:04:59+00:00")

    assert at_a_bar.until_minute == inside_a_bar.until_minute == BEGIN_MINUTE + 59
    assert at_a_bar.rows == inside_a_bar.rows
    assert at_a_bar.rows["bars.parquet"] == 12


@pytest.mark.slow
def test_until_beyond_the_recording_exports_what_is_held(run: Run, tmp_path: Path) -> None:
    summary = run(tmp_path / "out", "2031-01-01")

    assert summary.until_minute == BEGIN_MINUTE + BARS * 5 - 1
    assert json.loads((tmp_path / "out" / "meta.json").read_text("utf-8"))["until_minute"] == summary.until_minute


@pytest.mark.parametrize("until", ["2020-01-01", "2025-12-01", "2025-12-01T00:04"])
def test_until_before_the_first_whole_bar_names_the_range(run: Run, tmp_path: Path, until: str) -> None:
    with pytest.raises(ConfigError, match="runs from 2025-12-01T00:00:00Z to 2025-12-01T03:20:00Z"):
        run(tmp_path / "out", until)

    assert not (tmp_path / "out").exists()


def test_folder_with_a_file_is_refused_and_kept(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")

    with pytest.raises(ConfigError, match="is not empty"):
        run(out)

    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_file_in_the_place_of_the_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")

    with pytest.raises(ConfigError, match="is a file; name a folder"):
        run(tmp_path / "out")


@pytest.mark.slow
def test_empty_folder_is_taken(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    run(tmp_path / "out")

    assert (tmp_path / "out" / "meta.json").exists()


def test_interrupted_export_leaves_nothing(manifest: Path, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        export(manifest, "BTC", None, tmp_path / "out", recordings=tmp_path, progress=interrupt)

    assert sorted(tmp_path.iterdir()) == before


def test_unknown_symbol_names_those_of_the_recording(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"symbol 'DOGE' is not in recording '{NAME}'; it has BTC"):
        run(tmp_path / "out", symbol="DOGE")


def test_unknown_format_names_the_two(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format 'xls' is unknown; use one of parquet, csv"):
        run(tmp_path / "out", file_format="xls")


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", ""])
def test_until_that_is_no_stamp_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="allowed is an ISO stamp in UTC"):
        parse_until(text)


@pytest.mark.slow
def test_command_line_exports_and_says_what(manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_export_arguments(parser)
    arguments = ["--manifest", str(manifest), "--symbol", "btc", "--until", "2025-12-01T01:00"]
    arguments += ["--out", str(tmp_path / "out"), "--format", "csv", "--recordings", str(tmp_path)]

    status = run_export(parser.parse_args(arguments))

    told = capsys.readouterr().out
    assert status == 0
    assert "12 rows in bars.csv" in told
    assert "2025-12-01T00:59:00Z" in told
    assert "estimate" in told


@pytest.mark.parametrize(
    ("units", "decimals", "text"), [(200, 1, "20"), (5, 3, "0.005"), (1, 5, "0.00001"), (1, -2, "100"), (12, 1, "1.2")]
)
def test_decimal_text_is_exact(units: int, decimals: int, text: str) -> None:
    assert decimal_text(units, decimals) == text
