"""A stored result says what was measured, of which code and where; the table shows all of them."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import report

MARKED = f"# Title\n\n{report.BEGIN}\nold\n{report.END}\nafter\n"


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(MARKED, encoding="utf-8")
    return path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "benchmarks" / "results").mkdir(parents=True)
    (folder / "code.py").write_text("1")
    git(tmp_path, "init", "--quiet", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_stored_result_reads_back_with_numpy_values_as_plain_ones(tmp_path: Path, readme: Path) -> None:
    result = {"p50_ms": np.float64(1.5), "counts": np.array([1, 2]), "nested": {"rows": np.int64(3)}}

    path = report.store("latency", "How fast?", {"p50": "1.5 ms"}, result, results=tmp_path / "results", readme=readme)

    record = json.loads(path.read_text(encoding="utf-8"))
    assert path == tmp_path / "results" / "latency.json"
    assert record["result"] == {"p50_ms": 1.5, "counts": [1, 2], "nested": {"rows": 3}}
    assert record["figures"] == {"p50": "1.5 ms"}
    assert record["machine"]["numpy"] == np.__version__


def test_machine_is_described_without_its_name() -> None:
    described = report.machine()

    assert platform.node() not in described.values()
    assert set(described) == {"processor", "cores", "memory_gib", "system", "python", "numpy"}
    assert int(described["cores"]) >= 1


def test_table_holds_every_record_and_leaves_the_rest_of_the_page(tmp_path: Path, readme: Path) -> None:
    results = tmp_path / "results"

    report.store("b_second", "Second?", {"x": "1"}, {}, results=results, readme=readme)
    report.store("a_first", "First?", {"p50": "2 ms", "a|b": "3 ms"}, {}, results=results, readme=readme)

    text = readme.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| First?", "p50", "2 ms"],
        ["| ", "a\\|b", "3 ms"],
        ["| Second?", "x", "1"],
    ]
    assert text.startswith(f"# Title\n\n{report.BEGIN}\n| question")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text


def test_later_run_replaces_the_record_of_its_name(tmp_path: Path, readme: Path) -> None:
    results = tmp_path / "results"
    report.store("speed", "Q?", {"x": "1 ms"}, {}, results=results, readme=readme)

    report.store("speed", "Q?", {"x": "2 ms"}, {}, results=results, readme=readme)

    assert [path.name for path in results.iterdir()] == ["speed.json"]
    assert "2 ms" in readme.read_text(encoding="utf-8")
    assert "1 ms" not in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [float("nan"), np.float64("inf"), object()])
def test_value_json_cannot_hold_is_refused_and_nothing_written(tmp_path: Path, readme: Path, value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|cannot hold"):
        report.store("speed", "Q?", {}, {"x": value}, results=tmp_path / "results", readme=readme)

    assert not (tmp_path / "results").exists()
    assert readme.read_text(encoding="utf-8") == MARKED


def test_name_that_leaves_the_folder_is_refused(tmp_path: Path, readme: Path) -> None:
    with pytest.raises(ValueError, match=r"result name '\.\./speed' is not allowed"):
        report.store("../speed", "Q?", {}, {}, results=tmp_path / "results", readme=readme)


@pytest.mark.parametrize("text", ["", report.BEGIN, f"{report.END}{report.BEGIN}", MARKED + MARKED])
def test_page_without_exactly_one_region_is_left_alone(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=r"README\.md must hold"):
        report.rewrite_table(tmp_path, readme)

    assert readme.read_text(encoding="utf-8") == text


def test_page_of_the_project_has_the_region() -> None:
    text = report.README.read_text(encoding="utf-8")

    assert text.count(report.BEGIN) == text.count(report.END) == 1


def test_commit_of_a_clean_checkout_is_its_identity(checkout: Path) -> None:
    (checkout / "benchmarks" / "results" / "speed.json").write_text("{}")

    identity = report.commit(checkout)

    assert len(identity) == 40
    assert set(identity) <= set("0123456789abcdef")


def test_commit_of_a_changed_checkout_is_marked_dirty(checkout: Path) -> None:
    (checkout / "code.py").write_text("2")

    assert report.commit(checkout).endswith("-dirty")


def test_commit_outside_a_checkout_is_unknown(tmp_path: Path) -> None:
    assert report.commit(tmp_path) == "unknown"


def test_record_of_a_device_names_it_before_the_machine(tmp_path: Path) -> None:
    made = report.record("gpu", "How fast?", {"p50": "1 ms"}, {}, commit_hash="abc", device="A GPU")

    path = report.write_record(made, tmp_path)

    assert json.loads(path.read_text(encoding="utf-8"))["commit"] == "abc"
    assert "| abc | " in report.table([made])
    assert f"| A GPU beside {made['machine']['processor']}, " in report.table([made])


def test_record_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        report.write_record(report.record("gpu", "How fast?", {}, {"ms": float("nan")}), tmp_path)
