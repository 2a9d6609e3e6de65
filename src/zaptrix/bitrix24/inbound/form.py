"""Parses PHP-style forms, as Bitrix24 posts its events: `data[MESSAGES][0][im][chat_id]=1767`.

Pure.
https://apidocs.bitrix24.com/api-reference/events/index.html
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from zaptrix.core import limits

Value = str | list["Value"] | dict[str, "Value"]
Form = dict[str, Value]

# An index longer than this is a name: no list is that long, and int() refuses very long digits.
_INDEX_DIGITS_MAX = 9
_VALUE_BYTES_MAX = 1_000
_ESCAPES_FEW = 16


_ESCAPED = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


class BadForm(Exception):
    """The body is no form that we take. The text says why and holds nothing of the body."""


def parse_form(body: bytes) -> Form:
    """The nested values of `body`; maps whose keys are all indexes become lists in the order of the indexes.

    Raises BadForm. A broken character inside a value becomes U+FFFD: a damaged message beats a lost message, as
    Bitrix24 never posts an event again. NUL characters are dropped: no text column can hold them.
    """
    if len(body) > limits.BITRIX_BODY_BYTES_MAX:
        raise BadForm(f"the body is larger than {limits.BITRIX_BODY_BYTES_MAX} bytes")
    if body.count(b"&") >= limits.FORM_KEYS_MAX:
        raise BadForm(f"the form has more than {limits.FORM_KEYS_MAX} fields")
    tree = _Map()
    for field in body.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            _plant(tree, _path(_name(name)), _text(value))
    return {name: _with_lists(value) for name, value in tree.items()}


def last_values(body: bytes, names: Collection[str]) -> dict[str, str]:
    """What the fields with these names hold, the last one where one comes twice, without reading the rest of `body`.

    For who has to be told apart before their form is worth the work. A value that is longer than any key is not read.
    """
    if body.count(b"&") >= limits.FORM_KEYS_MAX:
        return {}
    found: dict[str, str] = {}
    longest = 3 * max(map(len, names))  # with each character escaped
    for field in body.split(b"&"):
        raw, _, value = field[: longest + 1 + _VALUE_BYTES_MAX].partition(b"=")
        if len(raw) <= longest and (name := _text(raw)) in names:
            found[name] = _text(value) if len(value) < _VALUE_BYTES_MAX else ""
    return found


class _Map(dict[str, "str | _Map"]):
    """A level of the form, with the index that a field without one (`a[]`) is given next.

    PHP's rule: the largest index + 1. It is kept beside the map, because looking for it would read the map once a
    field: a form of a few kilobytes, from anybody, would cost seconds.
    """

    next_index = 0

    def named(self, step: str) -> str:
        """The name that `step` stands for."""
        if not step:
            step = str(self.next_index)
            self.next_index += 1
        elif _is_index(step):
            self.next_index = max(self.next_index, int(step) + 1)
        return step


def _name(raw: bytes) -> str:
    try:
        name = _unescaped(raw).decode()
    except UnicodeDecodeError:
        raise BadForm("a field's name is not UTF-8") from None
    if not name or "\0" in name:
        raise BadForm("a field has no usable name")
    return name


def _text(raw: bytes) -> str:
    return _unescaped(raw).decode(errors="replace").replace("\0", "")


def _unescaped(raw: bytes) -> bytes:
    """As the library does it, one escape after the other: the quickest for few of them. 2 MB of them took a second."""
    spaced = raw.replace(b"+", b" ")
    if spaced.count(b"%") <= _ESCAPES_FEW:
        return unquote_to_bytes(spaced)
    return _ESCAPED.sub(lambda run: unhexlify(run[0].replace(b"%", b"")), spaced)


def _path(name: str) -> list[str]:
    """`a[b][0]` -> a, b, 0. Brackets that do not nest are part of the name."""
    head, bracket, rest = name.partition("[")
    if not bracket or not head or not rest.endswith("]"):
        return [name]
    path = [head, *rest[:-1].split("][")]
    if len(path) > limits.FORM_DEPTH_MAX:
        raise BadForm(f"a field is nested deeper than {limits.FORM_DEPTH_MAX}")
    return path


def _plant(tree: _Map, path: list[str], value: str) -> None:
    node = tree
    for step in path[:-1]:
        name = step if step[:1] > "9" else node.named(step)  # most are names
        below = node.get(name)
        if not isinstance(below, _Map):
            # PHP's rule where a name is used both ways: the later one wins.
            below = node[name] = _Map()
        node = below
    last = path[-1]
    node[last if last[:1] > "9" else node.named(last)] = value


def _with_lists(value: str | _Map) -> Value:
    if isinstance(value, str):
        return value
    below = {name: _with_lists(child) for name, child in value.items()}
    if not all(_is_index(name) for name in below):
        return below
    return [below[name] for name in sorted(below, key=int)]


def _is_index(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= _INDEX_DIGITS_MAX and (name == "0" or name[0] != "0")
