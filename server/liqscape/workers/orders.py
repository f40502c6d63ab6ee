"""What a supervisor tells a process it has started, on its standard input. The answer comes on its standard output."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liqscape.config import ServeConfig

HURRY: Final = signal.SIGUSR1
"""Not SIGINT: a process that does not listen yet, or no more, would end with the traceback of a KeyboardInterrupt."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What every process logs, and how; see liqscape.logs."""

    format: str = "text"
    level: str = "warning"


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to be.

    Attributes:
        is_engine: the engine, else an edge.
        life: its number, unique in the server.
        config: of the whole server.
        folder: where the sockets are.
        logs: what it logs.
    """

    is_engine: bool
    life: int
    config: ServeConfig
    folder: Path
    logs: LogSettings
