"""Operators' messages: each as the messages that WhatsApp takes, every one a row of its own.

What an operator quotes is found in the ledger, and named instead of repeated. What is too long is cut, and each part is
a message.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from zaptrix.bridge.route.router import TranslatedEvent
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.event import Answering, OperatorMessage
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.message.kinds import NO_MARKS, Quote
from zaptrix.core.message.matching import Candidate, best_match
from zaptrix.core.message.message import (
    Content,
    Direction,
    MediaContent,
    Notice,
    Origin,
    Words,
    gist_of,
    kind_of,
    with_quote,
)
from zaptrix.core.message.template import Template
from zaptrix.core.message.text import Text
from zaptrix.core.portal import Locale
from zaptrix.core.ports import OperatorView, TextLimits
from zaptrix.store.accounts import channels
from zaptrix.store.connection.database import Connection
from zaptrix.store.journal import recovery
from zaptrix.store.ledger import answers
from zaptrix.store.ledger.answers import Nameable
from zaptrix.store.ledger.messages import NewMessage

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


class Cutting(NamedTuple):
    """How texts are cut for WhatsApp, on a channel that puts the operator's name above them or does not."""

    limits: TextLimits
    signs: bool

    def split(self, text: Text, author: str | None) -> list[Text]:
        """A text as texts that go one by one."""
        return self.limits.split(text, author if self.signs else None)

    def fits_caption(self, text: Text, author: str | None) -> bool:
        """Whether a text fits below a file, as it is sent."""
        return self.limits.fits(text, author if self.signs else None, limits.MEDIA_CAPTION_MAX)


async def outgoing(
    connection: Connection, heard: Sequence[tuple[TranslatedEvent, Conversation]], texts: TextLimits, view: OperatorView
) -> list[Outgoing]:
    """What comes of operators' messages; nothing of those that would be in the ledger twice."""
    made = [await _made(connection, item, talk, view) for item, talk in heard]
    beside = sum(map(_length, made)) > limits.CUT_CHARACTERS_ON_LOOP
    long = await _worked(lambda whole: _long_ones(whole, texts), made, beside=beside)
    if long:
        signing = await channels_that_sign(connection, {made[place].talk.channel_id for place in long})
        made = await _worked(lambda whole: _with_parts(whole, long, texts, signing), made, beside=beside)
    return await _unheard(connection, made)


async def channels_that_sign(connection: Connection, ids: set[ChannelId]) -> set[ChannelId]:
    """Those of `ids` that put the operator's name above a text."""
    found = [await channels.get(connection, channel_id) for channel_id in ids]
    return {channel.id for channel in found if channel and channel.operator_prefix}


async def _made(connection: Connection, item: TranslatedEvent, talk: Conversation, view: OperatorView) -> Outgoing:
    message = item.routed
    assert isinstance(message, OperatorMessage)
    written_at = message.recovered.written_at if message.recovered else None
    return Outgoing(
        talk=talk,
        message=message,
        contents=await _contents_of(connection, talk, message, view),
        request_id=item.event.request_id,
        written_at=written_at or item.event.received_at,
    )


# --- what is quoted --------------------------------------------------------------------------------------------------


async def _contents_of(
    connection: Connection, talk: Conversation, message: OperatorMessage, view: OperatorView
) -> list[Content]:
    """What of an operator's message goes to the customer: the quoted words, or what names the quoted message."""
    answering = message.answering
    quote = await _quote(connection, talk, answering, view) if answering else None
    if quote is None or answering is None:
        return [message.content, *message.more]
    first, *others = answering.contents
    assert isinstance(first, Words | MediaContent)
    return [with_quote(first, quote), *others]


async def _quote(connection: Connection, talk: Conversation, answering: Answering, view: OperatorView) -> Quote | None:
    said = await answers.nameable(connection, talk.id, limits.QUOTE_DAYS, limits.QUOTE_LOOKED_AT)
    found = _named(answering, said) or _repeated(talk, answering, said, view)
    if found is None:
        return None
    return Quote(
        whatsapp_id=found.whatsapp_id,
        kind=kind_of(found.content),
        ours=found.direction is Direction.OUTBOUND,
        gist=gist_of(found.content)[: limits.QUOTE_CHARACTERS_MAX + 1],
    )


def _named(answering: Answering, said: Sequence[Nameable]) -> Nameable | None:
    """By the portal's own id; of several parts the first."""
    if answering.bitrix_message_id is None:
        return None
    return next((each for each in reversed(said) if each.bitrix_message_id == answering.bitrix_message_id), None)


def _repeated(
    talk: Conversation, answering: Answering, said: Sequence[Nameable], view: OperatorView
) -> Nameable | None:
    candidates = [Candidate(tuple(_forms(each.content, view)), _author(talk, each)) for each in said]
    place = best_match(answering.words, answering.author, candidates)
    return None if place is None else said[place]


def _forms(content: Content, view: OperatorView) -> Iterator[str]:
    """Every form in which the portal may have shown a message, and may show it again in a quote."""
    if isinstance(content, MediaContent) and content.caption:
        yield content.caption.plain
    if isinstance(content, MediaContent) and content.name:
        yield content.name
    yield gist_of(content)
    if not isinstance(content, Notice | Template):
        yield from (view.shown(content, locale).plain for locale in Locale)


def _author(talk: Conversation, said: Nameable) -> str:
    if said.direction is Direction.INBOUND:
        return talk.customer.name or ""
    return (said.content.author if isinstance(said.content, Words | MediaContent) else None) or ""


# --- what is long ----------------------------------------------------------------------------------------------------


async def _worked(work: Callable[[list[Outgoing]], T], made: list[Outgoing], *, beside: bool) -> T:
    """What is heavy is done beside the loop: other lanes do not wait for it."""
    return await asyncio.to_thread(work, made) if beside else work(made)


def _length(one: Outgoing) -> int:
    return sum(len(span.text) for content in one.contents for span in _words_of(content).spans)


def _words_of(content: Content) -> Text:
    match content:
        case Words(text=text) | MediaContent(caption=text):
            return text
        case _:
            return Text()


def _long_ones(made: list[Outgoing], texts: TextLimits) -> set[int]:
    return {place for place, one in enumerate(made) if any(_is_worth_measuring(each, texts) for each in one.contents)}


def _is_worth_measuring(content: Content, texts: TextLimits) -> bool:
    match content:
        case Words(text=text):
            return texts.may_be_long(text)
        case MediaContent(caption=caption) if caption:
            return texts.may_be_long(caption, limits.MEDIA_CAPTION_MAX)
        case _:
            return False


def _with_parts(made: list[Outgoing], long: set[int], texts: TextLimits, signing: set[ChannelId]) -> list[Outgoing]:
    return [
        replace(one, contents=_cut(one, Cutting(texts, one.talk.channel_id in signing))) if place in long else one
        for place, one in enumerate(made)
    ]


def _cut(one: Outgoing, cutting: Cutting) -> list[Content]:
    return list(chain.from_iterable(_parts(content, cutting) for content in one.contents))


def _parts(content: Content, cutting: Cutting) -> list[Content]:
    """The first part answers what the whole answers, and bears the author's name. Words that no caption holds go before
    their file."""
    if isinstance(content, MediaContent) and content.caption:
        if cutting.fits_caption(content.caption, content.author):
            return [content]
        words = Words(content.caption, content.author, content.marks)
        return [*_parts(words, cutting), replace(content, caption=Text(), marks=NO_MARKS)]
    if not isinstance(content, Words):
        return [content]
    first, *others = cutting.split(content.text, content.author)
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
