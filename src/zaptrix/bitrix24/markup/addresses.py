"""Tells whether the words of a link say its address already.

A portal makes a link of every address and mailbox that somebody types, and shows long ones cut. Pure.
https://apidocs.bitrix24.com/api-reference/chats/messages/formatting.html
"""

from __future__ import annotations

import re

_SCHEME = re.compile(r"(?:(?P<kind>mailto|tel):|https?://(?:www\.)?)", re.IGNORECASE)
_SHORTENED = re.compile(r"(?:\.{3}|…)\Z")


def without_scheme(value: str) -> str:
    """An address as people write it: of a mailbox or a telephone, without the word that only machines need."""
    found = _SCHEME.match(value)
    return value[found.end() :] if found and found["kind"] else value


def _bare(address: str) -> str:
    found = _SCHEME.match(address)
    return address[found.end() if found else 0 :].removeprefix("www.").rstrip("/").casefold()


def names_mailbox(value: str, inside: str) -> bool:
    """Whether the words are the mailbox, or the telephone, that a link names."""
    found = _SCHEME.match(value)
    if not found or not found["kind"]:
        return _bare(value) == _bare(inside) and "@" in value and "/" not in value
    if found["kind"].lower() == "tel":
        digits = "".join(filter(str.isdigit, inside))
        return bool(digits) and "".join(filter(str.isdigit, value)) == digits
    return _bare(value).partition("?")[0] == _bare(inside)


def is_short_for(value: str, inside: str) -> bool:
    """Whether the words are a part of the address, as a portal shows long ones: without the scheme, or cut."""
    cut = _SHORTENED.search(inside)
    if not cut:
        return _bare(value) == _bare(inside)
    head = _bare(inside[: cut.start()])
    return bool(head) and _bare(value).startswith(head)
