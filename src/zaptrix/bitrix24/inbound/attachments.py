"""Renders the blocks that stand beside a message in Bitrix24 (links, tables, pictures) as text.

Pure; never raises.
https://apidocs.bitrix24.com/api-reference/chats/messages/attachments/index.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from zaptrix.bitrix24.wire import dig, listed
from zaptrix.core.foreign_json import BROKEN

_DEPTH_MAX = 6
_BESIDE_WORDS = "()[]{}<>\"'.,;:!?*_~"


def attached_lines(*attachments: object) -> list[str]:
    """Everything that can be read of the blocks, as BBCode."""
    return [line for line in _lines(attachments) if line.strip()]


def attached_links(*attachments: object, but: str) -> list[str]:
    """The addresses in the blocks that `but` does not name already: what is lost when the words alone go on."""
    named = {word for each in but.split() for word in (each, each.strip(_BESIDE_WORDS))}
    found = (link for block in _blocks(attachments, 0) for link in _links(block))
    return [link for link in dict.fromkeys(found) if link not in named]


def _lines(attachments: Iterable[object]) -> Iterator[str]:
    for block in _blocks(attachments, 0):
        for name, tell in _TELLERS.items():
            for entry in listed(_entries(dig(block, name))):
                yield from tell(entry)


def _blocks(value: object, depth: int) -> Iterator[dict[str, object]]:
    """Blocks come bare, in lists, under BLOCKS, or as JSON in a string."""
    if depth > _DEPTH_MAX:
        return
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except BROKEN:
            return
    if isinstance(value, list | tuple):
        for each in value:
            yield from _blocks(each, depth + 1)
    elif isinstance(value, dict):
        inner = dig(value, "BLOCKS")
        if inner is not None:
            yield from _blocks(inner, depth + 1)
        elif any(dig(value, name) is not None for name in _TELLERS):
            yield value
        else:
            yield from _blocks(list(value.values()), depth + 1)


def _entries(value: object) -> object:
    """A lone entry is a list of itself; what PHP made a map of numbers is a list."""
    if isinstance(value, dict) and not all(str(key).isdigit() for key in value):
        return [value]
    return value


def _message(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry


def _titled(entry: object) -> Iterator[str]:
    told = [dig(entry, name) for name in ("NAME", "DESC", "LINK")]
    yield from (each for each in told if isinstance(each, str))


def _row(entry: object) -> Iterator[str]:
    told = [each for name in ("NAME", "VALUE", "LINK") if isinstance(each := dig(entry, name), str) and each.strip()]
    yield ": ".join(told[:2]) + (f" ({told[2]})" if len(told) > 2 else "")


_TELLERS: dict[str, Callable[[object], Iterator[str]]] = {
    "MESSAGE": _message,
    "USER": _titled,
    "LINK": _titled,
    "RICH_LINK": _titled,
    "GRID": _row,
    "IMAGE": _titled,
    "FILE": _titled,
}
_WITH_ADDRESSES = ("LINK", "RICH_LINK", "IMAGE", "FILE")


def _links(block: dict[str, object]) -> Iterator[str]:
    for name in _WITH_ADDRESSES:
        for entry in listed(_entries(dig(block, name))):
            link = dig(entry, "LINK")
            if isinstance(link, str) and link.startswith(("http://", "https://")):
                yield link
