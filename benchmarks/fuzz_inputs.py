"""Does anything that a peer sends do harm? Feeds hostile bytes to both ends of the wire.

    python -m benchmarks.fuzz_inputs                      a million inputs from a fresh seed, all cores
    python -m benchmarks.fuzz_inputs --count N --seed S   so many, those of an earlier run

Payloads are read by the Python client, by the plain decoder of the tests and, where node is installed, by the client in
JavaScript; streams by both clients: all must say the same. Answers are given to the Python client, requests of every
RPC to the server's parsers. What must hold is in tests/fuzz/targets.py. Every seed is printed, and one that fails is
enough to find the input again. The exit status is 1 when anything broke.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import secrets
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks import report
from tests.fuzz.targets import targets
from tests.node.packages import node_or_reason, node_path

MILLION: Final = 1_000_000
JOB_INPUTS: Final = 5_000
"""Few enough that an input is found again in seconds by running its job alone, many enough for one start of node."""

PROGRESS_JOBS: Final = 20

SHARES: Final = {"payloads": 40, "frames": 30, "requests": 20, "answers": 10}
"""Percent of all inputs: most go where the most bytes are parsed by hand."""


@dataclass(frozen=True, slots=True)
class Job:
    """Some inputs of one target."""

    target: str
    seed: str
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of them, or how they broke something."""

    job: Job
    found: Counter[str]
    failure: str


def jobs(count: int, seed: int) -> Iterator[Job]:
    """Yield the jobs of a run; each has a seed of its own that follows from the seed of the run."""
    for target, share in SHARES.items():
        left = count * share // 100
        number = 0
        while left > 0:
            size = min(left, JOB_INPUTS)
            yield Job(target, f"{seed}:{target}:{number}", size)
            left -= size
            number += 1


def run(job: Job) -> Outcome:
    """Run a job to its end, or to its first defect."""
    node, reason = node_or_reason()

    def command(program: str) -> list[str]:
        return [] if reason else [node, node_path(program)]

    (target,) = (target for target in targets(command) if target.name == job.target)
    random = Random(job.seed)
    found: Counter[str] = Counter()
    try:
        for _ in range(job.count):
            found[target.run(random)] += 1
        target.finish()
    except Exception:
        return Outcome(job, found, traceback.format_exc(limit=-6))
    return Outcome(job, found, "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="feed hostile bytes to both ends of the wire")
    parser.add_argument("--count", type=int, default=MILLION, help="inputs (default a million)")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run (default a fresh one)")
    parser.add_argument("--job", default="", metavar="SEED", help="only the job that printed this seed")
    options = parser.parse_args(arguments)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    if options.job:
        seed = int(options.job.split(":")[0])
    todo = [job for job in jobs(options.count, seed) if options.job in ("", job.seed)]
    _, reason = node_or_reason()
    print(f"seed {seed}: {sum(job.count for job in todo):,} inputs in {len(todo)} jobs", flush=True)
    print(f"nothing is read by node: {reason}" if reason else "node reads payloads and streams too", flush=True)
    started = time.monotonic()
    found: dict[str, Counter[str]] = {name: Counter() for name in SHARES}
    failures: list[Outcome] = []
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, outcome in enumerate(pool.map(run, todo), start=1):
            found[outcome.job.target] += outcome.found
            if number % PROGRESS_JOBS == 0:
                print(f"{number} of {len(todo)} jobs, {time.monotonic() - started:.0f} s", flush=True)
            if outcome.failure:
                failures.append(outcome)
                print(f"\nBROKEN by job {outcome.job.seed}\n{outcome.failure}", flush=True)
    seconds = time.monotonic() - started
    for name, tally in found.items():
        print(f"{name:10} {tally['accepted']:>9,} accepted {tally['refused']:>9,} refused")
    print(f"{len(failures)} jobs broke something; {seconds:.0f} s")
    if not options.job and options.count >= MILLION:
        inputs = sum(sum(tally.values()) for tally in found.values())
        figures = {
            "inputs / defects": f"{inputs:,} / {len(failures)}",
            "accepted / refused": f"{sum(t['accepted'] for t in found.values()):,} / "
            f"{sum(t['refused'] for t in found.values()):,}",
            "took": f"{seconds:.0f} s",
        }
        details = {"seed": seed, "node": reason or "yes", "targets": {name: dict(t) for name, t in found.items()}}
        report.store("fuzz", "Does anything that a peer sends do harm?", figures, details)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
