"""Is anything lost when an engine is killed? Kills 500 of them at random moments and looks.

    python -m benchmarks.kill_engines
    python -m benchmarks.kill_engines --kills 50 --seed 7

Each engine has a journal and snapshots in a folder that the next one starts from; it must have every tick that was
committed, and send what one sends that was never killed. How that is judged is said in tests/crash/harness.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks import report
from tests.crash.harness import Lost, run

KILLS: Final = 500
SEED: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="kill engines and look whether anything was lost")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"(default {KILLS})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the moments and the markets (default {SEED})")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        found = run(options.kills, options.seed)
    except Lost as lost:
        print(f"LOST, seed {options.seed}: {lost}")
        return 1
    seconds = time.monotonic() - started
    moments = ", ".join(f"{count} {what}" for what, count in sorted(found.kills.items()))
    print(f"{options.kills} kills ({moments}): none of {found.committed:,} committed ticks is lost")
    print(f"{found.maintaining} of them while the journal was maintained")
    print(f"{found.compared:,} ticks are those of an engine that was never killed; {seconds:.0f} s")
    if options.kills >= KILLS:
        figures = {
            "kills / committed ticks lost": f"{options.kills} / 0",
            "in the middle of a start / of a snapshot": f"{found.kills['start']} / {found.kills['snapshot']}",
            "of a compaction / of maintenance": f"{found.kills['compaction']} / {found.maintaining}",
            "newest snapshot broken before the start": f"{found.damaged}, each found",
            "ticks compared with an engine never killed": f"{found.compared:,}, all equal",
            "took": f"{seconds:.0f} s",
        }
        details = {"seed": options.seed, "kills": dict(found.kills), "committed": found.committed}
        report.store("engine_kills", "Is anything lost when an engine is killed?", figures, details)
    return 0


if __name__ == "__main__":
    sys.exit(main())
