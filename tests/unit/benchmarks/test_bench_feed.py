"""A small run of the benchmark of the feeds, on messages made up here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson

from benchmarks.bench_feed import RECORDINGS, _measure, _messages


def capture(folder: Path) -> Path:
    """Return a capture of 40 single trades, one of the insurance fund, and a book."""
    trade = {"e": "trade", "s": "BTCUSDT", "p": "61800.30", "q": "0.006", "m": False}
    lines: list[dict[str, Any]] = []
    for number in range(41):
        time_ms = 1_723_161_255_000 + 250 * number
        kind = "MARKET" if number < 40 else "INSURANCE_FUND"
        said = {**trade, "E": time_ms, "T": time_ms, "t": number, "X": kind}
        message = {"stream": "btcusdt@trade", "data": said}
        lines.append({"recv_ns": time_ms * 10**6, "kind": "recv", "conn": "", "msg": message})
    lines.append({**lines[-1], "msg": {"stream": "btcusdt@bookTicker", "data": {"e": "bookTicker", "s": "BTCUSDT"}}})
    path = folder / "some.jsonl"
    path.write_text("\n".join(orjson.dumps(line).decode() for line in lines))
    return path


def test_single_trades_are_restated_as_aggregated_ones_without_holes(tmp_path: Path) -> None:
    messages = _messages(capture(tmp_path))

    numbers = [json.loads(message)["data"]["a"] for _, message in messages]
    assert numbers == list(range(1, 41))


def test_every_message_becomes_an_event_and_a_bar(tmp_path: Path) -> None:
    result = _measure(RECORDINGS[0], _messages(capture(tmp_path)), repeats=1)

    assert result["messages"] == 40
    assert result["events"] == {"trades": 40}
    assert min(result["to_events_per_s"], result["to_bars_per_s"]) > 0
