"""Frozen values become a tree and arrays, and back; nothing but the type decides what is made of a tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.journal.plain_values import UnreadableValue, build, flatten


@dataclass(frozen=True)
class Leaf:
    name: str
    lots: NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    number: int
    flag: bool
    maybe: int | None
    pair: tuple[int, str]
    many: tuple[Leaf, ...]
    by_name: Mapping[str, tuple[int, ...]]
    maybe_leaf: Leaf | None


LEAF = Leaf("a", np.array([1, -(1 << 62)]))
TREE = Tree(1 << 80, True, None, (-1, "x"), (LEAF, LEAF), {"b": (1, 2), "a": ()}, LEAF)


def test_value_is_built_again() -> None:
    arrays: list[NDArray[Any]] = []
    tree = flatten(TREE, arrays)

    found = build(Tree, tree, arrays)

    assert (found.number, found.flag, found.maybe, found.pair) == (1 << 80, True, None, (-1, "x"))
    assert list(found.by_name.items()) == [("b", (1, 2)), ("a", ())]
    assert [leaf.lots.tolist() for leaf in found.many] == [LEAF.lots.tolist()] * 2
    assert found.maybe_leaf is not None
    assert len(arrays) == 3


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("number", True),
        ("number", "1"),
        ("number", None),
        ("flag", 1),
        ("maybe", "none"),
        ("pair", [1]),
        ("pair", {"0": 1}),
        ("many", [{"name": "a"}]),
        ("many", [{"name": "a", "lots": 99}]),
        ("many", [{"name": "a", "lots": -1}]),
        ("many", [{"name": "a", "lots": 0, "more": 1}]),
        ("by_name", [["a", []]]),
        ("maybe_leaf", []),
    ],
)
def test_tree_of_another_form_is_refused(name: str, wrong: object) -> None:
    arrays: list[NDArray[Any]] = []
    tree = flatten(TREE, arrays)

    with pytest.raises(UnreadableValue, match=f"Tree.{name}"):
        build(Tree, {**tree, name: wrong}, arrays)


def test_array_of_another_type_is_refused() -> None:
    with pytest.raises(UnreadableValue, match=r"Leaf\.lots cannot be 'int32'"):
        build(Leaf, {"name": "a", "lots": 0}, [np.zeros(1, np.int32)])


@pytest.mark.parametrize("value", [1.5, {1: 2}, [1], b"x", Leaf])
def test_what_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        flatten(value, [])
