"""How the bars of a tick, and what is stated in it, become steps of the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from liqscape.market.bars import Bar
from liqscape.positions.stated_changes import AccountNews


@dataclass(frozen=True, slots=True)
class Step:
    """What the books of a symbol take at once: bars of one minute, each instrument once, and what is stated."""

    bars: list[Bar]
    news: AccountNews | None = None

    @property
    def minute(self) -> int:
        """Return the minute it ends in."""
        if self.bars:
            return self.bars[0].minute
        assert self.news is not None
        return self.news.minute


def steps_by_symbol(
    bars: Sequence[Bar], symbols: Sequence[str], news: Mapping[str, AccountNews] | None = None
) -> dict[str, list[Step]]:
    """Return the steps of each symbol that has any.

    Args:
        bars: of a tick.
        symbols: in order.
        news: what is stated, by symbol: part of the last step of the symbol, or a step of its own where it has no bar.
    """
    found = {symbol: steps_of([bar for bar in bars if bar.symbol == symbol]) for symbol in symbols}
    for symbol, said in (news or {}).items():
        steps = found[symbol] or [Step([])]
        found[symbol] = [*steps[:-1], replace(steps[-1], news=said)]
    return {symbol: steps for symbol, steps in found.items() if steps}


def steps_of(bars: Sequence[Bar]) -> list[Step]:
    """Cut bars into steps of the book: of one minute, with each instrument once.

    A sample that was held back is a bar of its own before the one in which the first price came, often of its minute.
    """
    steps: list[list[Bar]] = []
    for bar in bars:
        step = steps[-1] if steps else []
        if not step or step[0].minute != bar.minute or any(b.instrument_id == bar.instrument_id for b in step):
            step = []
            steps.append(step)
        step.append(bar)
    return [Step(step) for step in steps]
