"""Answering: the message that an operator quotes, found in the ledger, and named instead of repeated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zaptrix.bitrix24.kinds import shown
from zaptrix.core import limits
from zaptrix.core.conversation import Conversation
from zaptrix.core.event import Answering, OperatorMessage
from zaptrix.core.kinds import Quote
from zaptrix.core.matching import Candidate, best_match
from zaptrix.core.message import (
    Content,
    Direction,
    Media,
    Notice,
    Words,
    gist_of,
    kind_of,
    with_quote,
)
from zaptrix.core.portal import Locale
from zaptrix.core.template import Template
from zaptrix.store import answers
from zaptrix.store.answers import Nameable
from zaptrix.store.database import Connection


async def contents_of(connection: Connection, talk: Conversation, message: OperatorMessage) -> list[Content]:
    """What of an operator's message goes to the customer: the quoted words, or what names the quoted message."""
    answering = message.answering
    quote = await _quote(connection, talk, answering) if answering else None
    if quote is None or answering is None:
        return [message.content, *message.more]
    first, *others = answering.contents
    assert isinstance(first, Words | Media)
    return [with_quote(first, quote), *others]


async def _quote(connection: Connection, talk: Conversation, answering: Answering) -> Quote | None:
    said = await answers.nameable(connection, talk.id, limits.QUOTE_DAYS, limits.QUOTE_LOOKED_AT)
    found = _named(answering, said) or _repeated(talk, answering, said)
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


def _repeated(talk: Conversation, answering: Answering, said: Sequence[Nameable]) -> Nameable | None:
    candidates = [Candidate(tuple(_forms(each.content)), _author(talk, each)) for each in said]
    place = best_match(answering.words, answering.author, candidates)
    return None if place is None else said[place]


def _forms(content: Content) -> Iterator[str]:
    """Every form in which the portal may have shown a message, and may show it again in a quote."""
    if isinstance(content, Media) and content.caption:
        yield content.caption.plain
    if isinstance(content, Media) and content.name:
        yield content.name
    yield gist_of(content)
    if not isinstance(content, Notice | Template):
        yield from (shown(content, locale).plain for locale in Locale)


def _author(talk: Conversation, said: Nameable) -> str:
    if said.direction is Direction.INBOUND:
        return talk.customer.name or ""
    return (said.content.author if isinstance(said.content, Words | Media) else None) or ""
