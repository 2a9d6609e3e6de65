"""What operators write, change and take back, as neutral messages. Pure.

https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/index.html
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.attach import attached_links, attached_text
from zaptrix.bitrix24.markup import from_bbcode, split_signature
from zaptrix.bitrix24.quotes import split_quote
from zaptrix.core import limits
from zaptrix.core.event import Answering, Ignored, OperatorChange, OperatorMessage, Routed, Untold
from zaptrix.core.media import CAPTIONED
from zaptrix.core.message import Content, Media, MediaKind, Words
from zaptrix.core.text import Span, Text, rich_text

_SYSTEM = "0"


def message_added(data: object) -> Routed:
    item = msgspec.convert(wire.first(data, "MESSAGES"), wire.OperatorItem, strict=False)
    author, source = split_signature(item.message.text)
    files = wire.sent_files(item.message.files)
    contents = _contents(_text(source, item, files), author, files)
    if not contents:
        return _nothing(item)
    return OperatorMessage(
        external_chat_id=item.chat.id,
        bitrix_chat_id=item.im.chat_id,
        bitrix_message_id=item.im.message_id,
        content=contents[0],
        more=tuple(contents[1:]),
        answering=_answering(source, author, item, files),
        lost_files=sum(not file.link for file in files) if item.recovered is None else 0,
        recovered=item.recovered,
    )


def message_updated(data: object) -> Routed:
    return _changed(data, deleted=False)


def message_deleted(data: object) -> Routed:
    return _changed(data, deleted=True)


def _changed(data: object, *, deleted: bool) -> Routed:
    item = msgspec.convert(wire.first(data, "MESSAGES"), wire.OperatorItem, strict=False)
    author, source = split_signature(item.message.text)
    quoted = split_quote(source)
    return OperatorChange(
        external_chat_id=item.chat.id,
        bitrix_chat_id=item.im.chat_id,
        bitrix_message_id=item.im.message_id,
        text=None if deleted else from_bbcode(source),
        unquoted=from_bbcode(quoted.rest) if quoted else None,
        author=author,
    )


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


def _text(source: str, item: wire.OperatorItem, files: Sequence[wire.SentFile]) -> Text:
    """The words, and what of the blocks beside them would be lost with the words alone."""
    words = from_bbcode(source)
    beside = (item.attachments_old, item.message.attachments)
    if words or files:
        lines = attached_links(*beside, but=words.plain) if any(beside) else []
    else:
        return attached_text(*beside)
    # A file without an address is named, so that nothing vanishes.
    lines += [file.name for file in files if file.name and not file.link]
    return _joined(words, lines)


def _joined(text: Text, lines: Sequence[str]) -> Text:
    if not lines:
        return text
    return rich_text([*text.spans, Span("\n" if text else ""), Span("\n".join(lines))])


def _answering(
    source: str, author: str | None, item: wire.OperatorItem, files: Sequence[wire.SentFile]
) -> Answering | None:
    quoted = split_quote(source)
    if quoted is None:
        named = wire.number(wire.dig(item.message.params, "REPLY_ID"))
        contents = _contents(_text(source, item, files), author, files) if named else ()
        return Answering(words="", bitrix_message_id=named, contents=tuple(contents)) if contents else None
    return Answering(
        words=quoted.words,
        author=quoted.author,
        bitrix_message_id=quoted.bitrix_message_id,
        contents=tuple(_contents(_text(quoted.rest, item, files), author, files)),
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


def _media(file: wire.SentFile, author: str | None) -> Media:
    return Media(
        kind=_KINDS.get(file.type, MediaKind.DOCUMENT),
        source=file.link,
        name=file.name or None,
        mime=file.mime or None,
        size=file.size,
        author=author,
    )
