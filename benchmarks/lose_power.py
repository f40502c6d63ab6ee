"""Is anything lost when power is? Loses it 600 times at random operations of a disk and looks.

    python -m benchmarks.lose_power
    python -m benchmarks.lose_power --losses 60 --seed 7

The disk is one that forgets what was not synced, in sectors and in any order, names of files included; journal,
snapshots, maintenance and compaction run on it under each sync policy in turn. What each policy owes, and how it is
judged, is said in tests/crash/power.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks import report
from tests.crash.power import Lost, run

LOSSES: Final = 600
SEED: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="lose power and look whether anything was lost that was owed")
    parser.add_argument("--losses", type=int, default=LOSSES, help=f"(default {LOSSES})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the moments and the markets (default {SEED})")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        found = run(options.losses, options.seed)
    except Lost as lost:
        print(f"LOST, seed {options.seed}: {lost}")
        return 1
    seconds = time.monotonic() - started
    moments = ", ".join(f"{count} in {what}" for what, count in sorted(found.moments.items()))
    by_policy = {sync: f"{found.lost[sync]} / {found.damaged[sync]}" for sync in found.damaged}
    print(f"power lost {options.losses} times ({moments}); every start was a state that was there; {seconds:.0f} s")
    print(f"committed ticks gone / starts that found damage: {by_policy}")
    if options.losses >= LOSSES:
        figures = {
            "losses of power": f"{options.losses}, a third under each policy",
            "starts that were not a state that was there": "0",
            **{f"policy {sync}: committed ticks gone / damage found": told for sync, told in by_policy.items()},
            "took": f"{seconds:.0f} s",
        }
        report.store(
            "power_losses",
            "Is anything lost when power is?",
            figures,
            {"seed": options.seed, "moments": dict(found.moments), "committed": found.committed},
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
