"""What a run on a GPU found: figures beside their floors, targets and predictions, comparisons, what did not run."""

from __future__ import annotations

import gc
import math
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

UNITS: Final = ("ms", "us", "GB/s", "G/s", "x")
MORE_IS_BETTER: Final = ("GB/s", "G/s", "x")


@dataclass(frozen=True, slots=True)
class Spread:
    """Of several measurements of the same thing."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values), len(values))

    def scaled(self, factor: float) -> Spread:
        """Return the same in another unit."""
        return Spread(self.median * factor, self.least * factor, self.most * factor, self.count)

    def rate(self, amount: float) -> Spread:
        """Return how much a unit of time, of an amount that took these times."""
        if self.least <= 0:
            return Spread(0.0, 0.0, 0.0, self.count)  # a clock too coarse for it
        return Spread(amount / self.median, amount / self.most, amount / self.least, self.count)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure.

    Attributes:
        key: as in the predictions.
        what: for people.
        unit: one of UNITS.
        spread: what was measured.
        floor: what no program can beat, in the same unit; None where nothing is known.
        wanted: what it should reach, at most for times, at least for rates and ratios.
        note: how to read it.
    """

    key: str
    what: str
    unit: str
    spread: Spread
    floor: float | None = None
    wanted: float | None = None
    note: str = ""

    @property
    def over_floor(self) -> float | None:
        """Return how many times the floor this is; for rates, how many times less."""
        if not self.floor or not self.spread.median:
            return None
        is_rate = self.unit in MORE_IS_BETTER
        return self.floor / self.spread.median if is_rate else self.spread.median / self.floor

    @property
    def is_missed(self) -> bool:
        """Return whether something was wanted and not reached."""
        if self.wanted is None:
            return False
        return self.spread.median < self.wanted if self.unit in MORE_IS_BETTER else self.spread.median > self.wanted


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results that must be equal.

    Attributes:
        detail: where they differ; empty where they do not.
    """

    what: str
    equal: bool
    detail: str = ""


@dataclass(slots=True)
class Outcome:
    """Everything a run found so far.

    Args:
        minutes: the run must be over by then.
        say: shows a line to people.
        keep: called after each step, so that a run that is ended leaves what it has found.
        is_lost: tells after a step that broke off whether the device is of no use any more.

    Attributes:
        lost_in: the step that broke it; no other is begun then.
    """

    minutes: float
    say: Callable[[str], None] = print
    keep: Callable[[], None] = lambda: None
    is_lost: Callable[[], bool] = lambda: False
    figures: list[Figure] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    is_finished: bool = False
    lost_in: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """Return what is left of the time of the whole run."""
        return self.minutes * 60 - (time.monotonic() - self.started)

    def add(self, figure: Figure) -> None:
        """Take a figure, and show it."""
        assert figure.unit in UNITS, figure
        assert all(map(math.isfinite, (figure.spread.median, figure.spread.least, figure.spread.most))), figure
        assert all(figure.key != other.key for other in self.figures), figure.key
        self.figures.append(figure)
        self.say(f"  {figure.what}: {shown(figure.spread, figure.unit)}")

    def compare(self, what: str, differences: Iterable[str]) -> bool:
        """Take a comparison: what differs, in words; return whether nothing does."""
        found = [difference for difference in differences if difference]
        self.comparisons.append(Comparison(what, not found, "; ".join(found[:3])))
        self.say(f"  {what}: {'equal' if not found else 'DIFFERS: ' + found[0]}")
        return not found

    def skip(self, what: str, reason: str) -> None:
        """Say that something was left out, and why."""
        self.skipped.append((what, reason))
        self.say(f"  {what}: skipped, {reason}")

    def attempt(self, name: str, work: Callable[[], _T]) -> _T | None:
        """Do a step: time it, and return what it returns; keep its error instead of passing it on."""
        if self.lost_in:
            self.skip(name, f"the device is lost since {self.lost_in}")
            return None
        begun = time.monotonic()
        self.say(f"{name} ({self.seconds_left:.0f} s left)")
        try:
            return work()
        except Exception:
            self._fail(name)
            if self.is_lost():
                self.lost_in = name
                self.say("  the device is of no use any more: no other step is begun")
            return None
        finally:
            gc.collect()  # a backend is a cycle, and holds memory of the device
            self.seconds[name] = round(time.monotonic() - begun, 2)
            try:
                self.keep()
            except Exception:  # a disk that is full is no reason to measure nothing more
                self._fail(f"{name}, keeping what it found")

    def has_time_for(self, name: str, seconds: float) -> bool:
        """Return whether some seconds are left; say so where they are not."""
        if self.seconds_left >= seconds:
            return True
        self.skip(name, f"it needs some {seconds:.0f} s, {max(self.seconds_left, 0):.0f} are left")
        return False

    def _fail(self, name: str) -> None:
        """Keep the error that is being handled."""
        self.failures.append((name, traceback.format_exc()))
        self.say(f"  FAILED: {traceback.format_exc(limit=-2)}")

    @property
    def all_equal(self) -> bool:
        """Return whether something was compared and everything was equal."""
        return bool(self.comparisons) and all(comparison.equal for comparison in self.comparisons)

    def missed(self) -> list[str]:
        """Return what was wanted and not reached."""
        return [
            f"{f.what}: {shown(f.spread, f.unit)}, wanted {'at least' if f.unit in MORE_IS_BETTER else 'below'}"
            f" {f.wanted:g} {f.unit}"
            for f in self.figures
            if f.is_missed and f.wanted is not None
        ]

    def result(self, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "figures": [asdict(figure) | {"over_floor": figure.over_floor} for figure in self.figures],
            "predictions": list(predictions),
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "skipped": [{"what": what, "reason": reason} for what, reason in self.skipped],
            "failures": [{"step": step, "traceback": text} for step, text in self.failures],
            "seconds": self.seconds,
            "facts": self.facts,
            "wanted_and_not_reached": self.missed(),
            "finished": self.is_finished,
        }


def shown(spread: Spread, unit: str) -> str:
    """Say a spread in a few characters: the median, and where there are several, from the least to the most."""
    if spread.count == 1:
        return f"{number(spread.median)} {unit}"
    return f"{number(spread.median)} {unit} ({number(spread.least)} to {number(spread.most)}, {spread.count} times)"


def number(value: float) -> str:
    """Return a number with about three digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
