"""Applies an operator's edit or deletion of a message.

WhatsApp can do neither to what a business has sent, so that it is done where the message still waits, and told where
the customer has it already.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from zaptrix.bridge.route.operator_messages import Cutting, Outgoing, channels_that_sign
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.event import Event, OperatorChange, OperatorMessage
from zaptrix.core.message.matching import bare
from zaptrix.core.message.media import CAPTIONED
from zaptrix.core.message.message import Content, MediaContent, Notice, State, Words, gist_of, quote_of
from zaptrix.core.message.text import Text, in_a_line
from zaptrix.core.ports import TextLimits
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger import messages, operator_changes
from zaptrix.store.ledger.operator_changes import LockedPart

_LOOSE = frozenset({State.PENDING, State.DEAD})  # it was not sent, and nobody is sending it


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of a change. `again` are words that found no room in what is there: a message of their own."""

    rewritten: dict[int, Content] = {}
    withdrawn: Sequence[int] = ()
    again: Sequence[Content] = ()
    notice: str | None = None


def rule(change: OperatorChange, parts: Sequence[LockedPart], cutting: Cutting) -> Ruling:
    """What is to be done about `change`, by how far the parts of the message have come. Pure."""
    standing = [part for part in parts if part.state is not State.DISMISSED]
    if change.text is None:
        loose = [part.id for part in standing if part.state in _LOOSE]
        return Ruling(withdrawn=loose, notice="deleted_late" if len(loose) < len(standing) else None)
    if not standing or not change.text or _says_the_same(change, standing):
        return Ruling()
    if any(part.state not in _LOOSE for part in standing):
        return Ruling(notice="edited_late")
    text = change.unquoted if change.unquoted and quote_of(standing[0].content) else change.text
    ruling = _rewritten(standing, text, change.author, cutting)
    dead = any(part.state is State.DEAD for part in standing)
    return replace(ruling, notice="edited_unsent") if dead and ruling.notice is None else ruling


def _says_the_same(change: OperatorChange, parts: Sequence[LockedPart]) -> bool:
    """A portal tells of changes that nobody made: a preview of a link, a word of our own that came back."""
    said = bare(words_of(parts))
    return said in {bare(text.plain) for text in (change.text, change.unquoted) if text is not None}


def words_of(parts: Sequence[LockedPart]) -> str:
    """The words of a message, all its parts together."""
    said = (
        part.content.caption.plain if isinstance(part.content, MediaContent) else gist_of(part.content)
        for part in parts
    )
    return "\n".join(words for words in said if words)


def _rewritten(parts: Sequence[LockedPart], text: Text, author: str | None, cutting: Cutting) -> Ruling:
    words = [part for part in parts if isinstance(part.content, Words)]
    if not words:
        return _caption(parts[0], text, cutting)
    first = words[0].content
    assert isinstance(first, Words)
    author = author or first.author
    new: list[Content] = [
        Words(each, author if not at else None) for at, each in enumerate(cutting.split(text, author))
    ]
    new[0] = replace(first, text=new[0].text, author=author) if isinstance(new[0], Words) else new[0]
    if len(new) > len(words):
        # They stay together and in order, behind what was written since.
        return Ruling(withdrawn=[part.id for part in words], again=new)
    return Ruling(
        rewritten={part.id: content for part, content in zip(words, new, strict=False)},
        withdrawn=[part.id for part in words[len(new) :]],
    )


def _caption(first: LockedPart, text: Text, cutting: Cutting) -> Ruling:
    media = first.content
    if (
        not isinstance(media, MediaContent)
        or media.kind not in CAPTIONED
        or len(text.plain) > limits.MEDIA_CAPTION_KEPT
    ):
        return Ruling(notice="edited_late")
    if not cutting.fits_caption(text, media.author):
        return Ruling(notice="edited_late")
    return Ruling(rewritten={first.id: replace(media, caption=text)})


async def apply(
    connection: Connection, talk: Conversation, change: OperatorChange, event: Event, texts: TextLimits
) -> Sequence[Notice] | None:
    """Carry out a change; what the operator is to be told. None when nothing of ours was changed."""
    note = (talk.portal_id, change.bitrix_message_id)
    parts = (await operator_changes.hold(connection, [note])).get(note)
    if not parts:
        return None
    long = change.text is not None and texts.may_be_long(change.text, limits.MEDIA_CAPTION_MAX)
    signs = bool(await channels_that_sign(connection, {talk.channel_id})) if long else False
    cutting = Cutting(texts, signs)
    # Cutting is heavy: it is done beside the loop.
    ruling = await asyncio.to_thread(rule, change, parts, cutting) if long else rule(change, parts, cutting)
    await _carry_out(connection, change, parts, ruling)
    if ruling.again:
        more = OperatorMessage(
            external_chat_id=change.external_chat_id,
            bitrix_chat_id=change.bitrix_chat_id,
            bitrix_message_id=change.bitrix_message_id,
            content=ruling.again[0],
        )
        again = Outgoing(
            talk=talk, message=more, contents=ruling.again, request_id=event.request_id, written_at=event.received_at
        )
        await messages.insert(connection, again.rows(parts[-1].part + 1))
    told = await operator_changes.tell_once(connection, parts[0].id, _digest(change) if ruling.notice else None)
    if ruling.notice is None:
        return [] if ruling != Ruling() else None
    return [Notice(ruling.notice, {"text": in_a_line(words_of(parts), limits.SKETCH_MAX)})] if told else []


async def _carry_out(
    connection: Connection, change: OperatorChange, parts: Sequence[LockedPart], ruling: Ruling
) -> None:
    for part in parts:
        if part.id in ruling.rewritten:
            await operator_changes.rewrite(connection, part.id, ruling.rewritten[part.id])
    withdrawn = [part.id for part in parts if part.id in ruling.withdrawn]
    if change.text is None:
        # What was promised and is still to come does not follow either.
        await operator_changes.withdraw(connection, withdrawn, [part.id for part in parts])
    elif withdrawn:
        await operator_changes.withdraw(connection, withdrawn, withdrawn)


def _digest(change: OperatorChange) -> bytes:
    said = b"deleted" if change.text is None else b"edited " + change.text.plain.encode("utf-8", "replace")
    return hashlib.blake2b(said, digest_size=16).digest()
