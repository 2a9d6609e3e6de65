"""Splits long texts where a reader would pause, so that a portal takes each part whole.

A portal cuts a text that is longer than 20,000 characters of BBCode, and says so with an ellipsis alone. Pure.
https://apidocs.bitrix24.com/api-reference/chats/messages/im-message-add.html
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from zaptrix.bitrix24.markup.markup import to_bbcode
from zaptrix.core.limits import BITRIX_TEXT_MAX
from zaptrix.core.message.text import Slices, Text, part_of

_PAUSES = ("\n", " ")
_JOINER = "\N{ZERO WIDTH JOINER}"
GROWTH_MAX = 50  # BBCode of one character: three tags opened and closed, a break, the sign of a quote
_CHARACTER_MAX = 64  # of what people see as one; what is longer is cut all the same


def in_parts(text: Text) -> Iterator[Text]:
    """`text` as texts that go one by one; not a character of it is left out."""
    slices = Slices(text)
    at = 0
    while True:
        room = slices.between(at, at + BITRIX_TEXT_MAX)
        whole = slices.length - at <= BITRIX_TEXT_MAX
        if whole and (slices.length * GROWTH_MAX <= BITRIX_TEXT_MAX or len(to_bbcode(room)) <= BITRIX_TEXT_MAX):
            yield room
            return
        end = _end_of_part(room, whole=whole)
        yield part_of(room, 0, end)
        at += end


def _end_of_part(room: Text, *, whole: bool) -> int:
    """Where a part ends that begins with `room`: the last good place at which it still fits."""
    plain = room.plain
    end = len(plain) if whole else _pause(plain, len(plain))
    while end > 1 and (size := len(to_bbcode(part_of(room, 0, end)))) > BITRIX_TEXT_MAX:
        end = _pause(plain, max(1, min(end - 1, end * BITRIX_TEXT_MAX // size)))
    return end


def _pause(plain: str, room: int) -> int:
    """Behind the last end of a line or a word in the second half of the room; else between two characters."""
    for pause in _PAUSES:
        at = plain.rfind(pause, room // 2, room)
        if at > 0:
            return at + 1
    places = range(room, max(0, room - _CHARACTER_MAX), -1)
    return next((at for at in places if _parts_at(plain, at)), room)


def _parts_at(plain: str, at: int) -> bool:
    if at >= len(plain):
        return True
    return _JOINER not in plain[at - 1 : at + 1] and not unicodedata.category(plain[at]).startswith("M")
