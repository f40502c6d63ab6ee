"""The run of all claims ends with 0 only when every one of them held."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import prove, report

PASSES = prove.Step("passes", "true", (sys.executable, "-c", ""))
FAILS = prove.Step("fails", "false", (sys.executable, "-c", "raise SystemExit(3)"))


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Catch what would be written to the project's own results."""
    records: list[dict[str, Any]] = []

    def keep(name: str, question: str, figures: Mapping[str, str], result: Mapping[str, Any]) -> Path:
        records.append({"name": name, "question": question, "figures": dict(figures), **result})
        return Path(name)

    monkeypatch.setattr(report, "store", keep)
    return records


def test_failed_step_fails_the_run_but_does_not_hide_later_ones(stored: list[dict[str, Any]]) -> None:
    status = prove.main([], [FAILS, PASSES])

    assert status == 1
    assert [(step["name"], step["exit_status"]) for step in stored[0]["steps"]] == [("fails", 3), ("passes", 0)]
    assert stored[0]["figures"] == {"claims that held": "1 of 2"}


def test_run_in_which_all_held_ends_with_zero(stored: list[dict[str, Any]]) -> None:
    status = prove.main([], [PASSES])

    assert status == 0
    assert stored[0]["figures"] == {"claims that held": "1 of 1"}


def test_part_of_the_steps_is_run_but_not_stored(stored: list[dict[str, Any]]) -> None:
    status = prove.main(["passes"], [FAILS, PASSES])

    assert status == 0
    assert stored == []


def test_what_is_left_out_of_a_stored_run_is_named(stored: list[dict[str, Any]]) -> None:
    status = prove.main(["--but", "fails"], [FAILS, PASSES])

    assert status == 0
    assert stored[0]["figures"] == {"claims that held": "1 of 1", "not run": "fails"}


def test_unknown_step_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="step 'pass' is unknown; use one of fails, passes"):
        prove.choose(["pass"], [FAILS, PASSES])


@pytest.mark.slow
def test_step_that_hangs_is_stopped_and_counts_as_failed() -> None:
    hangs = prove.Step("hangs", "never", (sys.executable, "-c", "import time; time.sleep(60)"))

    outcome = prove.run(hangs, limit_s=0.5)

    assert not outcome.passed
    assert "STOPPED at the limit" in prove.describe(outcome)


def test_step_sees_its_own_environment() -> None:
    program = "import os, sys; sys.exit(os.environ.get('LIQSCAPE_TEST') != 'yes')"

    outcome = prove.run(prove.Step("environment", "set", (sys.executable, "-c", program), {"LIQSCAPE_TEST": "yes"}))

    assert outcome.passed


def test_names_of_the_steps_differ() -> None:
    names = [step.name for step in prove.STEPS]

    assert len(set(names)) == len(names)
