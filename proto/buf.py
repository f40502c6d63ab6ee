"""Hold the .proto files against the rules of buf.yaml and against the last release of the protocol.

    python3 proto/buf.py lint        STANDARD and COMMENTS, with the exceptions that buf.yaml argues
    python3 proto/buf.py breaking    nothing of released.binpb was removed or changed (FILE)
    python3 proto/buf.py release     both, then write released.binpb from the files as they are
    python3 proto/buf.py release --breaking    the same, although clients of the last release will break

The tool comes from npm, pinned by package-lock.json, and is installed once into .buf/, which git ignores; after that
nothing is fetched. Where it is not installed and cannot be, the exit status is 77 and the reason is printed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROTO: Final = Path(__file__).resolve().parent
ENVIRONMENT: Final = PROTO.parent / ".buf"
IMAGE: Final = PROTO / "released.binpb"
MANIFEST: Final = ("package.json", "package-lock.json", ".npmrc")
SKIPPED: Final = 77
INSTALL_LIMIT_S: Final = 300
"""The package holds a program of 75 MB."""


class Unavailable(Exception):
    """The tool is not here and cannot be installed."""


def prepare(environment: Path = ENVIRONMENT) -> Path:
    """Return the tool, installed anew when its lock file has changed.

    Raises:
        Unavailable: there is no npm, or it cannot fetch the package.
    """
    tool = environment / "node_modules" / ".bin" / "buf"
    stamp = environment / "installed.json"
    wanted = (PROTO / "package-lock.json").read_bytes()
    if tool.is_file() and stamp.is_file() and stamp.read_bytes() == wanted:
        return tool
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    environment.mkdir(exist_ok=True)
    for name in MANIFEST:
        shutil.copyfile(PROTO / name, environment / name)
    command = [npm, "ci", "--prefer-offline", "--fetch-retries=0"]
    try:
        done = subprocess.run(
            command, cwd=environment, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm ci has not ended within {INSTALL_LIMIT_S} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")] or ["npm ci failed"]
        raise Unavailable(lines[0])
    stamp.write_bytes(wanted)
    return tool


def run(tool: Path, *arguments: str) -> bool:
    """Run the tool in proto/ and tell whether it found nothing."""
    return subprocess.run([str(tool), *arguments], cwd=PROTO, check=False).returncode == 0


def lint(tool: Path) -> bool:
    """Tell whether the files keep the rules."""
    return run(tool, "lint")


def breaking(tool: Path) -> bool:
    """Tell whether a client of the last release can read what the files describe."""
    return run(tool, "breaking", "--against", IMAGE.name)


def write_image(tool: Path) -> bool:
    """Write the files as a FileDescriptorSet, which every protobuf library reads too."""
    return run(tool, "build", "--as-file-descriptor-set", "--exclude-source-info", "--output", str(IMAGE))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="lint the protocol and compare it with its last release")
    parser.add_argument("command", choices=("lint", "breaking", "release"))
    parser.add_argument("--breaking", action="store_true", help="release although clients of the last one will break")
    options = parser.parse_args(arguments)
    try:
        tool = prepare()
    except Unavailable as error:
        print(f"no check of the protocol by buf: {error}")
        return SKIPPED
    if options.command == "lint":
        return not lint(tool)
    if options.command == "breaking":
        return not breaking(tool)
    is_compatible = options.breaking or not IMAGE.is_file() or breaking(tool)
    return not (lint(tool) and is_compatible and write_image(tool))


if __name__ == "__main__":
    sys.exit(main())
