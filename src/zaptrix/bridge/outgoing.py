"""Outgoing: an operator's message as the messages that WhatsApp takes, each a row of its own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from zaptrix.bridge.answering import contents_of
from zaptrix.bridge.routing import Item
from zaptrix.core.conversation import Conversation
from zaptrix.core.event import OperatorMessage
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.kinds import NO_MARKS
from zaptrix.core.limits import CUT_CHARACTERS_ON_LOOP, MEDIA_CAPTION_MAX
from zaptrix.core.message import Content, Direction, Media, Origin, Words
from zaptrix.core.text import Text
from zaptrix.store import channels, recovery
from zaptrix.store.database import Connection
from zaptrix.store.messages import NewMessage
from zaptrix.whatsapp.parts import fits, in_parts, may_be_long

T = TypeVar("T")


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's message of `talk`, with all that goes to the customer."""

    talk: Conversation
    message: OperatorMessage
    contents: Sequence[Content]
    request_id: str
    written_at: datetime

    def rows(self, first_part: int = 0) -> list[NewMessage]:
        return [
            NewMessage(
                conversation=self.talk,
                direction=Direction.OUTBOUND,
                origin=Origin.OPERATOR,
                content=content,
                request_id=self.request_id,
                written_at=self.written_at,
                bitrix_chat_id=self.message.bitrix_chat_id,
                bitrix_message_id=self.message.bitrix_message_id,
                part=part,
            )
            for part, content in enumerate(self.contents, first_part)
        ]


async def outgoing(connection: Connection, heard: Sequence[tuple[Item, Conversation]]) -> list[Outgoing]:
    """What comes of operators' messages; nothing of those that would be in the ledger twice."""
    made = [await _made(connection, item, talk) for item, talk in heard]
    beside = sum(map(_length, made)) > CUT_CHARACTERS_ON_LOOP
    long = await _worked(_long_ones, made, beside=beside)
    if long:
        signing = await channels_that_sign(connection, {made[place].talk.channel_id for place in long})
        made = await _worked(lambda whole: _with_parts(whole, long, signing), made, beside=beside)
    return await _unheard(connection, made)


async def _worked(work: Callable[[list[Outgoing]], T], made: list[Outgoing], *, beside: bool) -> T:
    """What is heavy is done beside the loop: other lanes do not wait for it."""
    return await asyncio.to_thread(work, made) if beside else work(made)


def _length(one: Outgoing) -> int:
    return sum(len(span.text) for content in one.contents for span in _words_of(content).spans)


def _words_of(content: Content) -> Text:
    match content:
        case Words(text=text) | Media(caption=text):
            return text
        case _:
            return Text()


def _long_ones(made: list[Outgoing]) -> set[int]:
    return {place for place, one in enumerate(made) if any(map(_is_worth_measuring, one.contents))}


def _with_parts(made: list[Outgoing], long: set[int], signing: set[ChannelId]) -> list[Outgoing]:
    return [replace(one, contents=_cut(one, signing)) if place in long else one for place, one in enumerate(made)]


def cut_for(text: Text, author: str | None, *, signs: bool) -> list[Text]:
    """A text as texts that go one by one; with room for the author's name where the channel puts it above."""
    return in_parts(text, author if signs else None)


def fits_caption(text: Text, author: str | None, *, signs: bool) -> bool:
    """Whether a text fits below a file, as it is sent."""
    return fits(text, author if signs else None, MEDIA_CAPTION_MAX)


async def channels_that_sign(connection: Connection, ids: set[ChannelId]) -> set[ChannelId]:
    """Those of `ids` that put the operator's name above a text."""
    found = [await channels.get(connection, channel_id) for channel_id in ids]
    return {channel.id for channel in found if channel and channel.operator_prefix}


async def _made(connection: Connection, item: Item, talk: Conversation) -> Outgoing:
    message = item.routed
    assert isinstance(message, OperatorMessage)
    written_at = message.recovered.written_at if message.recovered else None
    return Outgoing(
        talk=talk,
        message=message,
        contents=await contents_of(connection, talk, message),
        request_id=item.event.request_id,
        written_at=written_at or item.event.received_at,
    )


def _is_worth_measuring(content: Content) -> bool:
    match content:
        case Words(text=text):
            return may_be_long(text)
        case Media(caption=caption) if caption:
            return may_be_long(caption, MEDIA_CAPTION_MAX)
        case _:
            return False


def _cut(one: Outgoing, signing: set[ChannelId]) -> list[Content]:
    signs = one.talk.channel_id in signing
    return list(chain.from_iterable(_parts(content, signs=signs) for content in one.contents))


def _parts(content: Content, *, signs: bool) -> list[Content]:
    """The first part answers what the whole answers, and bears the author's name. Words that no caption holds go before
    their file."""
    if isinstance(content, Media) and content.caption:
        if fits_caption(content.caption, content.author, signs=signs):
            return [content]
        words = Words(content.caption, content.author, content.marks)
        return [*_parts(words, signs=signs), replace(content, caption=Text(), marks=NO_MARKS)]
    if not isinstance(content, Words):
        return [content]
    first, *others = cut_for(content.text, content.author, signs=signs)
    return [replace(content, text=first), *(Words(text) for text in others)]


async def _unheard(connection: Connection, made: Sequence[Outgoing]) -> list[Outgoing]:
    """Without those that are there in other parts: the ledger's key tells a message and part, not a message.

    What was cut may be cut otherwise when its event comes again, as after an outage.
    """
    asked: defaultdict[PortalId, list[int]] = defaultdict(list)
    for each in made:
        if len(each.contents) > 1 or each.message.lost_files:
            asked[each.talk.portal_id].append(each.message.bitrix_message_id)
    known = {portal_id: await recovery.known(connection, portal_id, ids) for portal_id, ids in asked.items()}
    return [each for each in made if each.message.bitrix_message_id not in known.get(each.talk.portal_id, ())]
