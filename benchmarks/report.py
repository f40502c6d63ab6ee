"""Keep what a benchmark measured, with commit and machine, and show it in benchmarks/README.md.

A benchmark calls store() once with everything it measured and the few figures a reader should see. The files under
results/ are the record; the table is only a view of them and can be rewritten at any time: python -m benchmarks.report
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "benchmarks" / "results"
README: Final = ROOT / "benchmarks" / "README.md"
BEGIN: Final = "<!-- results: begin -->"
END: Final = "<!-- results: end -->"
NAME: Final = re.compile(r"[a-z0-9_]+")


def store(
    name: str,
    question: str,
    figures: Mapping[str, str],
    result: Mapping[str, Any],
    *,
    results: Path = RESULTS,
    readme: Path = README,
) -> Path:
    """Write results/<name>.json and rewrite the table.

    Args:
        name: of the file, lower case; a later run under the same name replaces it.
        question: what the benchmark answers, one line.
        figures: what a reader should see, measure to value with its unit, in the order of the table.
        result: everything measured; plain values, NumPy scalars and arrays; no NaN, no infinity.
        results: folder of the records.
        readme: file with the table.

    Returns:
        The file written.

    Raises:
        ValueError: a name that is no file name, or a value that JSON cannot hold.
    """
    path = write_record(record(name, question, figures, result), results)
    rewrite_table(results, readme)
    return path


def record(
    name: str,
    question: str,
    figures: Mapping[str, str],
    result: Mapping[str, Any],
    *,
    commit_hash: str | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Return what store() keeps, with the time of now.

    Args:
        name, question, figures, result: see store().
        commit_hash: of the checkout; None: git tells.
        device: what computed, where it is not the processor.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"result name {name!r} is not allowed; use lower-case letters, digits and underscores")
    return {
        "name": name,
        "question": question,
        "figures": dict(figures),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_hash or commit(),
        "machine": machine() | ({"device": device} if device else {}),
        "result": dict(result),
    }


def write_record(record: Mapping[str, Any], results: Path) -> Path:
    """Write a record to its file in a folder; the table stays as it is."""
    text = text_of(record)
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{record['name']}.json"
    _write(path, text)
    return path


def text_of(record: Mapping[str, Any]) -> str:
    """Return what a record's file holds. Raises ValueError: a value that JSON cannot hold."""
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"


def commit(root: Path = ROOT) -> str:
    """Return the commit of a checkout, with -dirty when anything but the results differs from it, or "unknown"."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        identity = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--", ".", ":!benchmarks/results", ":!benchmarks/README.md")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{identity}-dirty" if changed else identity


def machine() -> dict[str, str | int | float]:
    """Return what decides a speed on this machine, without its name."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def rewrite_table(results: Path = RESULTS, readme: Path = README) -> None:
    """Put the table of all records between the two marks of a readme.

    Raises:
        ValueError: the readme does not hold both marks, once each and in order.
    """
    text = readme.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in tail or END in tail or END in head:
        raise ValueError(f"{readme.name} must hold {BEGIN!r} and {END!r} once each, in this order")
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    _write(readme, f"{head}{BEGIN}\n{table(records)}{END}{tail}")


def table(records: list[dict[str, Any]]) -> str:
    """Format records as a Markdown table, a line a figure; the facts common to a record stand on its first line."""
    if not records:
        return "No result is stored yet.\n"
    lines = ["| question | measure | value | commit | date | machine |", "| --- | --- | --- | --- | --- | --- |"]
    for record in records:
        host = record["machine"]
        on = f"{host['processor']}, {host['cores']} cores, {host['memory_gib']} GiB, Python {host['python']}"
        if "device" in host:
            on = f"{host['device']} beside {on}"
        identity, _, dirty = record["commit"].partition("-")
        facts = [identity[:10] + ("-" + dirty if dirty else ""), record["measured_at"][:10], on]
        for position, (measure, value) in enumerate(record["figures"].items()):
            first = position == 0
            cells = [record["question"] if first else "", measure, value, *(facts if first else ["", "", ""])]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _processor() -> str:
    """Return the model of the processor; /proc knows it on Linux, where platform.processor() is often empty."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _plain(value: object) -> object:
    """Turn NumPy scalars and arrays into what JSON can hold."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise ValueError(f"a result cannot hold {value!r} of type {type(value).__name__}; use plain or NumPy values")


def _write(path: Path, text: str) -> None:
    """Replace a file at once, so that an interrupted run leaves the old one."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


if __name__ == "__main__":
    rewrite_table()
    sys.exit(0)
