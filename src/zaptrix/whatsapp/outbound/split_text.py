"""Splits long texts where a reader would pause, so that WhatsApp takes each part as one message.

The limit holds for what is sent: marks, the zero-width spaces beside them and the operator's name count. Meta does not
say what it calls a character, so they are counted as UTF-16 does: what fits that way fits every way. Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from zaptrix.core.limits import WHATSAPP_TEXT_MAX
from zaptrix.core.message.text import Mark, Slices, Span, Text
from zaptrix.whatsapp.markup.chunks import LINKS
from zaptrix.whatsapp.markup.markup import to_whatsapp

_SPACE = re.compile(r"\s+")
_ENDS = frozenset(".!?…;:")
_TRIES = 4  # to make a part shorter by a little; then it is made shorter by much
_SIGNS_MAX = 8  # characters: what marks and zero-width spaces may make of one
_NAME_MAX = 256
_JOINER = "\N{ZERO WIDTH JOINER}"
_CLINGING = frozenset({"Mn", "Me", "Mc"})


def signed(text: Text, author: str | None) -> Text:
    """`text` with the operator's name above it."""
    if not author:
        return text
    return Text((Span(f"{' '.join(author.split())}:", (Mark.BOLD,)), Span("\n"), *text.spans))


def may_be_long(text: Text, most: int = WHATSAPP_TEXT_MAX) -> bool:
    """Whether it is worth asking who signs, and measuring what is sent."""
    length = sum(len(span.text) for span in text.spans)
    if length * _SIGNS_MAX + _NAME_MAX <= most:
        return False
    return length + _NAME_MAX > most or size_of(text, None) + _NAME_MAX > most


def fits(text: Text, author: str | None, most: int) -> bool:
    """Whether `text` is sent with at most so many characters."""
    return sum(len(span.text) for span in text.spans) <= most and size_of(text, author) <= most


def size_of(text: Text, author: str | None) -> int:
    """How long `text` is as it is sent, under the name of `author`."""
    return len(to_whatsapp(signed(text, author)).encode("utf-16-le", "surrogatepass")) // 2


def in_parts(text: Text, author: str | None) -> list[Text]:
    """`text` as texts that go one by one, the name of `author` above the first. Only space at the cuts is left out.

    Never more than one part is looked at: a text ten times as long takes ten times as long.
    """
    parts: list[Text] = []
    whole = Slices(text)
    at = 0
    while at < whole.length or not parts:
        window = whole.between(at, at + WHATSAPP_TEXT_MAX)
        if not window and at + WHATSAPP_TEXT_MAX < whole.length:
            at = _after_space(whole, at)
            continue
        last = at + WHATSAPP_TEXT_MAX >= whole.length
        if last and size_of(window, author) <= WHATSAPP_TEXT_MAX:
            end = whole.length
        else:
            # One character more tells whether a word ends with the window.
            end = at + _end_of_part(window, whole.plain[at : at + WHATSAPP_TEXT_MAX + 1], author)
        parts.append(whole.between(at, end))
        at = _after_space(whole, end)
        author = None
    return parts


def _after_space(whole: Slices, at: int) -> int:
    found = _SPACE.match(whole.plain, at)
    return found.end() if found else at


def _end_of_part(window: Text, plain: str, author: str | None) -> int:
    """Where the first part ends: the last good place at which it still fits."""
    slices = Slices(window)
    end = _pause(plain, min(WHATSAPP_TEXT_MAX, slices.length))
    tries = 0
    while end > 1 and (size := size_of(slices.between(0, end), author)) > WHATSAPP_TEXT_MAX:
        tries += 1
        room = min(end - 1, end * WHATSAPP_TEXT_MAX // size) if tries < _TRIES else end // 2
        end = _pause(plain, max(1, room))
    return end


# The best places to cut at first: the end of a paragraph, a line, a sentence, a word; each from which share of the
# room on, for a part should not be short without need.
_PAUSES: tuple[tuple[Callable[[str, str], bool], float], ...] = (
    (lambda space, _before: space.count("\n") > 1, 0.5),
    (lambda space, _before: "\n" in space, 0.5),
    (lambda _space, before: before in _ENDS, 0.5),
    (lambda _space, _before: True, 0.0),
)


def _pause(plain: str, room: int) -> int:
    """The best place to cut at, `room` characters from the beginning or before; never 0."""
    # A part begins with a letter: what stands before the first one is no part.
    spaces = [found for found in _SPACE.finditer(plain, 0, min(len(plain), room + 1)) if found.start()]
    for is_pause, share in _PAUSES:
        for found in reversed(spaces):
            if found.start() < room * share:
                break
            if is_pause(found[0], plain[found.start() - 1]):
                return found.start()
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
