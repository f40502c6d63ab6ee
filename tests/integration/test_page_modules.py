"""The modules of the page that need no document, run by Node: connection, session, values."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.node.packages import WEB_TESTS, web_program


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in Path(WEB_TESTS).glob("*.test.mjs")))
def test_modules_of_the_page(name: str) -> None:
    command = web_program(name, "--test", "--test-reporter=spec")

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert not done.returncode, done.stdout + done.stderr
