"""What the machine code of a kernel must and must not have, read with cuobjdump from a cubin."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_FUNCTION = re.compile(r"\s*Function\s*:\s*(\S+)")
_INSTRUCTION = re.compile(r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")
_USAGE = re.compile(r" Function (\S+):\s*\n\s*(.*)")


@dataclass(frozen=True, slots=True)
class KernelCode:
    """One kernel of a cubin.

    Attributes:
        opcodes: of its instructions, with their modifiers, in order.
        registers: of a thread.
        stack_bytes: of a thread: spilled registers and local arrays.
    """

    opcodes: tuple[str, ...]
    registers: int
    stack_bytes: int


def tool_folder() -> Path | None:
    """Return the folder with cuobjdump and nvdisasm, which it calls: of the wheels or of a toolkit, if there is one."""
    spec = find_spec("nvidia")
    folders = [
        found for root in (spec.submodule_search_locations or () if spec else ()) for found in Path(root).glob("*/bin")
    ]
    on_path = shutil.which("cuobjdump")
    if on_path is not None:
        folders.append(Path(on_path).parent)
    return next((f for f in folders if (f / "cuobjdump").exists() and (f / "nvdisasm").exists()), None)


def read_kernels(cubin: bytes) -> dict[str, KernelCode]:
    """Return the kernels of a cubin by name."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernels.cubin"
        file.write_bytes(cubin)
        code, usage = _cuobjdump("-sass", file), _cuobjdump("-res-usage", file)
    opcodes: dict[str, list[str]] = {}
    current: list[str] = []
    for line in code.splitlines():
        function, instruction = _FUNCTION.match(line), _INSTRUCTION.match(line)
        if function:
            current = opcodes.setdefault(function[1], [])
        elif instruction:
            current.append(instruction[1])
    kernels = {}
    for name, numbers in _USAGE.findall(usage):
        found = dict(re.findall(r"(\w+):(\d+)", numbers))
        kernels[name] = KernelCode(tuple(opcodes[name]), int(found["REG"]), int(found["STACK"]))
    return kernels


def complaints(kernel: KernelCode, most_registers: int) -> list[str]:
    """Return what is wrong with a kernel.

    A compare-and-swap is the loop that the compiler makes of an atomic the hardware does not have: it spins where many
    threads meet, which is what events of one row do.
    """
    found = [f"compare-and-swap loop: {opcode}" for opcode in kernel.opcodes if re.match(r"ATOM[SG]?\..*CAS", opcode)]
    if kernel.stack_bytes:
        found.append(f"{kernel.stack_bytes} bytes of stack; none allowed")
    if kernel.registers > most_registers:
        found.append(f"{kernel.registers} registers; at most {most_registers} allowed")
    return found


def _cuobjdump(what: str, file: Path) -> str:
    folder = tool_folder()
    assert folder is not None, "tests that need cuobjdump are skipped without it"
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(folder / "cuobjdump"), what, str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
