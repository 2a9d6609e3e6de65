"""Long texts, cut where a reader would pause, so that WhatsApp takes each part as one message. Pure.

The limit holds for what is sent: marks, the zero-width spaces beside them and the operator's name count. Meta does not
say what it calls a character, so they are counted as UTF-16 does: what fits that way fits every way.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages
"""

from __future__ import annotations

import re
import unicodedata

from zaptrix.core.limits import WHATSAPP_TEXT_MAX
from zaptrix.core.text import Mark, Span, Text, part_of
from zaptrix.whatsapp.markup import LINKS, to_whatsapp

# The best places to cut at first: the end of a paragraph, a line, a sentence, a word; each from which share of the
# room on, for a part should not be short without need.
_PAUSES = (
    (re.compile(r"\s*\n\s*\n"), 0.5),
    (re.compile(r"[ \t]*\n"), 0.5),
    (re.compile(r"(?<=[.!?…;:])[ \t]+"), 0.5),
    (re.compile(r"\s+"), 0.0),
)
_GAP = re.compile(r"(?:\s*\n)?[ \t]*(?=\S)|\s+\Z")
_NEVER_LONG = 1_300  # characters: marks make a text three times as long at the most
_JOINER = "\N{ZERO WIDTH JOINER}"
_CLINGING = frozenset({"Mn", "Me", "Mc"})


def signed(text: Text, author: str | None) -> Text:
    """`text` with the operator's name above it."""
    if not author:
        return text
    return Text((Span(f"{' '.join(author.split())}:", (Mark.BOLD,)), Span("\n"), *text.spans))


def may_be_long(text: Text) -> bool:
    """Whether it is worth asking who signs, and cutting."""
    return sum(len(span.text) for span in text.spans) > _NEVER_LONG


def in_parts(text: Text, author: str | None) -> list[Text]:
    """`text` as texts that go one by one, the name of `author` above the first. Only space at the cuts is left out."""
    parts: list[Text] = []
    while may_be_long(text) and _size(text, author) > WHATSAPP_TEXT_MAX:
        end = _end_of_part(text, author)
        parts.append(part_of(text, 0, end))
        plain = text.plain
        gap = _GAP.match(plain, end)
        text = part_of(text, gap.end() if gap else end, len(plain))
        author = None
    return [*parts, text] if text or not parts else parts


def _size(text: Text, author: str | None) -> int:
    return len(to_whatsapp(signed(text, author)).encode("utf-16-le", "surrogatepass")) // 2


def _end_of_part(text: Text, author: str | None) -> int:
    """Where the first part ends: the last good place at which it still fits."""
    plain = text.plain
    end = _pause(plain, min(WHATSAPP_TEXT_MAX, len(plain)))
    while end > 1 and (size := _size(part_of(text, 0, end), author)) > WHATSAPP_TEXT_MAX:
        end = _pause(plain, max(1, min(end - 1, end * WHATSAPP_TEXT_MAX // size)))
    return end


def _pause(plain: str, room: int) -> int:
    """The best place to cut at, `room` characters from the beginning or before; never 0."""
    for pattern, share in _PAUSES:
        places = [found.start() for found in pattern.finditer(plain, int(room * share), min(len(plain), room + 1))]
        # A part begins with a letter: what stands before the first one is no part.
        if places and plain[: places[-1]].strip():
            return places[-1]
    return _between_characters(plain, _outside_of_link(plain, room))


def _outside_of_link(plain: str, at: int) -> int:
    for link in LINKS.finditer(plain):
        if 0 < link.start() < at < link.end():
            return link.start()
        if link.start() >= at:
            break
    return at


def _between_characters(plain: str, room: int) -> int:
    """Not within what people see as one character. What never ends is cut all the same."""
    return next((at for at in range(room, 0, -1) if _parts_at(plain, at)), room)


def _parts_at(plain: str, at: int) -> bool:
    if at >= len(plain):
        return True
    before, after = plain[at - 1], plain[at]
    if _JOINER in {before, after} or unicodedata.category(after) in _CLINGING or _is_modifier(after):
        return False
    return not (_is_half_flag(before) and _is_half_flag(after) and _flags_before(plain, at) % 2)


def _is_modifier(sign: str) -> bool:
    """Skin tones, the tags of regional flags, and the later letters of a Korean syllable."""
    return "\U0001f3fb" <= sign <= "\U0001f3ff" or "\U000e0020" <= sign <= "\U000e007f" or "\u1160" <= sign <= "\u11ff"


def _is_half_flag(sign: str) -> bool:
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _flags_before(plain: str, at: int) -> int:
    start = at
    while start and _is_half_flag(plain[start - 1]):
        start -= 1
    return at - start
