"""Whose price a symbol has when its venues tell theirs in turn.

Seen to fail when broken on purpose: leading_price.py, the first of a tick taken as before; without the margin of a
lead; a leader that is silent kept for ever; symbol_model.py, a snapshot without the leader, candles of every bar.
"""

from __future__ import annotations

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import TickEnd
from liqscape.grid.leading_price import SILENT_NS, LeadingPrice
from liqscape.grid.shard import Shard
from liqscape.instruments import find_instrument
from liqscape.market.bars import Bar, PriceRange
from tests.unit.synthetic_market import at, mark, open_interest, trade

MINUTE = 29_430_150
SMALL, LARGE = find_instrument("binance:BTCUSDC"), find_instrument("binance:BTCUSDT")

LOTS = {"small": 100, "large": 1_000, "alike": 1_100}


def heard(price: LeadingPrice, *ticks: tuple[int, dict[str, int]]) -> list[int]:
    """Return the price after each tick; a tick is its time and what instruments tell in it."""
    found = []
    for time_ns, closes in ticks:
        ranges = {name: PriceRange(close, close, close, close) for name, close in closes.items()}
        price.follow([Bar(name, "BTC", 1, 1, told, None, None, time_ns) for name, told in ranges.items()])
        price.elect(lambda name, price: LOTS[name])
        found.append(price.price)
    return found


def test_price_is_that_of_the_most_open_interest_and_does_not_hop_to_who_speaks() -> None:
    ticks = [(1, {"small": 50, "large": 70}), (2, {"small": 51, "large": 71}), (3, {"small": 52}), (4, {"large": 72})]

    assert heard(LeadingPrice(), *ticks) == [50, 71, 71, 72]


def test_two_that_are_alike_do_not_take_turns() -> None:
    ticks = [(1, {"large": 70}), (2, {"alike": 80}), (3, {"large": 71, "alike": 81})]

    assert heard(LeadingPrice(), *ticks) == [70, 70, 71]


def test_a_leader_that_is_silent_is_followed_by_another_until_it_is_back() -> None:
    late = 2 + SILENT_NS
    quiet = [(1, {"large": 70}), (late - 1, {"small": 49}), (late, {"small": 50}), (late + 1, {"small": 51})]
    back = [(late + 2, {"large": 72}), (late + 3, {"large": 73})]

    assert heard(LeadingPrice(), *quiet, *back) == [70, 70, 70, 51, 51, 73]


def test_a_tick_without_a_price_changes_nothing() -> None:
    price = LeadingPrice(70, "large", 1)

    assert heard(price, (9, {})) == [70]
    assert price.leader == "large"


def _shard() -> Shard:
    return Shard([SMALL, LARGE], NumpyBackend(), lambda: 0)


def _prices(shard: Shard, minute: int, *tenths: tuple[int, str]) -> int:
    """Let instruments tell marks, each with what is open, and end the tick; return the price of the symbol."""
    second = 55 if len(tenths) > 1 else 1  # so that both ticks are of one minute to the next, and seconds apart
    for (price, quantity), instrument in zip(tenths, (SMALL, LARGE), strict=False):
        shard.accept(mark(at(minute, second), price, instrument=instrument))
        shard.accept(trade(at(minute, second + 1), price, "1", instrument=instrument))
        shard.accept(open_interest(at(minute, second + 2), quantity, instrument=instrument))
    shard.accept(TickEnd(at(minute + 1)))
    return shard.status()[0].mark_price


def test_a_shard_that_is_restored_goes_on_with_the_price_of_the_same_instrument() -> None:
    shard, restored = _shard(), _shard()
    _prices(shard, MINUTE, (1_000_000, "5"), (1_001_000, "500"))
    both = _prices(shard, MINUTE + 1, (1_000_000, "5"), (1_001_000, "500"))
    restored.restore(shard.snapshot()())
    restored.restate()

    prices = [_prices(each, MINUTE + 2, (1_000_500, "5")) for each in (shard, restored)]

    assert prices == [both, both]
    assert both == shard.engine("BTC").scale.price_units(1_001_000, 1)


def test_candles_are_of_the_price_that_is_told() -> None:
    shard = _shard()
    for minute in (MINUTE, MINUTE + 1, MINUTE + 2):
        told = _prices(shard, minute, (1_000_000, "5"), (1_001_000, "500"))

    candles = shard.view()["BTC"].channels["12h"].candles

    newest = [int(getattr(candles, name)[-1]) for name in ("open", "high", "low", "close")]
    assert newest == [told] * 4
