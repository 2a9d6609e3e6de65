"""Send: what an API caller writes to a customer, into the ledger once, whatever happens to the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from zaptrix.core.conversation import Conversation
from zaptrix.core.customer import Customer
from zaptrix.core.identity import choose
from zaptrix.core.ids import ChannelId, ConversationId, MessageId, PortalId
from zaptrix.core.lanes import meta_lane
from zaptrix.core.message import Content, Direction, Origin
from zaptrix.core.portal import Channel
from zaptrix.core.recipient import parse_recipient
from zaptrix.queues.bells import Bells
from zaptrix.store import channels, conversations, idempotency, messages, views
from zaptrix.store.api_keys import ApiKey
from zaptrix.store.database import Connection, Database, StoreRefused
from zaptrix.store.messages import NewMessage

log = structlog.get_logger(__name__)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it is for: `to` on a channel, or a conversation that is there."""

    channel_id: ChannelId | None = None
    to: str | None = None
    conversation_id: ConversationId | None = None


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
    """What was asked for cannot be sent to. `field` names it, the text says why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


class KeyReused(Exception):
    """The idempotency key was used for something else."""


class Sender:
    """Writes API callers' messages into the ledger."""

    def __init__(self, database: Database, bells: Bells, now: Callable[[], datetime]) -> None:
        self._database = database
        self._bells = bells
        self._now = now

    async def send(
        self, caller: ApiKey, target: Target, content: Content, *, once: Once | None, request_id: str
    ) -> Queued:
        """Queue `content`; the same idempotency key gives the same message.

        Raises NoSuchTarget, BadTarget, KeyReused, StoreUnavailable.
        """
        try:
            queued = await self._write(caller, target, content, once, request_id)
        except StoreRefused:
            # The customer's conversation was made by somebody else at the same moment: now it is there to be found.
            queued = await self._write(caller, target, content, once, request_id)
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

    async def _write(
        self, caller: ApiKey, target: Target, content: Content, once: Once | None, request_id: str
    ) -> Queued:
        async with self._database.transaction() as connection:
            if once and (before := await self._before(connection, caller, once)):
                return before
            talk = await self._talk(connection, caller, target)
            row = NewMessage(
                conversation=talk,
                direction=Direction.OUTBOUND,
                origin=Origin.API,
                content=content,
                request_id=request_id,
                written_at=self._now(),
            )
            (message_id,) = await messages.insert(connection, [row])
            await conversations.touch(connection, [talk.id])
            if once:
                await idempotency.remember(connection, caller.id, once.key, once.fingerprint, message_id)
        return _queued(message_id, talk)

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
                raise BadTarget("conversation_id", "belongs to another channel than channel_id")
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
    digits = to if to.isascii() and to.isdigit() else None
    # A WhatsApp id is a name, not a number: an old Brazilian one lacks the ninth digit, and is still who it says.
    asked = parse_recipient(to, channel.display_phone_number)
    sought = msgspec.structs.replace(asked, wa_id=digits) if asked else Customer(wa_id=digits)
    talk = choose(sought, await conversations.known(connection, [(channel.id, sought)]))
    if talk is not None:
        return talk
    if asked is None:
        raise BadTarget("to", "is neither a phone number nor a customer's id")
    return await conversations.add(connection, channel, asked)


def _may_touch(caller: ApiKey, portal_id: PortalId) -> bool:
    return caller.portal_id in {None, portal_id}


def _queued(message_id: MessageId, talk: Conversation) -> Queued:
    return Queued(message_id=message_id, conversation_id=talk.id, channel_id=talk.channel_id, portal_id=talk.portal_id)
