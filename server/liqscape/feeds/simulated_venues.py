"""Many venues from one simulated market: each symbol has a leader, the others follow its price in their own ways.

What a venue trades and holds is its own: drawn by itself, in coins or in contracts, and said at its own pace, late on
some. So the model meets what real venues do to it: different rules, samples that lag, one that falls silent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqscape.errors import ConfigError
from liqscape.events import QUANTITY_DECIMALS, Gap
from liqscape.feeds import simulated_market as shared
from liqscape.feeds.simulated_live import SECOND_NS
from liqscape.feeds.simulated_market import PROFILES, MarketProfile
from liqscape.feeds.simulated_past import YEAR_MINUTES, FactorYear, MarketYear, SimulatedPrices, market_at
from liqscape.instruments import Instrument, find_instrument

MANY: Final = (
    "binance:BTCUSDT",
    "binance:BTCUSD_PERP",
    "bitget:BTCUSDT",
    "bybit:BTCUSDT",
    "deribit:BTC-PERPETUAL",
    "kraken:PF_XBTUSD",
    "okx:BTC-USDT-SWAP",
    "binance:ETHUSDT",
    "binance:ETHUSD_PERP",
    "bitget:ETHUSDT",
    "bybit:ETHUSDT",
    "deribit:ETH-PERPETUAL",
    "kraken:PF_ETHUSD",
    "okx:ETH-USDT-SWAP",
)
"""Seven kinds of rules for each symbol: caps from 50x to 150x, two fees, linear and inverse."""

BASIS_MINUTES: Final = 30
"""How long a venue keeps its distance from its leader in the past."""


@dataclass(frozen=True, slots=True)
class VenueHabits:
    """How big a venue is beside the leader, and how it speaks.

    Attributes:
        open_interest_share: of the leader's, in value.
        volume_share: of the leader's, in value.
        sample_seconds, sample_lag_seconds, mark_follow: see MarketProfile.
    """

    open_interest_share: float
    volume_share: float
    sample_seconds: int
    sample_lag_seconds: int
    mark_follow: float


HABITS: Final = {
    ("binance", "inverse"): VenueHabits(0.17, 0.09, 60, 20, 0.7),
    ("bitget", "linear"): VenueHabits(0.34, 0.30, 5, 2, 0.5),
    ("bybit", "linear"): VenueHabits(0.55, 0.45, 1, 0, 0.4),
    ("bybit", "inverse"): VenueHabits(0.10, 0.04, 1, 0, 0.4),
    ("deribit", "inverse"): VenueHabits(0.14, 0.05, 1, 0, 0.6),
    ("kraken", "linear"): VenueHabits(0.034, 0.02, 60, 10, 0.3),
    ("kraken", "inverse"): VenueHabits(0.01, 0.004, 60, 10, 0.3),
    ("okx", "linear"): VenueHabits(0.31, 0.35, 3, 1, 0.8),
    ("okx", "inverse"): VenueHabits(0.10, 0.05, 3, 1, 0.8),
}
"""By venue and kind of contract. Shares of open interest are those of public payloads of 2025 and 2026 beside the
90,000 BTC of the leader, pace is that of the venue's stream or of a poll; volumes are ours."""

DEFAULT_HABITS: Final = VenueHabits(0.1, 0.08, 5, 0, 0.7)
"""Of an instrument that is not in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A venue says nothing from so many seconds of live ticks on, for so many; then it is back, and a Gap says so."""

    venue: str
    after_seconds: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """The shared factor changes by so much within so many seconds; two fifths come back over four times as long."""

    after_seconds: int
    change: float
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What the live ticks are made to show, beside what their dice do."""

    name: str
    crashes: tuple[Crash, ...] = ()
    outages: tuple[Outage, ...] = ()


_CRASH: Final = Crash(after_seconds=30, change=-0.07, seconds=240)
"""Almost 2 % a minute: as fast as real cascades get."""

USUAL: Final = Scenario(name="usual")
SCENARIOS: Final = (
    USUAL,
    Scenario(name="crash", crashes=(_CRASH,)),
    Scenario(name="outage", outages=(Outage(venue="bybit", after_seconds=30, seconds=60),)),
    Scenario(
        name="crash-outage",
        crashes=(_CRASH,),
        outages=(
            Outage(venue="bybit", after_seconds=60, seconds=90),
            Outage(venue="binance", after_seconds=180, seconds=45),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class SimulatedVenue:
    """One instrument of a simulation. leader: instrument id of the market it follows, None for the leader itself."""

    instrument: Instrument
    profile: MarketProfile
    leader: str | None


def find_scenario(name: str) -> Scenario:
    """Return a scenario by name.

    Raises:
        ConfigError: it is unknown.
    """
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    raise ConfigError(f"scenario {name!r} is unknown; use one of {', '.join(s.name for s in SCENARIOS)}")


def many_venues(symbols: tuple[str, ...]) -> tuple[Instrument, ...]:
    """Return the instruments of MANY that are of these symbols."""
    return tuple(i for i in map(find_instrument, MANY) if i.symbol in symbols)


def venues_of(symbols: tuple[str, ...], instruments: Iterable[Instrument] | None) -> tuple[SimulatedVenue, ...]:
    """Return what to simulate, by symbol: None = the leaders alone.

    Raises:
        ConfigError: an instrument is repeated or of another symbol, or a symbol has none.
    """
    leaders = {symbol: find_instrument(PROFILES[symbol].instrument_id) for symbol in symbols}
    chosen = tuple(instruments) if instruments is not None else tuple(leaders.values())
    ids = [i.instrument_id for i in chosen]
    if len(set(ids)) != len(ids):
        raise ConfigError(f"instruments {ids!r} are repeated; name each once")
    for instrument in chosen:
        if instrument.symbol not in leaders:
            known = ", ".join(symbols)
            raise ConfigError(f"instrument {instrument.instrument_id!r} is of {instrument.symbol}, not of {known}")
    found: list[SimulatedVenue] = []
    for symbol, leader in leaders.items():
        of_symbol = [i for i in chosen if i.symbol == symbol]
        if not of_symbol:
            raise ConfigError(f"symbol {symbol!r} has no instrument; name one")
        found += [_venue(i, leader, PROFILES[symbol]) for i in of_symbol]
    return tuple(found)


def leaders_of(venues: Iterable[SimulatedVenue]) -> tuple[SimulatedVenue, ...]:
    """Return the leader of each symbol, whether or not it is among them."""
    symbols = dict.fromkeys(venue.instrument.symbol for venue in venues)
    found = (find_instrument(PROFILES[symbol].instrument_id) for symbol in symbols)
    return tuple(SimulatedVenue(leader, PROFILES[leader.symbol], None) for leader in found)


def follow_market(
    venue: SimulatedVenue, leader: Instrument, led: MarketYear, seed: int, factor: FactorYear, first_minute: int
) -> MarketYear:
    """Return the year of a market that follows another.

    Args:
        venue: the follower.
        leader: instrument of the market it follows.
        led: the year of that market.
        seed: of the simulation.
        factor: the same for every market of the simulation.
        first_minute: minute since 1970 at which the year starts.
    """
    generator = shared.generator_for(seed, 0, venue.profile.instrument_id)
    draws = shared.bell(generator.random((YEAR_MINUTES + BASIS_MINUTES + 1, 4)))
    sums = np.cumsum(draws)
    basis = (sums[BASIS_MINUTES:] - sums[:-BASIS_MINUTES]) * (shared.BASIS_DEVIATION / np.sqrt(BASIS_MINUTES))
    price = np.concatenate((led.open[:1], led.close)) / float(10**leader.price_decimals) * (1.0 + basis)
    prices = SimulatedPrices(price, float(basis[-1]), led.price_scale)
    return market_at(prices, venue.profile, venue.instrument.price_decimals, generator, factor, first_minute)


class Silence:
    """Which venues say nothing, and the gaps that leaves.

    Args:
        outages: of a scenario.
        start_ns: where the live ticks begin.
    """

    def __init__(self, outages: Iterable[Outage], start_ns: int) -> None:
        self._outages = tuple(outages)
        self._start_ns = start_ns
        self._since: dict[str, int] = {}  # by instrument id

    def covers(self, instrument: Instrument, begin_ns: int) -> bool:
        """Return whether a tick that begins then has nothing from the venue."""
        passed = begin_ns - self._start_ns
        return any(
            outage.venue == instrument.venue
            and outage.after_seconds * SECOND_NS <= passed < (outage.after_seconds + outage.seconds) * SECOND_NS
            for outage in self._outages
        )

    def ended(self, instruments: Iterable[Instrument], begin_ns: int) -> list[Gap]:
        """Return the gaps of those that are back in the tick that begins then; to be asked once a tick."""
        gaps: list[Gap] = []
        for instrument in instruments if self._outages else ():
            name = instrument.instrument_id
            if self.covers(instrument, begin_ns):
                self._since.setdefault(name, begin_ns)
            elif name in self._since:
                gaps.append(Gap(name, self._since.pop(name), begin_ns, "the simulated venue was silent"))
        return gaps


def _venue(instrument: Instrument, leader: Instrument, profile: MarketProfile) -> SimulatedVenue:
    if instrument.instrument_id == leader.instrument_id:
        return SimulatedVenue(instrument, profile, None)
    habits = HABITS.get((instrument.venue, instrument.contract), DEFAULT_HABITS)
    # An inverse venue trades whole contracts; how many are worth a coin is fixed at the profile's price.
    per_coin, step = 1.0, profile.quantity_step
    if instrument.contract_value is not None:
        per_coin, step = profile.price / float(instrument.contract_value), 10**QUANTITY_DECIMALS
    follower = replace(
        profile,
        instrument_id=instrument.instrument_id,
        hourly_volume=profile.hourly_volume * habits.volume_share * per_coin,
        open_interest=profile.open_interest * habits.open_interest_share * per_coin,
        quantity_step=step,
        sample_seconds=habits.sample_seconds,
        sample_lag_seconds=habits.sample_lag_seconds,
        mark_follow=habits.mark_follow,
    )
    return SimulatedVenue(instrument, follower, leader.instrument_id)
