"""Bent copies of a captured post: at every depth a field left out, one added, a value of another type."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

LEFT_OUT = object()
HALF_AN_EMOJI = "corte \ud83d"
VERY_LONG = "x" * 5_000
OTHERS: dict[str, Any] = {
    "left out": LEFT_OUT,
    "null": None,
    "number": 7,
    "huge number": 10**30,
    "fraction": -0.5,
    "truth": True,
    "text": "zzz",
    "empty text": "",
    "NUL": "a\0b",
    "list": ["zzz", None, {}],
    "empty list": [],
    "object": {"id": {"a": [1]}},
    "empty object": {},
    "very long text": VERY_LONG,
    "half an emoji": HALF_AN_EMOJI,
}
_ADDED = {"field_of_tomorrow": {"a": [1, None, HALF_AN_EMOJI]}}


def paths(tree: Any, here: Path = ()) -> Iterator[Path]:
    """Every place below the root, parents first."""
    for name, below in _children(tree):
        yield (*here, name)
        yield from paths(below, (*here, name))


def bent(tree: Any, path: Path, other: Any) -> Any:
    """`tree` with `other` at `path`; as it was where an earlier bend took that place away."""
    made = copy.deepcopy(tree)
    holder = _at(made, path[:-1])
    if path[-1] not in dict(_children(holder)):
        return made
    if other is LEFT_OUT:
        del holder[path[-1]]
    else:
        holder[path[-1]] = copy.deepcopy(other)
    return made


def with_more(tree: Any, path: Path) -> Any:
    """`tree` with a field that nobody knows beside those of the object at `path`."""
    made = copy.deepcopy(tree)
    holder = _at(made, path)
    if isinstance(holder, dict):
        holder |= copy.deepcopy(_ADDED)
    return made


def all_single(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every variation of one bend, with what was done to it."""
    for path in paths(tree):
        for name, other in OTHERS.items():
            yield f"{'.'.join(map(str, path))}: {name}", bent(tree, path, other)
    for path in ((), *paths(tree)):
        if isinstance(_at(tree, path), dict):
            yield f"{'.'.join(map(str, path))}: one more", with_more(tree, path)


@st.composite
def several(draw: st.DrawFn, tree: Any, *, at_most: int = 4) -> Any:
    """`tree`, bent at several places at once."""
    places = list(paths(tree))
    for _ in range(draw(st.integers(1, at_most))):
        path = draw(st.sampled_from(places))
        if draw(st.integers(0, 7)) == 0:
            tree = with_more(tree, path)
        else:
            tree = bent(tree, path, draw(st.sampled_from(list(OTHERS.values()))))
    return tree


def _children(tree: Any) -> list[tuple[str | int, Any]]:
    if isinstance(tree, dict):
        return list(tree.items())
    return list(enumerate(tree)) if isinstance(tree, list) else []


def _at(tree: Any, path: Path) -> Any:
    for name in path:
        tree = dict(_children(tree)).get(name)
    return tree
