"""The settings in README.md are those of `liqscape serve`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from liqscape.__main__ import _add_serve_arguments

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_every_flag_of_serve_is_in_the_table_and_no_other() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    _add_serve_arguments(parser)
    section = README.split("## Settings of `serve`")[1].split("\n## ")[0]

    told = re.findall(r"^\| `(--[\w-]+)` \|", section, re.MULTILINE)

    assert sorted(told) == sorted(option for action in parser._actions for option in action.option_strings)
    assert len(told) > 10
