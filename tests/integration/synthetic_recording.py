"""A small recording made up for tests: candles with real movement and open interest that rises and falls."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2025, 12, 1, tzinfo=UTC)
NAME = "made_up"


def write_recording(folder: Path, *, bars: int, step_minutes: int, seed: int) -> Path:
    """Write Parquet files and a manifest of BTC on Binance into a folder and return the manifest.

    Prices walk by up to 0.2 % a bar with wicks of up to 0.1 %; open interest has a sample at each end of a bar.
    """
    random_numbers = random.Random(seed)
    step = timedelta(minutes=step_minutes)
    stamps = [START + step * i for i in range(bars)]
    price, candles = 90_000.0, []
    for _ in range(bars):
        close = price * (1 + random_numbers.uniform(-0.002, 0.002))
        high = max(price, close) * (1 + random_numbers.uniform(0, 0.001))
        low = min(price, close) * (1 - random_numbers.uniform(0, 0.001))
        candles.append([round(x, 1) for x in (price, high, low, close)])
        price = close
    volume = [round(random_numbers.uniform(50, 400), 3) for _ in range(bars)]
    level, open_interest = 1_000.0, []
    for _ in range(bars + 1):
        open_interest.append(round(level, 3))
        level = max(500.0, level + random_numbers.uniform(-40, 45))
    opens, highs, lows, closes = zip(*candles, strict=True)
    _write(folder / "price.parquet", date=stamps, open=opens, high=highs, low=lows, close=closes, volume=volume)
    _write(folder / "oi.parquet", date=[*stamps, stamps[-1] + step], oi=open_interest)
    end = stamps[-1]
    text = f'name = "{NAME}"\ndescription = "made up for tests"\n' + "".join(
        (
            _series("candles", "price.parquet", "open", step_minutes, START, end),
            _series("open_interest", "oi.parquet", "instant", step_minutes, START, end + step),
        )
    )
    manifest = folder / "manifest.toml"
    manifest.write_text(text, encoding="utf-8")
    return manifest


def _write(path: Path, **columns: object) -> None:
    pq.write_table(pa.table(columns), path)


def _series(kind: str, file: str, stamp: str, step_minutes: int, begin: datetime, end: datetime) -> str:
    names = {"candles": ("open", "high", "low", "close", "volume"), "open_interest": ("open_interest",)}[kind]
    columns = ", ".join(f'{name} = "{"oi" if name == "open_interest" else name}"' for name in names)
    return f"""
[[series]]
symbol = "BTC"
instrument = "binance:BTCUSDT"
kind = "{kind}"
file = "{file}"
time_column = "date"
time_unit = "timestamp"
stamp = "{stamp}"
columns = {{ {columns} }}
quantity_unit = "base"
step = "{step_minutes}m"
from = "{begin:%Y-%m-%dT%H:%M:%SZ}"
to = "{end:%Y-%m-%dT%H:%M:%SZ}"
"""
