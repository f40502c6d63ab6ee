"""The first run on a GPU, one command: what it should do, whether it is right, how fast it is.

    python3 benchmarks/gpu/first_run.py --out DIR [--minutes 7] [--commit HASH]
    python3 benchmarks/gpu/first_run.py --rehearse      the same at sizes of no meaning, on the CPU in place of a GPU;
                                                        kept only where --out is given

Nothing needs to be installed but NumPy, CuPy and NVRTC. First it writes DIR/predictions.json, then it measures; the
most important steps come first, and what does not fit the minutes is said. DIR/gpu.json is a record as report.py keeps
them and belongs under benchmarks/results; DIR/table.txt is for people; both are written anew after each step. The
status is 1 when any result is not NumPy's, or when a step failed.
"""

from __future__ import annotations

import argparse
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
from benchmarks.gpu.projecting import Held, Ours  # noqa: E402
from benchmarks.gpu.tables import figures_of, table_of  # noqa: E402
from benchmarks.gpu.watched_runtime import WatchedRuntime  # noqa: E402
from liqscape.device.probe import cuda_version_text, find_software  # noqa: E402
from liqscape.device.runtime import Runtime  # noqa: E402

QUESTION: Final = "is a GPU right, and how fast is it?"
MINUTES: Final = 7.0
NAME: Final = "gpu"
"""Of the record."""


def measure(run: Run) -> None:
    """Do every step: first what the device does at its best, in seconds; then what matters most."""
    out, sizes = run.outcome, run.sizes
    for name, work in (
        ("copies on the device", hardware.measure_copies),
        ("copies to and from the device", hardware.measure_transfers),
        ("launches and answers", hardware.measure_calls),
        ("tables of cohorts against NumPy", living.compare_tables),
        ("ticks against NumPy", ticking.compare_ticks),
        ("additions", hardware.measure_additions),
    ):
        out.attempt(name, partial(work, run))
    ours: dict[int, dict[str, Ours]] = {}
    held: Held | None = None
    for count in sizes.years[:-2]:
        held = _year(run, count, ours) or held
    _book(run, sizes.small, None)
    _tables(run, sizes.cohorts[0])
    for count in sizes.years[-2:]:
        held = _year(run, count, ours) or held
    _book(run, sizes.honest, held)
    held = None
    for count in sorted(ours.keys() & set(sizes.peers_at), reverse=True):
        name = f"others at {count:,} events"
        if out.has_time_for(name, 15 + _seconds_for(count)):
            out.attempt(name, partial(peers.measure_peers, run, count, ours[count]))
    for cohorts in sizes.cohorts[1:]:
        _tables(run, cohorts)


def _year(run: Run, count: int, ours: dict[int, dict[str, Ours]]) -> Held | None:
    name = f"a year of {count:,} events"
    if not run.outcome.has_time_for(name, _seconds_for(count)):
        return None
    held = run.outcome.attempt(name, partial(projecting.measure_year, run, count))
    if held is not None:
        ours[count] = held.ours
    return held


def _book(run: Run, book: Book, held: Held | None) -> None:
    """Time ticks with a book, made from a year that is there or from one of its own."""
    name = f"ticks with {book.name} books"

    def work() -> None:
        ticking.measure_ticks(run, book, held or projecting.merged_year(run, book.raw_events))

    if run.outcome.has_time_for(name, _seconds_for(book.tier_events)):
        run.outcome.attempt(name, work)


def _tables(run: Run, cohorts: int) -> None:
    name = f"tables of {cohorts:,} cohorts"
    if run.outcome.has_time_for(name, _seconds_for(cohorts * max(run.sizes.live_tables))):
        run.outcome.attempt(name, partial(living.measure_tables, run, cohorts))


def _seconds_for(items: int) -> float:
    """Return about how long a step takes that makes, uploads and checks so many events or cohorts."""
    return 4 + items * 0.1e-6


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

    def keep() -> None:
        write(f"{NAME}.json", report.text_of(made()))
        write("table.txt", "\n".join(table_of(out, predictions)) + "\n")

    out.keep, out.is_lost = keep, partial(is_lost, runtime)
    measure(Run(WatchedRuntime(runtime), sizes, out))
    out.is_finished = True
    out.keep()
    return out, made()


def is_lost(runtime: Runtime) -> bool:
    """Return whether a device does nothing any more that it is asked for."""
    try:
        stream, memory = runtime.stream(urgent=False), runtime.allocate(256)
        stream.fill(memory.address, 0, memory.nbytes)
        stream.synchronize()
    except Exception:  # as a step may have ended in any way
        return True
    return False


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
    parser.add_argument("--rehearse", action="store_true", help="without a GPU")
    options = parser.parse_args(arguments)
    if options.out is None and not options.rehearse:
        parser.error("--out is needed, or --rehearse")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)

    def write(name: str, text: str) -> None:
        if options.out is not None:
            beside = options.out / f"{name}.new"
            beside.write_text(text, "utf-8")
            beside.replace(options.out / name)  # whoever ends this leaves one or the other

    with stand_in() if options.rehearse else gpu() as runtime:
        sizes, commit = REHEARSAL if options.rehearse else Sizes(), options.commit or report.commit()
        out, record = first_run(runtime, sizes, options.minutes, write, device_facts(runtime), commit)
    print("\n".join(table_of(out, record["result"]["predictions"])))
    if options.rehearse:
        print("A rehearsal: these figures are of the CPU in place of a GPU and mean nothing.")
    return status_of(out)


def status_of(out: Outcome) -> int:
    """Return the exit status."""
    return 0 if out.all_equal and not out.failures else 1


if __name__ == "__main__":
    sys.exit(main())
