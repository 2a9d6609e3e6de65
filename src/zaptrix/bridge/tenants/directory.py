"""A cache of portals and channels, valid until they change, so that a webhook costs no query."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar
from uuid import UUID

import msgspec
import structlog

from zaptrix.core import limits
from zaptrix.core.delivery.errors import FailureScope, Unauthorized
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.accounts import channels, portals
from zaptrix.store.connection.database import Database, StoreUnavailable
from zaptrix.store.encryption import SecretBox

log = structlog.get_logger(__name__)

Key = TypeVar("Key")
Value = TypeVar("Value")

_FRESH_S = 2.0
_ENTRIES_MAX = 50_000


class Tenant(msgspec.Struct, frozen=True):
    """A channel and its portal."""

    channel: Channel
    portal: Portal


class EventSender(msgspec.Struct, frozen=True):
    """A portal and the token that its events carry."""

    portal: Portal
    application_token: str


class _Book(Generic[Key, Value]):
    """Look-ups remembered until one of the rows that they stand on has changed."""

    def __init__(
        self, look_up: Callable[[Key], Awaitable[Value | None]], rows: Callable[[Key, Value], set[UUID]]
    ) -> None:
        self._look_up = look_up
        self._rows = rows
        self._entries: dict[Key, Value] = {}
        self._asking: dict[Key, asyncio.Task[Value | None]] = {}
        self._age = 0

    def known(self, key: Key) -> Value | None:
        """What is remembered; nobody is asked."""
        return self._entries.get(key)

    async def get(self, key: Key) -> Value | None:
        known = self._entries.get(key)
        if known is not None:
            return known
        # Joined: the calls of one portal or number all ask for the same token at once.
        asking = self._asking.get(key)
        if asking is None or asking.done():
            asking = self._asking[key] = asyncio.create_task(self._ask(key))
        try:
            return await asyncio.shield(asking)
        finally:
            if asking.done() and self._asking.get(key) is asking:
                del self._asking[key]

    async def _ask(self, key: Key) -> Value | None:
        age = self._age
        value = await self._look_up(key)
        # Absence is not remembered: a number that was connected a moment ago must not lose its first messages. Nor is
        # what was read while something changed.
        if value is not None and age == self._age:
            if len(self._entries) >= _ENTRIES_MAX:
                self._entries.clear()
            self._entries[key] = value
        return value

    def forget(self, changed: set[UUID] | None) -> None:
        """What stands on one of these rows, or everything."""
        self._age += 1
        self._asking.clear()  # who asks from now on gets what is true from now on
        self._entries = {
            key: v for key, v in self._entries.items() if changed is not None and self._rows(key, v).isdisjoint(changed)
        }


class Directory:
    """Portals and channels by what the outside world calls them. While PostgreSQL is away, what was known stays good.

    Every `_FRESH_S` all rows' versions are compared in one query, in the background: who asks for what is known never
    waits, not even while the tables are locked. Measured with 1,000 portals at 1,000 messages/s: looking each tenant up
    every two seconds cost two statements a message.
    """

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._by_number: _Book[str, Tenant] = _Book(self._number, _tenant_rows)
        self._by_channel: _Book[ChannelId, Tenant] = _Book(self._channel, _tenant_rows)
        self._by_member: _Book[str, EventSender] = _Book(self._member, lambda _key, sender: {sender.portal.id})
        self._by_portal: _Book[PortalId, Portal] = _Book(self._portal, lambda key, _portal: {key})
        self._tokens: _Book[ChannelId, str] = _Book(self._token, lambda key, _token: {key})
        self._fingerprint: int | None = None
        self.versions: dict[UUID, str] | None = None
        """Of every portal and channel, when they were last compared; None: never yet."""

    async def number(self, phone_number_id: str) -> Tenant | None:
        """The tenant that a WhatsApp number belongs to. Raises StoreUnavailable, as all here."""
        return await self._by_number.get(phone_number_id)

    async def channel(self, channel_id: ChannelId) -> Tenant | None:
        return await self._by_channel.get(channel_id)

    async def sender(self, member_id: str) -> EventSender | None:
        """The portal that an event claims to come from, with the token that proves it."""
        return await self._by_member.get(member_id)

    def known_sender(self, member_id: str) -> EventSender | None:
        """What is remembered of it; nobody is asked."""
        return self._by_member.known(member_id)

    async def portal(self, portal_id: PortalId) -> Portal | None:
        return await self._by_portal.get(portal_id)

    async def number_token(self, channel_id: ChannelId) -> str:
        """`core.ports.NumberTokens`."""
        token = await self._tokens.get(channel_id)
        if token is None:
            raise Unauthorized("no_channel", "the channel is gone", scope=FailureScope.CHANNEL)
        return token

    def version(self, row: UUID) -> str | None:
        """Of a portal or channel, as it was last compared; None: there is none, or none has been seen yet."""
        return self.versions.get(row) if self.versions else None

    def clear(self) -> None:
        """Something was changed by this process: look again."""
        self._forget(None)

    def _forget(self, changed: set[UUID] | None) -> None:
        for book in (self._by_number, self._by_channel, self._by_member, self._by_portal, self._tokens):
            book.forget(changed)

    async def keep(self) -> None:
        """Compare again and again; runs beside everything else of a process."""
        while True:
            try:
                await self.compare()
            except Exception:
                log.exception("tenants not compared", alarm=True)
            await asyncio.sleep(_FRESH_S)

    async def compare(self) -> None:
        """Forget what has changed since the last look. While PostgreSQL is away, what was known stays good."""
        with suppress(StoreUnavailable):
            async with self._database.connection() as connection:
                # Before the rows: what changes in between is seen the next time.
                fingerprint = await portals.fingerprint(connection)
                if self.versions is not None and fingerprint == self._fingerprint:
                    return
                versions = await portals.versions(connection)
            self._fingerprint = fingerprint
            changed = {row for row, _ in versions.items() ^ (self.versions or {}).items()}
            self.versions = versions
            if changed:
                self._forget(changed)

    async def _number(self, phone_number_id: str) -> Tenant | None:
        async with self._database.connection() as connection:
            channel = await channels.by_number(connection, phone_number_id)
            portal = await portals.get(connection, channel.portal_id) if channel else None
        return Tenant(channel, portal) if channel and portal else None

    async def _channel(self, channel_id: ChannelId) -> Tenant | None:
        async with self._database.connection() as connection:
            channel = await channels.get(connection, channel_id)
            portal = await portals.get(connection, channel.portal_id) if channel else None
        return Tenant(channel, portal) if channel and portal else None

    async def _member(self, member_id: str) -> EventSender | None:
        async with self._database.within(limits.DOOR_STORE_S_MAX) as connection:
            found = await portals.by_member_id(connection, member_id, self._box)
        return EventSender(*found) if found else None

    async def _token(self, channel_id: ChannelId) -> str | None:
        async with self._database.connection() as connection:
            return await channels.access_token(connection, channel_id, self._box)

    async def _portal(self, portal_id: PortalId) -> Portal | None:
        async with self._database.connection() as connection:
            return await portals.get(connection, portal_id)


def _tenant_rows(_key: object, tenant: Tenant) -> set[UUID]:
    return {tenant.channel.id, tenant.portal.id}
