"""Send: what an API caller writes to a customer, into the ledger once, whatever happens to the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import structlog

from zaptrix.bridge.tell.quotes import told_of
from zaptrix.broker.queues.bells import Bells
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.identity import choose
from zaptrix.core.customer.recipient import parse_recipient
from zaptrix.core.delivery.lanes import meta_lane
from zaptrix.core.ids import ChannelId, ConversationId, MessageId, PortalId
from zaptrix.core.message.kinds import Quote
from zaptrix.core.message.media import Blob
from zaptrix.core.message.message import Content, Direction, Notice, Origin, with_quote
from zaptrix.core.message.template import Template
from zaptrix.core.message.text import Text
from zaptrix.core.portal import Channel
from zaptrix.core.ports import TextLimits
from zaptrix.core.wording.catalog import Locale, Sentence
from zaptrix.store.accounts import channels, idempotency
from zaptrix.store.accounts.api_keys import ApiKey
from zaptrix.store.connection.database import Connection, Database, StoreRefused
from zaptrix.store.ledger import files, messages, views
from zaptrix.store.ledger.messages import NewMessage
from zaptrix.store.people import conversations

log = structlog.get_logger(__name__)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it is for: `to` on a channel, or a conversation that is there."""

    channel_id: ChannelId | None = None
    to: str | None = None
    conversation_id: ConversationId | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The message that another one answers or reacts to. `field` is what the caller named it by; `days_max`, how old
    WhatsApp lets it be."""

    message_id: MessageId
    field: str = "reply_to"
    days_max: int | None = None


class AttachedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A message's file, which is stored here, or at Meta under `media_id`."""

    blob: Blob | None = None
    media_id: str | None = None


class Once(msgspec.Struct, frozen=True):
    """What makes two requests one: the caller's idempotency key, and what they asked for as they wrote it."""

    key: str
    asked: bytes

    @property
    def fingerprint(self) -> bytes:
        return hashlib.sha256(self.asked).digest()


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is in the ledger, to be delivered. `replayed`: it was there already, by its idempotency key."""

    message_id: MessageId
    conversation_id: ConversationId
    channel_id: ChannelId
    portal_id: PortalId
    replayed: bool = False


class NoSuchTarget(Exception):
    """The caller may not see such a thing, or there is none. `field` names what was asked for."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class BadTarget(Exception):
    """What was asked for cannot be sent to. `field` names it, `why` says why."""

    def __init__(self, field: str, why: Sentence) -> None:
        super().__init__(why.of(Locale.EN))
        self.field = field
        self.why = why


class KeyReused(Exception):
    """The idempotency key was used for something else."""


class _Draft(NamedTuple):
    """What is to be written: the content, what it answers, and its file."""

    content: Content
    answered: Answered | None
    held: AttachedFile | None


class Sender:
    """Writes API callers' messages into the ledger."""

    def __init__(self, database: Database, bells: Bells, texts: TextLimits, now: Callable[[], datetime]) -> None:
        self._database = database
        self._bells = bells
        self._texts = texts
        self._now = now

    def length_of(self, text: Text) -> int:
        """The characters that WhatsApp is sent for `text`: what keeps a sign from being a mark counts, too."""
        return self._texts.length(text)

    async def send(
        self,
        caller: ApiKey,
        target: Target,
        content: Content,
        *,
        once: Once | None,
        request_id: str,
        answered: Answered | None = None,
        held: AttachedFile | None = None,
    ) -> Queued:
        """Queue `content`; the same idempotency key gives the same message. `held` is the file that it carries.

        Raises NoSuchTarget, BadTarget, KeyReused, StoreUnavailable.
        """
        try:
            queued = await self._write(caller, target, _Draft(content, answered, held), once, request_id)
        except StoreRefused:
            # The customer's conversation was made by somebody else at the same moment: now it is there to be found.
            queued = await self._write(caller, target, _Draft(content, answered, held), once, request_id)
        if not queued.replayed:
            self._bells.ring_soon([meta_lane(queued.channel_id)])
            log.info("queued", message_id=queued.message_id, conversation_id=str(queued.conversation_id))
        return queued

    async def replayed(self, caller: ApiKey, once: Once) -> Queued | None:
        """What this key has sent already, before anybody judges again whether it may be. Raises KeyReused."""
        async with self._database.transaction() as connection:
            return await self._before(connection, caller, once)

    async def channel_of(self, caller: ApiKey, target: Target) -> Channel:
        """The channel that `target` is written on. Raises NoSuchTarget, BadTarget."""
        async with self._database.connection() as connection:
            if target.conversation_id is not None:
                channel_id = (await self._talk(connection, caller, target)).channel_id
            else:
                assert target.channel_id is not None
                channel_id = target.channel_id
            return await _channel(connection, caller, channel_id)

    async def _write(self, caller: ApiKey, target: Target, draft: _Draft, once: Once | None, request_id: str) -> Queued:
        async with self._database.transaction() as connection:
            if once and (before := await self._before(connection, caller, once)):
                return before
            talk = await self._talk(connection, caller, target)
            row = NewMessage(
                conversation=talk,
                direction=Direction.OUTBOUND,
                origin=Origin.API,
                content=await self._answering(connection, talk, draft),
                request_id=request_id,
                written_at=self._now(),
            )
            # Locked before it is written into: who hands a message of it over at this moment sees this one, or is seen.
            await conversations.touch(connection, [talk.id])
            (message_id,) = await messages.insert(connection, [row])
            if held := draft.held:
                wait_s = limits.OUTAGE_S_MAX
                await files.want_held(connection, message_id, blob=held.blob, media_id=held.media_id, wait_s=wait_s)
            if once:
                await idempotency.remember(connection, caller.id, once.key, once.fingerprint, message_id)
        return _queued(message_id, talk)

    async def talk_of(self, caller: ApiKey, answered: Answered) -> ConversationId:
        """The conversation that a message stands in. Raises NoSuchTarget, StoreUnavailable."""
        async with self._database.connection() as connection:
            found = await messages.spoken(connection, answered.message_id)
        if found is None or not _may_touch(caller, found.portal_id):
            raise NoSuchTarget(answered.field)
        return found.quotable.conversation_id

    async def _answering(self, connection: Connection, talk: Conversation, draft: _Draft) -> Content:
        """The content with what it answers beside it. Raises BadTarget."""
        answered = draft.answered
        if answered is None or isinstance(draft.content, Template | Notice):
            return draft.content
        found = await messages.spoken(connection, answered.message_id)
        if found is None or found.quotable.conversation_id != talk.id:
            raise BadTarget(answered.field, Sentence("api.send.not_of_conversation"))
        if found.whatsapp_id is None:
            raise BadTarget(answered.field, Sentence("api.send.not_on_whatsapp"))
        if answered.days_max and self._now() - found.written_at > timedelta(days=answered.days_max):
            days = answered.days_max
            raise BadTarget(answered.field, Sentence("api.send.too_old", {"days": days}))
        return with_quote(draft.content, told_of(Quote(whatsapp_id=found.whatsapp_id), found.quotable))

    async def _before(self, connection: Connection, caller: ApiKey, once: Once) -> Queued | None:
        """What this key was used for. Whoever else uses it right now waits for us, or we for them."""
        used = await idempotency.used(connection, caller.id, once.key)
        if used is None:
            return None
        if used.fingerprint != once.fingerprint:
            raise KeyReused
        found = await views.get(connection, used.message_id, None)
        assert found is not None  # the key goes with its message
        return Queued(
            message_id=used.message_id,
            conversation_id=ConversationId(found.message.conversation_id),
            channel_id=ChannelId(found.message.channel_id),
            portal_id=PortalId(found.message.portal_id),
            replayed=True,
        )

    async def _talk(self, connection: Connection, caller: ApiKey, target: Target) -> Conversation:
        """The conversation that `target` names, made if it has to be."""
        if target.conversation_id is not None:
            talk = (await conversations.by_ids(connection, [target.conversation_id])).get(target.conversation_id)
            if talk is None or not _may_touch(caller, talk.portal_id):
                raise NoSuchTarget("conversation_id")
            if target.channel_id not in {None, talk.channel_id}:
                raise BadTarget(
                    "conversation_id",
                    Sentence("api.send.other_channel"),
                )
            return talk
        assert target.channel_id is not None
        assert target.to is not None
        return await _with_customer(connection, await _channel(connection, caller, target.channel_id), target.to)


async def _channel(connection: Connection, caller: ApiKey, channel_id: ChannelId) -> Channel:
    channel = await channels.get(connection, channel_id)
    if channel is None or not _may_touch(caller, channel.portal_id):
        raise NoSuchTarget("channel_id")
    return channel


async def _with_customer(connection: Connection, channel: Channel, to: str) -> Conversation:
    """The channel's conversation with whom `to` names."""
    name = to.strip().removeprefix("+")
    digits = name if name.isascii() and name.isdigit() else None
    # A WhatsApp id is a name, not a number: an old Brazilian one lacks the ninth digit, and is still who it says.
    asked = parse_recipient(to, channel.display_phone_number)
    sought = msgspec.structs.replace(asked, wa_id=digits) if asked else Customer(wa_id=digits)
    talk = choose(sought, await conversations.known(connection, [(channel.id, sought)]))
    if talk is not None:
        return talk
    if asked is None:
        raise BadTarget(
            "to",
            Sentence("api.send.nobody"),
        )
    return await conversations.add(connection, channel, asked)


def _may_touch(caller: ApiKey, portal_id: PortalId) -> bool:
    return caller.portal_id in {None, portal_id}


def _queued(message_id: MessageId, talk: Conversation) -> Queued:
    return Queued(message_id=message_id, conversation_id=talk.id, channel_id=talk.channel_id, portal_id=talk.portal_id)
