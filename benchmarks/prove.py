"""Are the claims of this project true? Runs every one of them at full size and keeps the outcome.

    python -m benchmarks.prove              all steps, stored as benchmarks/results/prove.json
    python -m benchmarks.prove NAME ...     only these, nothing stored
    python -m benchmarks.prove --but NAME ...    all others, stored with the names of those left out
    python -m benchmarks.prove --list       what there is

Every step runs to its end even when an earlier one has failed, so that one run tells everything; the exit status is 1
when any failed. `make test` runs the same claims with reduced counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks import report

PYTHON: Final = sys.executable
FULL_PROPERTIES: Final = {"LIQSCAPE_HYPOTHESIS_PROFILE": "prove"}
# Named outright, because then absent recordings are an error and not a skipped test.
RECORDINGS: Final = {"LIQSCAPE_RECORDINGS": os.environ.get("LIQSCAPE_RECORDINGS") or str(report.ROOT.parent / "shared")}
LIVE_TESTS: Final = ("tests/integration/test_live_feeds.py", "tests/integration/test_live_venues.py")
# Far above the longest step on two cores; a step that reaches it hangs.
STEP_LIMIT_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Step:
    """One claim.

    Attributes:
        name: for the command line and the record.
        claim: what holds when the command exits with 0.
        command: run from the root of the project.
        environment: on top of the caller's.
    """

    name: str
    claim: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step went. exit_status is None when it was stopped at the limit."""

    step: Step
    exit_status: int | None
    seconds: float

    @property
    def passed(self) -> bool:
        """Tell whether the claim held."""
        return self.exit_status == 0


# Every "shown by" is a line here.
STEPS: Final = (
    Step(
        "properties",
        "the invariants hold for every generated case, at full counts",
        (PYTHON, "-m", "pytest", "tests/property", "--ignore=tests/property/test_as_of.py", "--timeout=1800"),
        FULL_PROPERTIES,
    ),
    Step(
        "as_of",
        "1,000 grids of a live run, asked for up to a day later, are those that were served",
        (PYTHON, "-m", "pytest", "tests/property/test_as_of.py", "--timeout=3000"),
        FULL_PROPERTIES,
    ),
    Step(
        "kernels",
        "kernels give what NumPy gives, mistakes put into them are found, and their machine code is as it was meant",
        (PYTHON, "-m", "pytest", "tests/cuda", "--timeout=1800"),
        FULL_PROPERTIES,
    ),
    Step(
        "grids",
        "grids of filters and of minutes that have passed are exact in every tick, and the table of clocks is right",
        (PYTHON, "-m", "pytest", "tests/unit/grid", "tests/unit/positions", "--timeout=1800"),
        FULL_PROPERTIES,
    ),
    Step(
        "recordings",
        "what must hold on real recordings holds",
        (PYTHON, "-m", "pytest", "-m", "recorded", "--timeout=1800"),
        RECORDINGS,
    ),
    Step(
        "payloads",
        "three recorded days give the same chunk payloads with the kernels as with NumPy",
        # Of every quarter of an hour: of all bars it takes half an hour on the CPU in place of a GPU.
        (PYTHON, "benchmarks/gpu/equal_payloads.py", "--anywhere", "--every", "3"),
        RECORDINGS,
    ),
    Step(
        "fuzz",
        "a million hostile inputs break neither a client nor a parser of the server, and three clients read them alike",
        (PYTHON, "-m", "benchmarks.fuzz_inputs"),
    ),
    Step(
        "random_readers",
        "of ten readers over sockets, in 50,000 ticks of 30 lives of an engine, none has held what was not emitted",
        (PYTHON, "-m", "pytest", "tests/integration/test_random_readers.py", "-n", "0"),
        {"LIQSCAPE_READER_TICKS": "5000", "LIQSCAPE_READER_SEEDS": "10"},
    ),
    Step(
        "engine_kills",
        "of 500 engines killed at random moments none has lost a committed tick, and all go on as one that lived",
        (PYTHON, "-m", "benchmarks.kill_engines"),
    ),
    Step(
        "live_feeds",
        "in ten minutes of venues that fail in every way nothing is lost unannounced, books add up, memory is flat",
        (PYTHON, "-m", "pytest", *LIVE_TESTS, "-n", "0", "--timeout=900"),
        {"LIQSCAPE_FEED_SECONDS": "600"},
    ),
    Step(
        "soak",
        "a live server says truly what failing venues do, its readers stay in sync, and an engine killed goes on",
        (PYTHON, "-m", "benchmarks.soak_live"),
    ),
    Step(
        "feed",
        "a core takes 50,000 recorded messages a second or more, from raw bytes to bars",
        (PYTHON, "-m", "benchmarks.bench_feed", "--peer"),
        RECORDINGS,
    ),
    Step(
        "power_losses",
        "of 600 losses of power none has cost what the sync policy promises, and what is damaged is found",
        (PYTHON, "-m", "benchmarks.lose_power"),
    ),
    Step(
        "journal_replay",
        "six recorded weeks give the same events, grids and chunks as often as their journal is replayed",
        (PYTHON, "-m", "benchmarks.replay_journal"),
        RECORDINGS,
    ),
    Step(
        "journal",
        "the journal holds what went in, and how fast it takes two hundred instruments beside plain SQLite",
        (PYTHON, "-m", "benchmarks.bench_journal"),
    ),
    Step(
        "restart",
        "a start from snapshot and an hour of journal serves exact grids, after how long, and what snapshots cost",
        (PYTHON, "-m", "benchmarks.bench_restart"),
    ),
    Step(
        "demo",
        "a fresh clone serves all nine timeframes",
        (PYTHON, "-m", "benchmarks.bench_demo"),
    ),
    Step(
        "build",
        "six recorded weeks are built and reconcile at every sample",
        (PYTHON, "-m", "benchmarks.bench_build"),
        RECORDINGS,
    ),
    Step(
        "archive",
        "nine grids of a recorded day, read back from the archive, are those of then, and what that takes",
        (PYTHON, "-m", "benchmarks.bench_archive"),
        RECORDINGS,
    ),
    Step(
        "model",
        "swept notional ranks real liquidations better than every baseline",
        (PYTHON, "-m", "benchmarks.bench_model"),
        RECORDINGS,
    ),
    Step(
        "refresh",
        "clients are in sync, and how old what they applied is",
        (PYTHON, "-m", "benchmarks.bench_refresh"),
    ),
    Step(
        "slow_readers",
        "at 20 ticks a second a reader of 4 messages a second is never more than its window behind",
        (PYTHON, "-m", "benchmarks.bench_slow_reader"),
    ),
    Step(
        "stalled",
        "500 readers that have stopped reading cost less than 150 KiB each, delay nobody and are gone within a minute",
        (PYTHON, "-m", "benchmarks.bench_stalled"),
    ),
    Step(
        "hostile",
        "10,000 connections that mean no good cost bounded memory and disturb nobody",
        (PYTHON, "-m", "pytest", "-s", "tests/integration/test_hostile.py"),
        {"LIQSCAPE_HOSTILE_CONNECTIONS": "10000"},
    ),
    Step(
        "fanout",
        "every client gets every tick, and what a message costs beside its transport alone",
        (PYTHON, "-m", "benchmarks.bench_fanout"),
    ),
    Step(
        "kills",
        "an edge killed under 200 clients costs them less than five seconds and no keyframe; an engine killed is told",
        (PYTHON, "-m", "benchmarks.bench_kills"),
    ),
    Step(
        "wire",
        "what replicas decode from three recorded days is the engine's, and how many bytes that takes beside JSON",
        (PYTHON, "-m", "benchmarks.bench_wire"),
        RECORDINGS,
    ),
    Step(
        "tiles",
        "tiles put side by side are the whole channel after a recorded day, and how many bytes each takes",
        (PYTHON, "-m", "benchmarks.bench_tiles"),
        RECORDINGS,
    ),
    Step(
        "grid",
        "a year's nine grids are the same from age tiers, from the raw log and from every peer",
        (PYTHON, "-m", "benchmarks.bench_grid"),
    ),
    Step(
        "ticks",
        "grids and streamed levels of 1, 3 and 10 symbols are exact after ten minutes of ticks, and how many were late",
        (PYTHON, "-m", "benchmarks.bench_ticks"),
    ),
    Step(
        "mix",
        "the inflow mix is fitted on first halves, and how it ranks liquidations of the second beside the prior",
        (PYTHON, "-m", "benchmarks.fit_mix"),
        RECORDINGS,
    ),
)


def run(step: Step, limit_s: float = STEP_LIMIT_S) -> Outcome:
    """Run one step from the root of the project, its output going straight to the terminal."""
    print(f"\n== {step.name}: {step.claim}\n   {' '.join(step.command)}", flush=True)
    started = time.monotonic()
    try:
        environment = {**os.environ, **step.environment}
        status = subprocess.run(step.command, cwd=report.ROOT, env=environment, timeout=limit_s, check=False).returncode
    except subprocess.TimeoutExpired:
        return Outcome(step, None, time.monotonic() - started)
    return Outcome(step, status, time.monotonic() - started)


def describe(outcome: Outcome) -> str:
    """Say in one line how a step went."""
    if outcome.exit_status is None:
        word = "STOPPED at the limit"
    else:
        word = "passed" if outcome.passed else f"FAILED with status {outcome.exit_status}"
    return f"{outcome.step.name}: {word}, {outcome.seconds:.1f} s"


def choose(names: Sequence[str], steps: Sequence[Step]) -> list[Step]:
    """Return the named steps in the order of the table, or all.

    Raises:
        ValueError: a name that no step has.
    """
    known = [step.name for step in steps]
    for name in names:
        if name not in known:
            raise ValueError(f"step {name!r} is unknown; use one of {', '.join(known)}")
    return [step for step in steps if not names or step.name in names]


def store(outcomes: Sequence[Outcome], left_out: Sequence[str]) -> None:
    """Keep the outcome of a run, and say what it left out."""
    passed = sum(outcome.passed for outcome in outcomes)
    steps = [
        {
            "name": outcome.step.name,
            "claim": outcome.step.claim,
            "arguments": list(outcome.step.command[1:]),
            "exit_status": outcome.exit_status,
            "seconds": round(outcome.seconds, 1),
        }
        for outcome in outcomes
    ]
    figures = {"claims that held": f"{passed} of {len(outcomes)}"}
    if left_out:
        figures["not run"] = ", ".join(left_out)
    report.store("prove", "Do the claims hold at full size?", figures, {"steps": steps})


def main(arguments: Sequence[str] | None = None, steps: Sequence[Step] = STEPS) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="run every claim of the project at full size")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these steps; nothing is stored then")
    parser.add_argument("--but", nargs="+", default=[], metavar="NAME", help="all steps but these")
    parser.add_argument("--list", action="store_true", help="name the steps and stop")
    options = parser.parse_args(arguments)
    try:
        left_out = [step.name for step in choose(options.but, steps)] if options.but else []
        chosen = [step for step in choose(options.names, steps) if step.name not in left_out]
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        print("\n".join(f"{step.name}: {step.claim}" for step in chosen))
        return 0
    outcomes = [run(step) for step in chosen]
    if not options.names:
        store(outcomes, left_out)
    print("\n" + "\n".join(describe(outcome) for outcome in outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
