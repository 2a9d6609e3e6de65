"""PHP's nested forms, `data[MESSAGES][0][im][chat_id]=1767`: encoder and decoder.

The simulator's own, apart from the gateway's: two readings of one form would not show a mistake that they share. Pure.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote_plus

_PART = re.compile(r"\[([^\[\]]*)\]")


def encode(document: dict[str, Any]) -> bytes:
    """Scalars become text, true 1 and false 0; nulls and empty lists or maps vanish."""
    return "&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in _flat(document, "")).encode()


def decode(text: str) -> dict[str, Any]:
    """Maps only; a list is a map with the keys 0, 1, 2. `name[]` takes the next free number."""
    document: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        _put(document, _path(name), value)
    return document


def listed(value: Any) -> list[Any]:
    """A list, also when it came as a form's map with number keys."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value[key] for key in sorted(value, key=_number)] if all(key.isdigit() for key in value) else [value]
    return [] if value in {None, ""} else [value]


def _number(key: str) -> int:
    return int(key)


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}[{key}]" if name else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{index}]")
    elif value is not None:
        yield name, _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def _path(name: str) -> list[str]:
    head, bracket, rest = name.partition("[")
    return [head, *_PART.findall(bracket + rest)] if head else [name]


def _put(document: dict[str, Any], path: list[str], value: str) -> None:
    place: dict[str, Any] = document
    for part, following in zip(path, [*path[1:], None], strict=True):
        key = part or str(len(place))
        if following is None:
            place[key] = value
            return
        inner = place.get(key)
        if not isinstance(inner, dict):
            inner = place[key] = {}
        place = inner
