"""Check the types that the page's comments declare, strictly, by tsc.

    python3 clients/web/check_types.py

Where the packages are not installed and cannot be, the exit status is 77 and the reason is printed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from clients.web import packages  # noqa: E402  (run as a script, from anywhere)

COMPILER: Final = packages.HERE / "node_modules" / ".bin" / "tsc"


def main() -> int:
    """Run the check; return its exit status."""
    reason = packages.install(packages.HERE)
    if reason:
        print(f"no check of the page's types: {reason}")
        return packages.SKIPPED
    return subprocess.run([str(COMPILER), "--project", str(packages.HERE)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
