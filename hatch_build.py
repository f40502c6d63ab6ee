"""Put the page into what is built: the files of clients/web/assets.json, as liqscape/web in a wheel.

Packages that the page imports are fetched, not kept in the repository. What is not there is left out: the server then
says what is missing, and serves everything else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE: Final = "clients/web"
INSTALLED: Final = "liqscape/web"
LIST: Final = "assets.json"


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the files of the page."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name each file and where it goes. An editable install reads the checkout itself: a copy would grow old."""
        if version == "editable":
            return
        page = Path(self.root) / PAGE
        listed = json.loads((page / LIST).read_text("utf-8"))["files"]
        target = INSTALLED if self.target_name == "wheel" else PAGE
        for name in (LIST, *listed):
            if (page / name).is_file():
                build_data["force_include"][str(page / name)] = f"{target}/{name}"
