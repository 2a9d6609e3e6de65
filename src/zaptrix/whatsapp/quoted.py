"""Quotes as words: where WhatsApp will not show the message that is answered. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from zaptrix.core.kinds import Quote
from zaptrix.core.limits import MEDIA_CAPTION_KEPT, QUOTE_CHARACTERS_MAX, WHATSAPP_TEXT_MAX
from zaptrix.core.message import Content, Media, Words
from zaptrix.core.text import Mark, Span, Text, rich_text

_ROOM_FOR_MARKS = 200  # what the operator's name and the marks of a quote may add


def in_words(content: Content, quote: Quote) -> Content:
    """`content` with the quoted words in front of its own, where there is room for them and they are known."""
    words = quoted_lines(quote.gist[:QUOTE_CHARACTERS_MAX])
    match content:
        case Words(text=text) if _fits(words, text, WHATSAPP_TEXT_MAX - _ROOM_FOR_MARKS):
            return replace(content, text=_in_front(words, text))
        case Media(caption=caption) if caption and _fits(words, caption, MEDIA_CAPTION_KEPT):
            return replace(content, caption=_in_front(words, caption))
        case _:
            return content


def quoted_lines(words: str) -> Text:
    """`words` as lines with the mark of a quote."""
    return rich_text([Span(words.strip("\n"), (Mark.QUOTE,))])


def _fits(words: Text, text: Text, most: int) -> bool:
    return bool(words) and len(words.plain) + len(text.plain) < most


def _in_front(words: Text, text: Text) -> Text:
    return rich_text([*words.spans, Span("\n"), *text.spans])
