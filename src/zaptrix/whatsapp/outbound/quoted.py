"""Renders a quote as text, where WhatsApp will not show the message that is answered.

Pure.
"""

from __future__ import annotations

from msgspec.structs import replace

from zaptrix.core.limits import MEDIA_CAPTION_MAX, QUOTE_CHARACTERS_MAX, WHATSAPP_TEXT_MAX
from zaptrix.core.message.kinds import Quote
from zaptrix.core.message.message import Content, MediaContent, Words
from zaptrix.core.message.text import Mark, Span, Text, rich_text
from zaptrix.whatsapp.outbound.split_text import fits


def in_words(content: Content, quote: Quote) -> Content:
    """`content` with the quoted words in front of its own, where there is room for them and they are known."""
    words = quoted_lines(quote.gist[:QUOTE_CHARACTERS_MAX])
    match content:
        case Words(text=text) if words and fits(_in_front(words, text), content.author, WHATSAPP_TEXT_MAX):
            return replace(content, text=_in_front(words, text))
        case MediaContent(caption=said) if (
            words and said and fits(_in_front(words, said), content.author, MEDIA_CAPTION_MAX)
        ):
            return replace(content, caption=_in_front(words, said))
        case _:
            return content


def quoted_lines(words: str) -> Text:
    """`words` as lines with the mark of a quote."""
    return rich_text([Span(words.strip("\n"), (Mark.QUOTE,))])


def _in_front(words: Text, text: Text) -> Text:
    return rich_text([*words.spans, Span("\n"), *text.spans])
