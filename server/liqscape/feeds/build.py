"""The input that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from liqscape.clock import Clock
from liqscape.config import LISTENING, MANY_VENUES, SourceConfig
from liqscape.errors import ConfigError, NotFound
from liqscape.feeds.source import EventSource
from liqscape.feeds.venues.dialect import Listing, Venue
from liqscape.instruments import Instrument, find_instrument

if TYPE_CHECKING:  # they need what only listening needs
    from liqscape.feeds.live.account_desk import Following
    from liqscape.feeds.live.replay import ReplaySource


def build_source(
    config: SourceConfig,
    clock: Clock,
    start_ns: int | None = None,
    account_key: Callable[[], bytes] | None = None,
) -> EventSource:
    """Return the input a configuration asks for.

    Args:
        config: what is asked for.
        clock: of what is live or simulated.
        start_ns: when a simulation began; None: it begins now.
        account_key: returns the key by which accounts are the same ones after a restart; None: they need not be.

    Raises:
        ConfigError: a setting does not fit the kind. InputDataError: the recording breaks a rule.
    """
    if config.kind != "live" and (config.accounts is not None or config.find_accounts):
        raise ConfigError("accounts and find-accounts are of live venues; use --source live")
    if config.kind == "simulate":
        return _build_simulation(config, clock, start_ns)
    if config.kind in LISTENING:
        return _build_listening(config, clock, account_key)
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


def _build_listening(config: SourceConfig, clock: Clock, account_key: Callable[[], bytes] | None) -> EventSource:
    if config.scenario != "usual":
        raise ConfigError("scenario is of a simulation; venues have their own")
    if config.kind == "replay":
        return build_replay(config, clock)
    from liqscape.feeds.live.source import LiveSource
    from liqscape.feeds.live.table_fetching import TableKeeper
    from liqscape.feeds.live.transport import through_relay
    from liqscape.feeds.table_file import TableFile
    from liqscape.feeds.tables import TableBoard
    from liqscape.feeds.venues.registry import RECORDED_ONLY

    if config.speed != 1.0:
        raise ConfigError("speed is of a recording or a simulation; venues have their own")
    closed = [name for name in config.venues or () if name in RECORDED_ONLY]
    if closed:
        raise ConfigError(f"{', '.join(closed)} cannot be listened to any more; only recordings are read")
    venues, listings = wanted_venues(config.venues, config.symbols)
    rewrite = (lambda url: url) if config.relay is None else through_relay(config.relay)
    shipped = {each.instrument_id: each.instrument for of_venue in listings.values() for each in of_venue}
    file = None if config.kept_tables is None else TableFile(config.kept_tables)
    if config.margin_tables == "fetch":
        tables = TableBoard(shipped.values(), () if file is None else file.read(shipped))
        asked_tables = TableKeeper(tables, file)
    else:
        tables, asked_tables = TableBoard(shipped.values()), None
        for name in shipped:
            tables.note(name, "no venue is asked: margin-tables is shipped")
    live = LiveSource(
        venues,
        listings,
        clock,
        rewrite=rewrite,
        following=_following(config, venues, account_key),
        tables=tables,
        asked_tables=asked_tables,
    )
    if config.past is None:
        return live
    from liqscape.feeds.backfill.with_past import WithPast

    return WithPast(live, config.past, venues, listings, clock)


def _following(
    config: SourceConfig, venues: Sequence[Venue], account_key: Callable[[], bytes] | None
) -> Following | None:
    """Return which accounts are followed, and where."""
    from liqscape.feeds.accounts_file import read_accounts
    from liqscape.feeds.live.account_desk import Following
    from liqscape.feeds.venues.registry import VENUES

    if config.accounts is None and not config.find_accounts:
        return None
    able = [venue for venue in venues if venue.accounts is not None]
    if not able:
        known = ", ".join(sorted(venue.name for venue in VENUES.values() if venue.accounts is not None))
        raise ConfigError(f"no venue that is listened to shows positions of accounts; those that do: {known}")
    venue = able[0]  # there is one such venue; a second will want to say whose addresses a file has
    assert venue.accounts is not None
    named = () if config.accounts is None else read_accounts(config.accounts, venue.accounts.address_of)
    return Following(venue.name, named, config.find_accounts, None if account_key is None else account_key())


def build_replay(config: SourceConfig, clock: Clock) -> ReplaySource:
    """Return a capture as a source: of the venues and symbols wanted, else of those that it names itself.

    Raises:
        ConfigError: a venue or symbol is unknown, or neither says which venues it is of. InputDataError: there is none.
    """
    from liqscape.feeds.live.capture_file import Capture
    from liqscape.feeds.live.replay import ReplaySource

    if config.manifest is None:
        raise ConfigError("source replay needs a file; use replay:FILE")
    about = Capture(config.manifest).about()
    names = config.venues or tuple(map(str, about.get("venues", ())))
    if not names:
        raise ConfigError(f"capture {config.manifest} does not say of which venue it is; name it with --venues")
    venues, listings = wanted_venues(names, config.symbols or tuple(map(str, about.get("symbols", ()))) or None)
    return ReplaySource(config.manifest, venues, listings, clock, speed=config.speed)


def wanted_venues(
    names: Sequence[str] | None, symbols: Sequence[str] | None
) -> tuple[tuple[Venue, ...], dict[str, tuple[Listing, ...]]]:
    """Return venues by name (None = the usual ones) that list one of the symbols (None = any), and their listings.

    Raises:
        ConfigError: a venue or symbol is unknown, or a venue named lists none of the symbols.
    """
    from liqscape.feeds.venues.registry import default_venues, find_venue, listings

    try:
        venues = default_venues() if names is None else tuple(map(find_venue, dict.fromkeys(names)))
    except NotFound as error:
        raise ConfigError(str(error)) from None
    found = listings(venues, symbols)
    known = {listing.instrument.symbol for of_venue in listings(venues, None).values() for listing in of_venue}
    for symbol in symbols or ():
        if symbol not in known:
            raise ConfigError(f"symbol {symbol!r} is unknown at these venues; known are {', '.join(sorted(known))}")
    missing = [venue.name for venue in venues if venue.name not in found]
    if names is not None and missing:
        raise ConfigError(f"no instrument of {', '.join(symbols or ('any symbol',))} is known of {', '.join(missing)}")
    return tuple(venue for venue in venues if venue.name in found), found


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
