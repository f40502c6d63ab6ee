"""Frozen dataclasses of integers, texts, tuples, mappings and arrays as a tree for JSON and a list of arrays, and back.

The type decides how a tree is read, so nothing in a file can name what is to be made of it. A field with a default may
be missing: a later version has added it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import LiqscapeError

Tree: TypeAlias = Any
"""What JSON knows: None, bool, int, str, list, dict by str. An array is its number in the list."""

_PLAIN: Final = (int, bool, str, type(None))

_T = TypeVar("_T")


class UnreadableValue(LiqscapeError):
    """A tree that is not one of the type wanted."""


def flatten(value: object, arrays: list[NDArray[Any]]) -> Tree:
    """Return the tree of a value; its arrays are appended to a list, not copied.

    Raises:
        TypeError: it holds something else than what is named above.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return len(arrays) - 1
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: flatten(getattr(value, field.name), arrays) for field in fields(value)}
    if isinstance(value, tuple):
        return [flatten(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {_text(name): flatten(item, arrays) for name, item in value.items()}
    raise TypeError(f"{type(value)} is no plain value")


def build(wanted: type[_T], tree: Tree, arrays: Sequence[NDArray[Any]]) -> _T:
    """Return the value of a type that a tree stands for.

    Raises:
        UnreadableValue: it stands for none.
    """
    return cast(_T, _build(wanted, tree, arrays, wanted.__name__))


def _build(wanted: Any, tree: Tree, arrays: Sequence[NDArray[Any]], where: str) -> object:
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted in _PLAIN:
        _check(type(tree) is wanted, where, tree)
        return tree
    if origin in (Union, types.UnionType):
        if tree is None:
            _check(type(None) in arguments, where, tree)
            return None
        (present,) = (argument for argument in arguments if argument is not type(None))
        return _build(present, tree, arrays, where)
    if origin is np.ndarray:
        _check(type(tree) is int and 0 <= tree < len(arrays), where, tree)
        found, (dtype,) = arrays[tree], get_args(arguments[1])
        _check(found.dtype == np.dtype(dtype), where, found.dtype)
        return found
    if origin is tuple:
        return _tuple(arguments, tree, arrays, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _check(isinstance(tree, dict), where, tree)
        return {name: _build(arguments[1], item, arrays, f"{where}.{name}") for name, item in tree.items()}
    if is_dataclass(wanted):
        hints = _hints(cast(type, wanted))
        _check(isinstance(tree, dict) and _needed(cast(type, wanted)) <= set(tree) <= set(hints), where, tree)
        values = {name: _build(hints[name], item, arrays, f"{where}.{name}") for name, item in tree.items()}
        return cast(Callable[..., object], wanted)(**values)
    raise TypeError(f"{wanted} at {where} is no type of plain values")


def _tuple(arguments: tuple[Any, ...], tree: Tree, arrays: Sequence[NDArray[Any]], where: str) -> tuple[object, ...]:
    _check(isinstance(tree, list), where, tree)
    hints = [arguments[0]] * len(tree) if arguments[1:] == (Ellipsis,) else arguments
    _check(len(hints) == len(tree), where, tree)
    return tuple(_build(hint, item, arrays, f"{where}[]") for hint, item in zip(hints, tree, strict=True))


@cache
def _hints(wanted: type) -> dict[str, Any]:
    return get_type_hints(wanted)


@cache
def _needed(wanted: type) -> frozenset[str]:
    """Return the fields without a default. One with it was added later: what was written before lacks it."""
    return frozenset(f.name for f in fields(wanted) if f.default is MISSING and f.default_factory is MISSING)


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name of a plain value")
    return name


def _check(good: bool, where: str, found: object) -> None:
    if not good:
        raise UnreadableValue(f"{where} cannot be {str(found)[:60]!r}")
