"""The bytes of a liquidation map that every client relies on: request in, book in, parts out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from liqscape.api.map_conversions import map_fragments, map_header
from liqscape.api.requests import map_of, parse
from liqscape.axes import SymbolScale
from liqscape.device.book_profile import profile_of
from liqscape.events import PositionSide
from liqscape.grid.liquidation_map import MapAnswer, liquidation_map
from liqscape.grid.updates import Coverage, PositionModel
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.mix import prior_inflow_mix
from liqscape.positions.weights import make_key
from liqscape.v1 import query_pb2, stream_pb2
from tests.unit.synthetic_market import make_batch, make_instrument

GOLDEN: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "golden" / "wire" / "liquidation_map.json").read_text("utf-8")
)
INSTRUMENTS: Final = [replace(make_instrument(max_leverage=20), venue=venue) for venue in ("alpha", "beta")]


def answer(request: bytes) -> MapAnswer:
    ids = [instrument.instrument_id for instrument in INSTRUMENTS]
    scale = SymbolScale("BTC", **GOLDEN["scale"])
    book = make_batch(
        *(
            (minute, row, make_key(ids.index(name), LEVERAGE_TIERS.index(leverage), PositionSide[side.upper()]), lots)
            for minute, row, name, leverage, side, lots in GOLDEN["cohorts"]["rows"]
        )
    )
    watermark_ns = int(GOLDEN["source_watermark_unix_ns"])
    return MapAnswer(
        symbol="BTC",
        epoch=int(GOLDEN["epoch"]),
        tick=GOLDEN["tick"],
        scale=scale,
        mark_price=GOLDEN["mark_price"],
        source_watermark_ns=watermark_ns,
        coverage=(Coverage("BTC", "alpha", ids[0], watermark_ns, (1118, 12), (3, 1109), 0, 0, 0),),
        model=PositionModel.NET_OF_CLOSES,
        map=liquidation_map(
            map_of(parse(query_pb2.GetLiquidationMapRequest, request)),
            profile_of(book.key, book.row, book.lots),
            instruments=INSTRUMENTS,
            mixes=[prior_inflow_mix(instrument.leverage_tiers) for instrument in INSTRUMENTS],
            scale=scale,
            mark_price=GOLDEN["mark_price"],
        ),
    )


def test_map_of_the_golden_book_is_the_golden_bytes() -> None:
    found = answer(bytes.fromhex(GOLDEN["request"]))

    header = map_header(found, [stream_pb2.DATA_STATE_SIMULATED])
    header.header.meaning = GOLDEN["meaning"]  # the words may change
    parts = [header, *map_fragments(found)]

    assert [part.SerializeToString().hex() for part in parts] == GOLDEN["parts"]
