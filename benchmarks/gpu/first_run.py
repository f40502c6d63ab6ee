"""The first run on a GPU, one command: what it should do, whether it is right, how fast it is.

    python3 benchmarks/gpu/first_run.py --out DIR [--minutes 7] [--commit HASH]
    python3 benchmarks/gpu/first_run.py --rehearse      the same at sizes of no meaning, on the CPU in place of a GPU

Nothing needs to be installed but NumPy, CuPy and NVRTC. First it writes DIR/predictions.json, then it measures; the
most important steps come first, and what does not fit the minutes is said. DIR/gpu.json is a record as report.py keeps
them, written anew after each step: put it under benchmarks/results. The status is 1 when any result is not NumPy's, or
when a step failed.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path[0:1] = [str(ROOT), str(ROOT / "server")]

from benchmarks import report  # noqa: E402
from benchmarks.gpu import hardware, living, peers, projecting, ticking  # noqa: E402
from benchmarks.gpu.device_runtimes import gpu, stand_in  # noqa: E402
from benchmarks.gpu.outcome import Outcome  # noqa: E402
from benchmarks.gpu.plan import REHEARSAL, Book, Run, Sizes  # noqa: E402
from benchmarks.gpu.predictions import predict  # noqa: E402
from benchmarks.gpu.projecting import Held  # noqa: E402
from benchmarks.gpu.tables import figures_of, table_of  # noqa: E402
from benchmarks.gpu.watched_runtime import WatchedRuntime  # noqa: E402
from liqscape.device.probe import cuda_version_text, find_software  # noqa: E402
from liqscape.device.runtime import Runtime  # noqa: E402

QUESTION: Final = "is a GPU right, and how fast is it?"
MINUTES: Final = 7.0
NAME: Final = "gpu"
"""Of the record."""


def measure(run: Run) -> None:
    """Do every step, the most important first."""
    out, sizes = run.outcome, run.sizes
    for name, work in (
        ("copies on the device", hardware.measure_copies),
        ("ticks against NumPy", ticking.compare_ticks),
        ("tables of cohorts against NumPy", living.compare_tables),
        ("copies to and from the device", hardware.measure_transfers),
        ("additions", hardware.measure_additions),
        ("launches and answers", hardware.measure_calls),
    ):
        out.attempt(name, partial(work, run))
    few, many = sizes.years[:-2], sizes.years[-2:]
    held: Held | None = None
    for count in few:
        held = _year(run, count) or held
    _book(run, sizes.small, None)
    _tables(run, sizes.cohorts[0])
    for count in many:
        held = _year(run, count) or held
    _book(run, sizes.honest, held)
    held = None
    for cohorts in sizes.cohorts[1:]:
        _tables(run, cohorts)


def _year(run: Run, count: int) -> Held | None:
    name = f"a year of {count:,} events"
    if not run.outcome.has_time_for(name, _seconds_for(count)):
        return None
    held = run.outcome.attempt(name, partial(projecting.measure_year, run, count))
    if held is not None and count in run.sizes.peers_at:
        run.outcome.attempt(f"others at {count:,} events", partial(peers.measure_peers, run, count, held))
    gc.collect()
    return held


def _book(run: Run, book: Book, held: Held | None) -> None:
    """Time ticks with a book, made from a year that is there or from one of its own."""
    name = f"ticks with {book.name} books"

    def work() -> None:
        ticking.measure_ticks(run, book, held or projecting.merged_year(run, book.raw_events))

    if run.outcome.has_time_for(name, _seconds_for(book.tier_events)):
        run.outcome.attempt(name, work)
        gc.collect()


def _tables(run: Run, cohorts: int) -> None:
    name = f"tables of {cohorts:,} cohorts"
    if run.outcome.has_time_for(name, _seconds_for(cohorts * max(run.sizes.live_tables))):
        run.outcome.attempt(name, partial(living.measure_tables, run, cohorts))
        gc.collect()


def _seconds_for(items: int) -> float:
    """Return about how long a step takes that makes, uploads and checks so many events or cohorts."""
    return 2 + items * 0.15e-6


def first_run(
    runtime: Runtime,
    sizes: Sizes,
    minutes: float,
    write: Callable[[str, str], None],
    facts: dict[str, Any],
    commit: str,
) -> tuple[Outcome, dict[str, Any]]:
    """Predict, then measure; return what was found, and the record of it.

    Args:
        runtime: of the device, with the probes.
        sizes: of everything.
        minutes: when no further step is begun.
        write: keeps a text under a name: the predictions before anything is measured, the record after each step.
        facts: of device and software.
        commit: of the checkout.
    """
    predictions = predict(sizes, runtime.facts)
    write("predictions.json", json.dumps(predictions, indent=1) + "\n")
    out = Outcome(minutes)
    out.facts.update(facts)

    def made() -> dict[str, Any]:
        result = out.result(predictions)
        return report.record(NAME, QUESTION, figures_of(out, facts), result, commit_hash=commit, device=facts["device"])

    out.keep = lambda: write(f"{NAME}.json", report.text_of(made()))
    measure(Run(WatchedRuntime(runtime), sizes, out))
    out.is_finished = True
    out.keep()
    return out, made()


def device_facts(runtime: Runtime) -> dict[str, Any]:
    """Return what a record says of a device and of the software for it."""
    facts = runtime.facts
    found = {
        "device": facts.name,
        "compute_capability": facts.compute_capability / 10,
        "multiprocessors": facts.multiprocessors,
        "memory_gib": round(facts.total_bytes / 2**30, 1),
        "driver_knows_cuda": cuda_version_text(facts.driver_version) if facts.driver_version else "none",
        "compiler": find_software().compiler,
        "cupy": find_software().cupy,
        "python": platform.python_version(),
    }
    return found | {"driver": driver_version()}


def driver_version() -> str:
    """Return the version of the driver itself, as its module says it."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text("utf-8")
    except OSError:
        return "unknown"
    found = re.search(r"\d+\.\d+(\.\d+)?", text)
    return found.group() if found else "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--out", type=Path, help="folder for predictions.json and gpu.json")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for everything (default {MINUTES:g})")
    parser.add_argument("--commit", help="of this checkout, where git cannot tell")
    parser.add_argument("--rehearse", action="store_true", help="without a GPU; nothing is kept")
    options = parser.parse_args(arguments)
    if options.rehearse:
        return rehearse(options.minutes)
    if options.out is None:
        parser.error("--out is needed, or --rehearse")
    options.out.mkdir(parents=True, exist_ok=True)

    def write(name: str, text: str) -> None:
        (options.out / name).write_text(text, "utf-8")

    with gpu() as runtime:
        commit = options.commit or report.commit()
        out, record = first_run(runtime, Sizes(), options.minutes, write, device_facts(runtime), commit)
    lines = table_of(out, record["result"]["predictions"])
    write("table.txt", "\n".join(lines) + "\n")
    print("\n".join(lines))
    return status_of(out)


def rehearse(minutes: float) -> int:
    """Do all of it on the CPU in place of a GPU, at sizes of no meaning; keep nothing."""
    with stand_in() as runtime:
        out, record = first_run(runtime, REHEARSAL, minutes, lambda name, text: None, device_facts(runtime), "none")
    print("\n".join(table_of(out, record["result"]["predictions"])))
    print("A rehearsal: these figures are of the CPU in place of a GPU and mean nothing; nothing was kept.")
    return status_of(out)


def status_of(out: Outcome) -> int:
    """Return the exit status."""
    return 0 if out.all_equal and not out.failures else 1


if __name__ == "__main__":
    sys.exit(main())
