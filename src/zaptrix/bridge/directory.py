"""Who is who: portals and channels at hand for some seconds, so that a webhook costs no look-up."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from zaptrix.core.errors import Scope, Unauthorized
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.portal import Channel, Portal
from zaptrix.store import channels, portals
from zaptrix.store.database import Database, StoreUnavailable
from zaptrix.store.secrets import SecretBox

Key = TypeVar("Key")
Value = TypeVar("Value")

_FRESH_S = 2.0
_ENTRIES_MAX = 50_000


class Tenant(msgspec.Struct, frozen=True):
    """A channel and its portal."""

    channel: Channel
    portal: Portal


class Sender(msgspec.Struct, frozen=True):
    """A portal and the token that its events carry."""

    portal: Portal
    application_token: str


class _Book(Generic[Key, Value]):
    """Look-ups remembered for a moment. While PostgreSQL is away, what was known stays good."""

    def __init__(self, look_up: Callable[[Key], Awaitable[Value | None]]) -> None:
        self._look_up = look_up
        self._entries: dict[Key, tuple[float, Value]] = {}

    async def get(self, key: Key) -> Value | None:
        known = self._entries.get(key)
        if known and known[0] > time.monotonic():
            return known[1]
        try:
            value = await self._look_up(key)
        except StoreUnavailable:
            if known:
                return known[1]
            raise
        if value is None:
            # Absence is not remembered: a number that was connected a moment ago must not lose its first messages.
            self._entries.pop(key, None)
            return None
        if len(self._entries) >= _ENTRIES_MAX:
            self._entries.clear()
        self._entries[key] = (time.monotonic() + _FRESH_S, value)
        return value

    def clear(self) -> None:
        self._entries.clear()


class Directory:
    """Portals and channels by what the outside world calls them."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._by_number: _Book[str, Tenant] = _Book(self._number)
        self._by_channel: _Book[ChannelId, Tenant] = _Book(self._channel)
        self._by_member: _Book[str, Sender] = _Book(self._member)
        self._by_portal: _Book[PortalId, Portal] = _Book(self._portal)
        self._tokens: _Book[ChannelId, str] = _Book(self._token)

    async def number(self, phone_number_id: str) -> Tenant | None:
        """The tenant that a WhatsApp number belongs to. Raises StoreUnavailable, as all here."""
        return await self._by_number.get(phone_number_id)

    async def channel(self, channel_id: ChannelId) -> Tenant | None:
        return await self._by_channel.get(channel_id)

    async def sender(self, member_id: str) -> Sender | None:
        """The portal that an event claims to come from, with the token that proves it."""
        return await self._by_member.get(member_id)

    async def portal(self, portal_id: PortalId) -> Portal | None:
        return await self._by_portal.get(portal_id)

    async def number_token(self, channel_id: ChannelId) -> str:
        """`core.ports.NumberTokens`."""
        token = await self._tokens.get(channel_id)
        if token is None:
            raise Unauthorized("no_channel", "the channel is gone", scope=Scope.CHANNEL)
        return token

    def clear(self) -> None:
        """Something was changed by this process: look again."""
        for book in (self._by_number, self._by_channel, self._by_member, self._by_portal, self._tokens):
            book.clear()

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

    async def _member(self, member_id: str) -> Sender | None:
        async with self._database.connection() as connection:
            found = await portals.by_member_id(connection, member_id, self._box)
        return Sender(*found) if found else None

    async def _token(self, channel_id: ChannelId) -> str | None:
        async with self._database.connection() as connection:
            return await channels.access_token(connection, channel_id, self._box)

    async def _portal(self, portal_id: PortalId) -> Portal | None:
        async with self._database.connection() as connection:
            return await portals.get(connection, portal_id)
