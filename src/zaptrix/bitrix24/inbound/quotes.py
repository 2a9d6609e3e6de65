"""Finds the message that an operator answers, by the quoted words at the head of the text.

There is no id: a quote is a block between two lines of 54 dashes, with the author and the time above the words, lines
that begin with `>>`, or `[quote]`. A portal may name its own message behind the time: `#chat1767/86497`. Pure.
https://apidocs.bitrix24.com/api-reference/chats/messages/formatting.html
"""

from __future__ import annotations

import re
from typing import NamedTuple

from zaptrix.bitrix24.markup.markup import from_bbcode
from zaptrix.bitrix24.wire import number

_LINE_END = re.compile(r"\[br\]|#br#|\r\n?", re.IGNORECASE)
_FRAME = re.compile(
    r"\s*-{54}[ \t]*\n"
    r"(?:(?P<author>[^\n]{1,200}?) \[[^\]\n]{1,60}\](?: #(?:chat)?[\d:]{1,40}/(?P<id>\d{1,19}))?[ \t]*\n)?"
    r"(?P<words>.*?)\n?-{54}[ \t]*(?:\n|\Z)",
    re.DOTALL,
)
_ARROWS = re.compile(r"\s*(?P<words>>>[^\n]*(?:\n>>[^\n]*)*)(?:\n|\Z)")
_TAG = re.compile(r"\s*\[quote\](?P<words>.*?)\[/quote\][ \t]*\n?", re.DOTALL | re.IGNORECASE)
_MAY_BE = ("-" * 54, ">>", "[quote]", "[QUOTE]")


class Quoted(NamedTuple):
    """What stands at the head of a text, and the text without it, as BBCode."""

    words: str
    author: str | None
    bitrix_message_id: int | None
    rest: str


def split_quote(source: str) -> Quoted | None:
    """The quote at the head of an operator's text; None when there is none, or nothing else."""
    if not source.lstrip().startswith(_MAY_BE):
        return None
    tidy = _LINE_END.sub("\n", source)
    found = _FRAME.match(tidy) or _ARROWS.match(tidy) or _TAG.match(tidy)
    if not found:
        return None
    rest = tidy[found.end() :].lstrip("\n")
    named = found.groupdict()
    words = re.sub(r"(?m)^>> ?", "", named["words"])
    quoted = Quoted(from_bbcode(words).plain, named.get("author"), number(named.get("id")), rest)
    return quoted if quoted.rest.strip() and quoted.words.strip() else None
