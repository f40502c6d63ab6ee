"""The data folder of a server, and the settings that what lies in it was made under."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from liqscape.archive.archivist import Archivist
from liqscape.archive.retention import Retention
from liqscape.config import ServeConfig
from liqscape.errors import ConfigError
from liqscape.feeds.source import SourceDescription
from liqscape.instruments import Instrument
from liqscape.journal.data_folder import DataFolder
from liqscape.keeper import Keeper
from liqscape.market.terms import Terms, UnreadableTerms, terms_as_plain, terms_of_plain
from liqscape.positions.inflow import all_terms
from liqscape.recovery import TERMS
from liqscape.told_tables import that_can_follow


def open_data_folder(config: ServeConfig) -> tuple[DataFolder | None, int | None]:
    """Return the data folder of a server, if it has one, and when the simulation in it began, if one did.

    Raises:
        ConfigError: it cannot be used.
    """
    if config.data is None:
        return None, None
    folder = DataFolder(config.data)
    try:
        kept = folder.settings()
    except BaseException:
        folder.close()
        raise
    return folder, None if kept is None else kept.get("start_ns")


def keeper_of(
    folder: DataFolder,
    config: ServeConfig,
    about: SourceDescription,
    wanted: Sequence[Terms],
    rolls_per_tick: int,
    archive: Archivist | None = None,
) -> Keeper:
    """Return the keeper of a folder.

    Args:
        folder: open.
        config: of the server.
        about: its input.
        wanted: terms of its instruments, by their order.
        rolls_per_tick: in force.
        archive: of the folder, if days are to be kept.

    Raises:
        ConfigError: other settings have made what is in the folder; names them.
    """
    source = config.source
    settings: dict[str, Any] = {
        "source": source.kind if source.manifest is None else f"{source.kind} {source.manifest.name}",
        "seed": source.seed if source.kind == "simulate" else None,
        "scenario": source.scenario,
        "with_open_only": config.with_open_only,
        "rolls_per_tick": rolls_per_tick,
        "start_ns": about.start_ns,
    }
    kept = folder.settings()
    first = {terms.instrument_id: terms for terms in wanted}
    if kept is not None:
        first = _first_terms(kept, about.instruments, folder)
        _require_same(kept, settings, folder)
        _require_exact(first, wanted, folder)
    if kept is None or TERMS not in kept:
        folder.keep_settings({**settings, TERMS: terms_as_plain(first.values())})
    return Keeper(
        folder,
        settings,
        config.journal_sync,
        config.snapshot_seconds,
        first_terms=tuple(first.values()),
        archive=archive,
    )


def _first_terms(kept: Mapping[str, Any], instruments: Sequence[Instrument], folder: DataFolder) -> dict[str, Terms]:
    """Return the terms in force before the first tick of a folder, or as of the snapshot its settings are taken from.

    Raises:
        ConfigError: they cannot be told: an older version wrote down of rules what shows that they are others, no more.
    """
    if TERMS in kept:
        try:
            return terms_of_plain(kept[TERMS])
        except UnreadableTerms as error:
            raise ConfigError(f"{folder.settings_path} was written by another version: {error}") from error
    digests = {i.instrument_id: hashlib.sha256(repr(i).encode()).hexdigest()[:16] for i in instruments}
    if kept.get("instruments") != digests:
        raise _other_settings(folder, "instruments")
    found = all_terms(instruments, kept.get("inflow_mixes"), kept.get("size_mixes"))
    return {terms.instrument_id: terms for terms in found}


def archivist_of(folder: DataFolder, config: ServeConfig, about: SourceDescription) -> Archivist | None:
    """Return who keeps the days of a folder; None where none are to be kept.

    Args:
        folder: open.
        config: of the server.
        about: its input.
    """
    if not config.archive_days:
        return None
    retention = Retention(days=config.archive_days, most_bytes=config.archive_bytes)
    return Archivist(folder.archive_path, about.instruments, retention)


def _require_same(kept: Mapping[str, Any], wanted: Mapping[str, Any], folder: DataFolder) -> None:
    differing = sorted(name for name, value in wanted.items() if kept.get(name) != value)
    if differing:
        raise _other_settings(folder, ", ".join(differing))


def _require_exact(first: Mapping[str, Terms], wanted: Sequence[Terms], folder: DataFolder) -> None:
    """Refuse terms that cannot follow on the first ones: keys, units and what liquidates must stay what they are."""
    if set(first) != {terms.instrument_id for terms in wanted}:
        raise _other_settings(folder, "instruments")
    try:
        that_can_follow(wanted, first.values())
    except ConfigError as error:
        raise _other_settings(folder, str(error)) from None


def _other_settings(folder: DataFolder, what: str) -> ConfigError:
    return ConfigError(
        f"data folder {folder.folder} was made with other settings of {what}; start with those, or with another folder"
    )
