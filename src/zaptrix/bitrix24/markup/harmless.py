"""What a customer wrote, made harmless for BBCode, which has no escape: what would act is broken by a zero-width space.

A link is not broken for a tag that nothing closes: `?filter[b]=1` does nothing, and whoever opens it needs every byte.
https://apidocs.bitrix24.com/api-reference/chats/messages/formatting.html
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection

_ZWSP = "\N{ZERO WIDTH SPACE}"

_LINK = re.compile(r"(?<![^\s(\"'])(?:https?://|www\.)\S+", re.IGNORECASE)
_CLOSING = re.compile(r"\[/([a-z]+)", re.IGNORECASE)
_NAME = re.compile(r"[a-z]+", re.IGNORECASE)


def never_closed(plain: str, paired: Collection[str]) -> frozenset[str]:
    """Those of the `paired` tags that a link of a text may hold: nothing in it closes them."""
    if "[" not in plain or not _LINK.search(plain):
        return frozenset()
    return frozenset(paired) - {name.lower() for name in _CLOSING.findall(plain)}


def harmless(text: str, acts: re.Pattern[str], free: Collection[str]) -> str:
    """`text`, in which nothing acts that `acts` finds; in its links, tags of `free` stay as they are."""
    links = list(_LINK.finditer(text)) if free else []
    starts = [link.start() for link in links]

    def broken(found: re.Match[str]) -> str:
        if links and found["tag"] and (place := bisect_right(starts, found.start())):
            name = _NAME.match(text, found.end())
            if found.start() < links[place - 1].end() and name and name[0].lower() in free:
                return found[0]
        return found[0] + _ZWSP

    return acts.sub(broken, text)
