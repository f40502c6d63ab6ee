"""The data folder of a server, and the settings that what lies in it was made under."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from liqscape.archive.archivist import Archivist
from liqscape.archive.retention import Retention
from liqscape.config import ServeConfig
from liqscape.errors import ConfigError
from liqscape.feeds.source import SourceDescription
from liqscape.journal.data_folder import DataFolder
from liqscape.keeper import Keeper
from liqscape.model_file import ModelFile


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
    model: ModelFile,
    rolls_per_tick: int,
    archive: Archivist | None = None,
) -> Keeper:
    """Return the keeper of a folder.

    Args:
        folder: open.
        config: of the server.
        about: its input.
        model: the mixes in force.
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
        "instruments": {i.instrument_id: hashlib.sha256(repr(i).encode()).hexdigest()[:16] for i in about.instruments},
        "inflow_mixes": {name: list(mix) for name, mix in model.inflow_mixes.items()},
        "size_mixes": {name: list(mix) for name, mix in model.size_mixes.items()},
        "with_open_only": config.with_open_only,
        "rolls_per_tick": rolls_per_tick,
        "start_ns": about.start_ns,
    }
    kept = folder.settings()
    if kept is None:
        folder.keep_settings(settings)
    else:
        _require_same(kept, settings, folder)
    return Keeper(folder, settings, config.journal_sync, config.snapshot_seconds, archive=archive)


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
    differing = sorted(name for name in {*kept, *wanted} if kept.get(name) != wanted.get(name))
    if differing:
        raise ConfigError(
            f"data folder {folder.folder} was made with other settings of {', '.join(differing)};"
            " start with those, or with another folder"
        )
