"""The input that a configuration asks for."""

from __future__ import annotations

from liqscape.clock import Clock
from liqscape.config import MANY_VENUES, SourceConfig
from liqscape.errors import ConfigError
from liqscape.feeds.source import EventSource
from liqscape.instruments import Instrument, find_instrument


def build_source(config: SourceConfig, clock: Clock, start_ns: int | None = None) -> EventSource:
    """Return the input a configuration asks for; of a simulation, the one that began then.

    Raises:
        ConfigError: a setting does not fit the kind. InputDataError: the recording breaks a rule.
    """
    if config.kind == "simulate":
        return _build_simulation(config, clock, start_ns)
    from liqscape.feeds.history import HistorySource
    from liqscape.feeds.recordings import recordings_folder

    if config.manifest is None:
        raise ConfigError("source history needs a manifest; use history:FILE")
    if config.venues is not None or config.scenario != "usual":
        raise ConfigError("venues and scenario are of a simulation; a recording has its own")
    return HistorySource(
        config.manifest,
        recordings=config.recordings or recordings_folder(),
        symbols=config.symbols,
        speed=config.speed,
        clock=clock,
    )


def _build_simulation(config: SourceConfig, clock: Clock, start_ns: int | None) -> EventSource:
    from liqscape.feeds.simulate import SimulateSource
    from liqscape.feeds.simulated_venues import find_scenario, many_venues

    if config.speed is None:
        raise ConfigError("speed 'max' needs a recording; use a number with simulate")
    symbols = config.symbols or ("BTC", "ETH")
    instruments: tuple[Instrument, ...] | None = None
    if config.venues is not None:
        many = config.venues == (MANY_VENUES,)
        instruments = many_venues(symbols) if many else tuple(find_instrument(name) for name in config.venues)
    return SimulateSource(
        seed=config.seed,
        symbols=symbols,
        instruments=instruments,
        scenario=find_scenario(config.scenario),
        clock=clock,
        start_ns=start_ns,
        follows_clock=True,
        speed=config.speed,
    )
