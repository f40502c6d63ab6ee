"""Write server/liqscape/v1 from the .proto files beside this script; with --check, say whether it is up to date.

The generator lives in an environment of its own: generated code refuses a protobuf older than the one it was made with,
so an old generator serves every user, and it would drag the project's own protobuf down. Needs a Python that the pinned
generator has a wheel for (3.9 to 3.13), and nothing else installed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PROTO: Final = ROOT / "proto"
PYTHON_ROOT: Final = ROOT / "server"
GENERATED: Final = Path("liqscape/v1")
ENVIRONMENT: Final = ROOT / ".proto-venv"
PINS: Final = ("grpcio-tools==1.71.0", "grpcio==1.71.0", "protobuf==5.29.5", "setuptools==75.8.0")


def prepare(environment: Path, pins: Sequence[str] = PINS) -> Path:
    """Return the interpreter of the generator's environment, built anew when its pins or its Python have changed."""
    interpreter = environment / "bin" / "python"
    stamp = environment / "pins.txt"
    wanted = "\n".join([sys.version, *pins])
    if stamp.is_file() and stamp.read_text() == wanted:
        return interpreter
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(interpreter), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--only-binary=:all:", *pins], check=True)
    stamp.write_text(wanted)
    return interpreter


def generate(interpreter: Path, output: Path) -> None:
    """Compile every .proto file of the package into output/liqscape/v1."""
    sources = sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / GENERATED).glob("*.proto"))
    protoc = [str(interpreter), "-m", "grpc_tools.protoc", f"-I{PROTO}"]
    subprocess.run([*protoc, f"--python_out={output}", f"--pyi_out={output}", *sources], check=True)


def differences(fresh: Path, committed: Path) -> list[str]:
    """Compare two folders of generated files and name each one that is missing, stale or left over."""
    names = {path.name for folder in (fresh, committed) for path in folder.glob("*_pb2*.py*")}
    found = []
    for name in sorted(names):
        if not (committed / name).is_file():
            found.append(f"{name}: missing")
        elif not (fresh / name).is_file():
            found.append(f"{name}: left over, no .proto file makes it")
        elif (committed / name).read_bytes() != (fresh / name).read_bytes():
            found.append(f"{name}: stale")
    return found


def replace(fresh: Path, committed: Path) -> None:
    """Make the committed files equal the fresh ones; touch only what differs."""
    for difference in differences(fresh, committed):
        name = difference.partition(":")[0]
        if (fresh / name).is_file():
            shutil.copyfile(fresh / name, committed / name)
        else:
            (committed / name).unlink()
        print(f"wrote {GENERATED / name}" if (fresh / name).is_file() else f"removed {GENERATED / name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="write server/liqscape/v1 from proto/")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is not up to date")
    options = parser.parse_args(arguments)
    committed = PYTHON_ROOT / GENERATED
    try:
        with tempfile.TemporaryDirectory() as folder:
            generate(prepare(ENVIRONMENT), Path(folder))
            fresh = Path(folder) / GENERATED
            if not options.check:
                replace(fresh, committed)
                return 0
            found = differences(fresh, committed)
    except subprocess.CalledProcessError as error:
        print(f"generator failed with status {error.returncode}: {' '.join(error.cmd)}", file=sys.stderr)
        return 2
    for difference in found:
        print(f"{PYTHON_ROOT.name}/{GENERATED / difference}", file=sys.stderr)
    if found:
        print("the generated protocol differs from proto/; run: make proto", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
