"""Asking venues for margin tables: when, inside which budget, and what every kind of answer leaves behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import orjson
import pytest

from liqscape.feeds.live.table_fetching import (
    BLOCKED_LEAST_S,
    BUDGET,
    DAY_S,
    FIRST_S,
    JITTER,
    RETRY_FIRST_S,
    RETRY_LONGEST_S,
    SPREAD_S,
    TableFetcher,
    TableKeeper,
)
from liqscape.feeds.live.transport import Answer, ConnectFailed
from liqscape.feeds.table_file import NAME, TableFile
from liqscape.feeds.tables import CONFIRMED, FETCHED, SHIPPED, TableBoard, TableStatus
from liqscape.feeds.venues.dialect import Request
from liqscape.instruments import Instrument, find_instrument
from tests.unit.feeds.live.test_waiting import HandTiming

OKX = find_instrument("okx:BTC-USDT-SWAP")

KRAKEN = (find_instrument("kraken:PI_XBTUSD"), find_instrument("kraken:PF_XBTUSD"))

START_S = 1_795_219_200.0
"""2026-11-21."""

Reply = Callable[[int], Answer | Exception]
"""From how often was asked before to what is answered."""


def okx_answer(rate: str = "0.005", leverage: str = "100") -> Answer:
    row = {"instFamily": "BTC-USDT", "instId": "", "minSz": "0", "maxSz": "1000", "mmr": rate, "maxLever": leverage}
    return Answer(200, orjson.dumps({"code": "0", "data": [row]}))


class Asked:
    """An `ask` that notes when, and cancels who asks more often than so."""

    def __init__(self, timing: HandTiming, reply: Reply, most: int) -> None:
        self.at: list[float] = []
        self.requests: list[tuple[Request, str, int]] = []
        self._timing = timing
        self._reply = reply
        self._most = most

    async def __call__(self, request: Request, budget: str, weight: int) -> Answer:
        if len(self.at) == self._most:
            raise asyncio.CancelledError
        self.at.append(self._timing.now - START_S)
        self.requests.append((request, budget, weight))
        answer = self._reply(len(self.at) - 1)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def fetch(
    instruments: tuple[Instrument, ...],
    reply: Reply,
    most: int,
    *,
    seed: int = 1,
    file: TableFile | None = None,
    board: TableBoard | None = None,
) -> tuple[Asked, TableBoard]:
    """Ask until so many questions were asked."""
    timing = HandTiming()
    timing.now = START_S
    board = board or TableBoard(instruments)
    asked = Asked(timing, reply, most)
    fetcher = TableFetcher(instruments, asked, TableKeeper(board, file), timing, random.Random(seed))
    await fetcher.run()
    return asked, board


def status(board: TableBoard, instrument: Instrument = OKX) -> TableStatus:
    (found,) = board.statuses([instrument.instrument_id])
    return found


async def test_is_asked_soon_after_a_start_then_once_a_day_with_jitter_inside_the_budget() -> None:
    asked, board = await fetch((OKX,), lambda n: okx_answer(), 30)

    assert FIRST_S <= asked.at[0] <= FIRST_S + SPREAD_S
    apart = [after - before for before, after in zip(asked.at, asked.at[1:], strict=False)]
    assert DAY_S * (1 - JITTER) <= min(apart) < DAY_S < max(apart) <= DAY_S * (1 + JITTER)
    assert len({round(each) for each in apart}) > 20
    assert {(budget, weight) for _, budget, weight in asked.requests} == {(BUDGET, 1)}
    assert status(board).failures == 0


async def test_servers_that_start_together_ask_at_different_moments() -> None:
    firsts = [(await fetch((OKX,), lambda n: okx_answer(), 1, seed=seed))[0].at[0] for seed in range(20)]

    assert max(firsts) - min(firsts) > SPREAD_S / 2
    assert len(set(firsts)) == 20


async def test_told_table_reaches_the_board_with_day_and_address_and_keeps_its_first_day() -> None:
    _, board = await fetch((OKX,), lambda n: okx_answer("0.005" if n < 2 else "0.006"), 4)

    told = board.told()[OKX.instrument_id]
    assert told.tiers[0].maintenance_margin_rate == Fraction("0.006")
    assert told.where == "https://www.okx.com/api/v5/public/position-tiers"
    assert told.since == "2026-11-23"
    assert told.read_ns > (START_S + 2 * DAY_S) * 1e9
    assert [table.since for table in board.take()] == ["2026-11-23"]
    assert board.take() == []


async def test_one_answer_about_many_is_asked_for_once() -> None:
    levels = [{"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}]
    said = [{"symbol": each.name, "marginLevels": levels} for each in KRAKEN]

    asked, board = await fetch(KRAKEN, lambda n: Answer(200, orjson.dumps({"instruments": said})), 1)

    assert len(asked.at) == 1
    assert sorted(board.told()) == sorted(each.instrument_id for each in KRAKEN)


@pytest.mark.parametrize(
    ("failure", "reason", "least_s", "most_s"),
    [
        (ConnectFailed("no answer"), "no answer", 0.0, RETRY_FIRST_S),
        (Answer(503, b""), "HTTP 503", 0.0, RETRY_FIRST_S),
        (Answer(503, b"", 90.0), "HTTP 503", 90.0, 90.0),
        (Answer(429, b""), "HTTP 429", 30.0, RETRY_FIRST_S),
        (Answer(429, b"", 600.0), "HTTP 429", 600.0, 600.0),
        (Answer(403, b""), "HTTP 403", BLOCKED_LEAST_S, 2 * BLOCKED_LEAST_S),
        (Answer(451, b""), "HTTP 451", BLOCKED_LEAST_S, 2 * BLOCKED_LEAST_S),
        (Answer(200, b"<html>"), "refused: malformed: JSONDecodeError", 0.0, RETRY_FIRST_S),
        (Answer(200, b'{"data": []}'), "refused: the answer tells no margin table of okx", 0.0, RETRY_FIRST_S),
        (okx_answer("0.05", "20"), "refused: another unit of rates: 5 %", 0.0, RETRY_FIRST_S),
    ],
)
async def test_failure_is_told_leaves_what_was_there_and_is_asked_again_later(
    failure: Answer | Exception, reason: str, least_s: float, most_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    asked, failed = await fetch((OKX,), lambda n: failure, 1)
    again, recovered = await fetch((OKX,), lambda n: okx_answer() if n else failure, 2)

    assert failed.told() == {}
    assert failed.take() == []
    assert status(failed).failures == 1
    assert status(failed).failure.startswith(reason)
    assert status(failed).failed_ns == int((START_S + asked.at[0]) * 1e9)
    assert (status(failed).origin, status(failed).rules_date) == (SHIPPED, OKX.rules_date)
    assert f"no margin table of okx:BTC-USDT-SWAP: {reason}" in caplog.text
    assert least_s <= again.at[1] - again.at[0] <= most_s
    assert (status(recovered).failures, len(recovered.told())) == (1, 1)


async def test_waits_grow_while_nothing_comes_and_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    asked, board = await fetch((OKX,), lambda n: ConnectFailed("no route"), 60)

    apart = [after - before for before, after in zip(asked.at, asked.at[1:], strict=False)]
    assert max(apart[:2]) <= 2 * RETRY_FIRST_S
    assert RETRY_LONGEST_S * 0.8 < max(apart[10:]) <= RETRY_LONGEST_S
    assert status(board).failures == 60
    assert caplog.text.count("no route") == 1


async def test_bad_table_of_one_instrument_takes_no_good_one_with_it() -> None:
    good = {"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}
    bad = good | {"maintenanceMargin": 0.1}
    said = [{"symbol": each.name, "marginLevels": [level]} for each, level in zip(KRAKEN, (good, bad), strict=True)]

    _, board = await fetch(KRAKEN, lambda n: Answer(200, orjson.dumps({"instruments": said})), 1)

    assert list(board.told()) == [KRAKEN[0].instrument_id]
    assert [status(board, each).failures for each in KRAKEN] == [0, 1]


async def test_striking_table_is_believed_and_said() -> None:
    _, board = await fetch((OKX,), lambda n: okx_answer("0.009"), 1)

    assert status(board).note == "first rate 0.9 %, shipped 0.4 % of 2026-09-30"


async def test_venue_that_tells_nothing_without_a_key_is_not_asked_and_says_why() -> None:
    binance, deribit = find_instrument("binance:BTCUSDT"), find_instrument("deribit:BTC-PERPETUAL")
    board = TableBoard((binance, deribit))
    asked = Asked(HandTiming(), lambda n: okx_answer(), 0)

    await TableFetcher((binance, deribit), asked, TableKeeper(board, None), HandTiming(), random.Random(1)).run()

    assert asked.at == []
    assert status(board, binance).note == "the venue tells its table to signed requests alone"
    assert status(board, deribit).note == "the venue tells no table that is read here"


async def test_what_is_told_is_kept_at_once_and_a_folder_that_cannot_be_written_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = TableFile(tmp_path)
    await fetch((OKX,), lambda n: okx_answer(), 1, file=file)
    (kept,) = file.read({OKX.instrument_id: OKX})

    file.path.unlink()
    (tmp_path / (NAME + ".tmp")).mkdir()
    _, board = await fetch((OKX,), lambda n: okx_answer(), 3, file=file)

    assert kept.tiers[0].maintenance_margin_rate == Fraction("0.005")
    assert len(board.told()) == 1
    assert caplog.text.count("margin tables are not kept for the next start") == 1
    assert board.unkept == 3


def test_board_says_what_is_in_force_and_where_it_is_from() -> None:
    table = TableBoard((OKX,))
    rates = replace(OKX.maintenance_tiers[0], maintenance_margin_rate=Fraction("0.005"))
    other = replace(OKX, maintenance_tiers=(rates,), rules_date="2026-11-26", rules_source="told")

    before = status(table)
    table.put_in_force([other, find_instrument("gate:BTC_USDT")])
    after = status(table)

    assert (before.origin, before.rules_date) == (SHIPPED, "2026-09-30")
    assert (after.origin, after.rules_date, after.rules_source) == (FETCHED, "2026-11-26", "told")
    assert table.statuses(["gate:BTC_USDT"]) == ()


async def test_venue_that_tells_what_is_shipped_confirms_it() -> None:
    _, board = await fetch((OKX,), lambda n: okx_answer("0.004"), 1)

    assert (status(board).origin, status(board).rules_date) == (CONFIRMED, OKX.rules_date)
    assert status(board).read_ns > 0
