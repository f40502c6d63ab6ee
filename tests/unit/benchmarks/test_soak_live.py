"""What a long run of a live server is judged by, on made-up costs and logs.

Seen to fail when broken on purpose: soak_live.py, costs counted before a process has settled; a log searched as it is
written; a life left out.
"""

from __future__ import annotations

import pytest

from benchmarks.soak_live import GROWTH_KIB, SETTLED_S, Life, Soak, judge_costs, judge_lives, judge_log
from benchmarks.soak_process import Cost, cost_of
from benchmarks.soak_venues import HELD, houses
from liqscape.events import MarkPrice

COUNTED = {"self_checks": 9, "gaps": 3, "journal_ticks": 90, "positions_stated": 4}


def a_life(*, resident_kib: int = 0, files: int = 0, seconds: int = 120) -> Life:
    """Return a life whose engine has at its end so much more than after it had settled."""
    life = Life(0, counters=dict(COUNTED))
    for at in range(0, seconds, 2):
        late = at > (SETTLED_S + seconds) / 2
        grown = 200_000 if at < SETTLED_S else 0  # what it takes while it builds is not counted
        size = 250_000 - grown + late * resident_kib
        life.costs["engine 7"].append(Cost(float(at), at * 0.1, size, 24, 60 + late * files))
    return life


def test_a_process_that_is_flat_once_settled_breaks_no_claim() -> None:
    soak = Soak()

    found = judge_costs(a_life(), soak)

    assert soak.broken == []
    assert found["engine"]["cpu_share"] == pytest.approx(0.1)
    assert (found["engine"]["threads"], found["engine"]["files"]) == ([24, 24], [60, 60])


@pytest.mark.parametrize(
    ("life", "text"),
    [
        (a_life(resident_kib=GROWTH_KIB + 1024), "engine 7 grew by 49 MiB"),
        (a_life(files=9), "engine 7 had 60 files at first and 69 at last"),
    ],
)
def test_what_grows_breaks_a_claim(life: Life, text: str) -> None:
    soak = Soak()

    judge_costs(life, soak)

    assert soak.broken == [text]


def test_a_log_may_have_neither_tracebacks_nor_addresses() -> None:
    clean, dirty = Soak(), Soak()
    line = "2026-11-26T22:16:14.997Z warning liqscape.feeds: reading\n"

    levels = judge_log(line * 2 + line.replace("warning", "info"), clean)
    judge_log(line + "Traceback (most recent call last):\n" + "".join(name.upper() for name in HELD), dirty)

    assert (clean.broken, levels) == ([], {"warning": 2, "info": 1})
    assert dirty.broken == ["the log has 1 tracebacks", *(f"the log has the address of account {n}" for n in range(3))]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"self_check_differences": 1}, "life 0: 1 self_check_differences"),
        ({"self_checks": 0}, "life 0: no self_checks"),
    ],
)
def test_counters_of_a_life_say_whether_grids_were_checked(changes: dict[str, int], text: str) -> None:
    life, soak = a_life(), Soak()
    life.counters |= changes
    soak.lives.append(life)

    judge_lives(soak)

    assert soak.broken == [text]


def test_every_symbol_of_a_house_trades_at_a_price_of_its_own() -> None:
    house = houses(("BTC", "ETH"))["okx"]

    happened = house.market.step(1_795_219_200 * 10**9, 2.0)

    prices = {
        event.instrument_id: event.price / 10 ** house.speaker.listings[event.instrument_id].instrument.price_decimals
        for event, _ in happened
        if isinstance(event, MarkPrice)
    }
    assert {name.split(":")[1][:3] for name in prices} == {"BTC", "ETH"}
    assert all((price > 60_000) == (":BTC" in name) for name, price in prices.items())
    assert all((price < 4_000) == (":ETH" in name) for name, price in prices.items())


def test_a_process_that_has_ended_costs_nothing() -> None:
    assert cost_of(2**22 + 1) is None
