"""Translates what operators write, change and take back to neutral messages.

Pure.
https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/index.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.inbound.attachments import attached_lines, attached_links
from zaptrix.bitrix24.inbound.quotes import split_quote
from zaptrix.bitrix24.markup.markup import from_bbcode, split_signature
from zaptrix.core import limits
from zaptrix.core.event import Answering, Ignored, OperatorChange, OperatorMessage, Routed, Untold
from zaptrix.core.message.media import CAPTIONED
from zaptrix.core.message.message import Content, MediaContent, MediaKind, Words
from zaptrix.core.message.text import Span, Text, rich_text

_SYSTEM = "0"
_HALF_TAG = re.compile(r"\[/?[a-z*]{1,12}(?:[=\s][^\[\]]{0,300})?\Z", re.IGNORECASE)


def message_added(data: object) -> Routed:
    item = msgspec.convert(wire.first(data, "MESSAGES"), wire.OperatorItem, strict=False)
    files = wire.sent_files(item.message.files)
    written = _written(item, with_files=bool(files))
    text, left_out = _with_beside(from_bbcode(written.source), item, files)
    contents = _contents(text, written.author, files)
    if not contents:
        return _nothing(item)
    return OperatorMessage(
        external_chat_id=item.chat.id,
        bitrix_chat_id=item.im.chat_id,
        bitrix_message_id=item.im.message_id,
        content=contents[0],
        more=tuple(contents[1:]),
        answering=_answering(written, item, files),
        lost_files=sum(not file.link for file in files) if item.recovered is None else 0,
        cut=written.cut or left_out,
        recovered=item.recovered,
    )


def message_updated(data: object) -> Routed:
    return _changed(data, deleted=False)


def message_deleted(data: object) -> Routed:
    return _changed(data, deleted=True)


def _changed(data: object, *, deleted: bool) -> Routed:
    item = msgspec.convert(wire.first(data, "MESSAGES"), wire.OperatorItem, strict=False)
    written = _written(item, with_files=False)
    quoted = split_quote(written.source)
    return OperatorChange(
        external_chat_id=item.chat.id,
        bitrix_chat_id=item.im.chat_id,
        bitrix_message_id=item.im.message_id,
        text=None if deleted else from_bbcode(written.source),
        unquoted=from_bbcode(quoted.rest) if quoted else None,
        author=written.author,
        cut=written.cut and not deleted,
    )


class _Written(NamedTuple):
    """Who signs a text, and the text as BBCode; `cut`: not all of it."""

    author: str | None
    source: str
    cut: bool


def _written(item: wire.OperatorItem, *, with_files: bool) -> _Written:
    author, source = None, item.message.text
    if wire.scalar(item.message.user_id) != _SYSTEM:
        # The line itself signs nothing: bold words at the head of what it says are its own.
        author, source = split_signature(source, with_files=with_files)
    head, tail = source[: limits.OPERATOR_TEXT_MAX], source[limits.OPERATOR_TEXT_MAX :]
    if not tail.strip():
        return _Written(author, head, cut=False)
    return _Written(author, _HALF_TAG.sub("", head), cut=True)


def _nothing(item: wire.OperatorItem) -> Routed:
    """Nothing that could be carried. What a person sent must not vanish unsaid."""
    if wire.scalar(item.message.user_id) == _SYSTEM:
        return Ignored("no text and no files")
    return Untold(
        external_chat_id=item.chat.id,
        bitrix_chat_id=item.im.chat_id,
        bitrix_message_id=item.im.message_id,
        reason="nothing in it that WhatsApp takes",
    )


def _with_beside(words: Text, item: wire.OperatorItem, files: Sequence[wire.SentFile]) -> tuple[Text, bool]:
    """The words, with what of the blocks beside them would be lost with the words alone; whether some is left out."""
    beside = (item.attachments_old, item.message.attachments)
    if not words and not files:
        told = "\n".join(attached_lines(*beside))
        return from_bbcode(told[: limits.OPERATOR_TEXT_MAX]), len(told) > limits.OPERATOR_TEXT_MAX
    lines = attached_links(*beside, but=words.plain) if any(beside) else []
    # A file without an address is named, so that nothing vanishes.
    lines += [file.name for file in files if file.name and not file.link]
    room = limits.OPERATOR_TEXT_MAX
    fitting = [line for line in lines if (room := room - len(line) - 1) >= 0]
    return _joined(words, fitting), len(fitting) < len(lines)


def _joined(text: Text, lines: Sequence[str]) -> Text:
    if not lines:
        return text
    return rich_text([*text.spans, Span("\n" if text else ""), Span("\n".join(lines))])


def _answering(written: _Written, item: wire.OperatorItem, files: Sequence[wire.SentFile]) -> Answering | None:
    quoted = split_quote(written.source)
    named = None if quoted else wire.number(wire.dig(item.message.params, "REPLY_ID"))
    if quoted is None and named is None:
        return None
    text, _ = _with_beside(from_bbcode(quoted.rest if quoted else written.source), item, files)
    contents = tuple(_contents(text, written.author, files))
    if quoted is None:
        return Answering(words="", bitrix_message_id=named, contents=contents) if contents else None
    return Answering(
        words=quoted.words, author=quoted.author, bitrix_message_id=quoted.bitrix_message_id, contents=contents
    )


def _contents(text: Text, author: str | None, files: Sequence[wire.SentFile]) -> list[Content]:
    """One message a file: the words go with the first, where WhatsApp has room for them, else before it."""
    media = [_media(file, author) for file in files if file.link]
    if not text:
        return list(media)
    first = media[0] if media else None
    if first is None or first.kind not in CAPTIONED or len(text.plain) > limits.MEDIA_CAPTION_KEPT:
        return [Words(text, author), *media]
    return [msgspec.structs.replace(first, caption=text), *media[1:]]


_KINDS = {"image": MediaKind.IMAGE, "video": MediaKind.VIDEO, "audio": MediaKind.AUDIO}


def _media(file: wire.SentFile, author: str | None) -> MediaContent:
    return MediaContent(
        kind=_KINDS.get(file.type, MediaKind.DOCUMENT),
        source=file.link,
        name=file.name or None,
        mime=file.mime or None,
        size=file.size,
        author=author,
    )
