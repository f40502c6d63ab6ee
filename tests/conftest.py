"""What every test may rely on: fixed examples for hypothesis, and the folder of real recordings where there is one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

ROOT: Final = Path(__file__).resolve().parent.parent
RECORDINGS_VARIABLE: Final = "LIQSCAPE_RECORDINGS"
PROFILE_VARIABLE: Final = "LIQSCAPE_HYPOTHESIS_PROFILE"

# The examples follow from the test alone: the same on every machine, nothing kept between runs. A shared core can be
# slow at any moment, so time is pytest's affair (its timeout), not hypothesis's.
settings.register_profile(
    "ci", derandomize=True, database=None, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("prove", parent=settings.get_profile("ci"), max_examples=500)
settings.load_profile(os.environ.get(PROFILE_VARIABLE, "ci"))

IS_FULL: Final = (settings.default or settings()).max_examples >= 500
"""Under the profile of `make prove`: what `make test` does at a reduced size is done in full."""

LONG_FIRST: Final = (
    "integration/test_drain_processes.py",
    "integration/test_workers.py",
    "integration/test_hostile.py",
    "cuda/test_cuda_live_run.py",
    "cuda/test_cuda_backend.py",
    "browser/test_live.py",
    "property/test_as_of.py",
    "property/test_broadcast.py",
    "integration/test_processes.py",
    "integration/test_restart.py",
    "browser/test_page.py",
    "browser/test_access.py",
    "integration/test_node_client.py",
    "cuda/test_compaction_sanitizers.py",
    "cuda/test_live_table_sanitizers.py",
    "cuda/test_sanitizers.py",
    "integration/test_export_brute_force.py",
    "integration/test_liquidation_maps.py",
    "integration/test_edge.py",
    "integration/test_live_source.py",
)
"""Files whose tests take seconds each, by how many. A worker with nothing left takes the later half of what another has
before it: where the last are short, all of them end at once, and not one of them half a minute later.
"""


def fewer_examples(divisor: int) -> settings:
    """Return the settings of a property whose examples take long: a part of the usual number, in `make prove` all."""
    examples = (settings.default or settings()).max_examples
    return settings(max_examples=examples if IS_FULL else examples // divisor)


def recordings_folder() -> Path:
    """Return where real recordings are looked for: the folder above market/."""
    return Path(os.environ.get(RECORDINGS_VARIABLE) or ROOT.parent / "shared")


def reason_to_skip() -> str | None:
    """Say why tests on real recordings cannot run here, if so."""
    folder = recordings_folder()
    if (folder / "market").is_dir():
        return None
    return f"no real recordings: {RECORDINGS_VARIABLE} must name the folder above market/, {str(folder)!r} is not it"


def pytest_configure() -> None:
    """Refuse a folder of recordings that was asked for and is not there: a skip would hide the mistake."""
    reason = reason_to_skip()
    if os.environ.get(RECORDINGS_VARIABLE) and reason is not None:
        raise pytest.UsageError(reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give tests of real sockets and processes a second try, which is told, and no others; put long files first.

    All cores may be busy, so a process can be late. The order is that of workers alone.
    """
    for item in items:
        if {ROOT / "tests" / "integration", ROOT / "tests" / "browser"} & set(item.path.parents):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place_of(item.path))


def place_of(path: Path) -> int:
    """Return where a file of tests stands in the order of a worker."""
    name = path.relative_to(ROOT / "tests").as_posix() if ROOT / "tests" in path.parents else ""
    return LONG_FIRST.index(name) if name in LONG_FIRST else len(LONG_FIRST)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked `recorded` where there is no recording."""
    reason = reason_to_skip() if item.get_closest_marker("recorded") else None
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder above market/, or skip."""
    reason = reason_to_skip()
    if reason is not None:
        pytest.skip(reason)
    return recordings_folder()
