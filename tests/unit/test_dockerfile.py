"""The image is built from what exists, runs as nobody special and can tell whether it serves."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

Instruction = tuple[str, str]


@pytest.fixture(scope="module")
def instructions() -> list[Instruction]:
    """Return (keyword, rest) of every instruction, continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in lines if not line.startswith("#")))
    pairs = (line.partition(" ") for line in joined.splitlines() if line)
    return [(keyword, rest) for keyword, _, rest in pairs]


def values(instructions: list[Instruction], keyword: str) -> list[str]:
    return [rest for found, rest in instructions if found == keyword]


def test_everything_copied_from_the_project_exists_and_is_not_ignored(instructions: list[Instruction]) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    copied = [name for rest in values(instructions, "COPY") if "--from" not in rest for name in rest.split()[:-1]]

    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert set(copied) == allowed


def test_last_stage_ends_without_root(instructions: list[Instruction]) -> None:
    last_stage = instructions[max(index for index, (keyword, _) in enumerate(instructions) if keyword == "FROM") :]

    assert values(last_stage, "USER")[-1] not in {"root", "0"}


def test_base_is_a_stated_version(instructions: list[Instruction]) -> None:
    base = next(rest for rest in values(instructions, "ARG") if rest.startswith("BASE="))

    node = next(rest for rest in values(instructions, "ARG") if rest.startswith("NODE="))

    assert re.fullmatch(r"BASE=python:3\.\d+-slim", base)
    assert re.fullmatch(r"NODE=node:\d+-slim", node)
    assert [rest.split()[0] for rest in values(instructions, "FROM")] == ["${NODE}", "${BASE}", "${BASE}"]


def test_default_extras_exist(instructions: list[Instruction]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = next(rest for rest in values(instructions, "ARG") if rest.startswith("EXTRAS="))

    assert set(extras.removeprefix("EXTRAS=").split(",")) <= set(project["optional-dependencies"])


def test_health_check_is_a_program_that_asks_the_exposed_port(instructions: list[Instruction]) -> None:
    command = json.loads(values(instructions, "HEALTHCHECK")[0].partition("CMD ")[2])

    program = compile(command[-1], "health check", "exec")

    assert command[:2] == ["python", "-c"]
    assert program.co_names[:2] == ("sys", "grpc")
    assert f"127.0.0.1:{values(instructions, 'EXPOSE')[0].split()[0]}" in command[-1]
