"""How the bars of a tick become steps of the books."""

from __future__ import annotations

from collections.abc import Sequence

from liqscape.market.bars import Bar


def steps_by_symbol(bars: Sequence[Bar], symbols: Sequence[str]) -> dict[str, list[list[Bar]]]:
    """Return the steps of each symbol that has any; see steps_of."""
    found = {symbol: steps_of([bar for bar in bars if bar.symbol == symbol]) for symbol in symbols}
    return {symbol: steps for symbol, steps in found.items() if steps}


def steps_of(bars: Sequence[Bar]) -> list[list[Bar]]:
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
    return steps
