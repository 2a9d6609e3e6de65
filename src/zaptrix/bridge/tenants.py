"""Tenants: portals and channels made, changed and deleted by an admin's hand, each change audited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import msgspec
import structlog

from zaptrix.bridge.directory import Directory
from zaptrix.bridge.registration import Registrar
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.lanes import Lane, bitrix24_lane, meta_lane
from zaptrix.core.portal import Channel, Portal
from zaptrix.core.ports import TokenCache
from zaptrix.queues.bells import Bells
from zaptrix.queues.cache import ConversationCache
from zaptrix.store import audit, channels, claims, erasures, events, portals
from zaptrix.store.channels import ChannelFields
from zaptrix.store.database import Database, StoreUnavailable
from zaptrix.store.portals import PortalFields
from zaptrix.store.secrets import SecretBox

log = structlog.get_logger(__name__)

# Somebody waits for the answer; the worker goes on trying.
_REGISTER_S_MAX = 25.0
_CHANNELS_MAX = 1_000
_UNREGISTER_S_MAX = 15.0  # of all lines of a portal together


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, and what kept its connector from standing on its line (None: it stands)."""

    channel: Channel
    registration_error: str | None


class Tenants:
    """Writes first, tells the rest of the house after the commit."""

    def __init__(  # noqa: PLR0917  # the composition root hands everything over, once
        self,
        database: Database,
        box: SecretBox,
        directory: Directory,
        registrar: Registrar,
        cache: ConversationCache,
        tokens: TokenCache,
        bells: Bells,
    ) -> None:
        self._database = database
        self._box = box
        self._directory = directory
        self._registrar = registrar
        self._cache = cache
        self._tokens = tokens
        self._bells = bells

    async def create_portal(self, actor: str, fields: PortalFields) -> Portal:
        """Raises Taken, StoreRefused, StoreUnavailable."""
        async with self._database.transaction() as connection:
            portal = await portals.add(connection, fields, self._box)
            await audit.write(connection, actor, "portal.create", f"portal {portal.id}")
        self._directory.clear()
        return portal

    async def change_portal(self, actor: str, portal_id: PortalId, fields: PortalFields) -> Portal | None:
        """Change what `fields` sets and take the portal out of its pause, so that what was held drains.

        None when there is no such portal. Raises Taken, StoreRefused, StoreUnavailable.
        """
        async with self._database.transaction() as connection:
            portal = await portals.change(connection, portal_id, fields, self._box)
            if portal is None:
                return None
            await audit.write(connection, actor, "portal.change", f"portal {portal_id}", fields=_names(fields))
            await claims.hasten(connection, portal_id)
        self._directory.clear()
        # The token at hand may be the one that was just replaced.
        await self._tokens.drop(portal_id)
        self._bells.ring_soon([bitrix24_lane(portal_id)])
        return portal

    async def delete_portal(self, actor: str, portal_id: PortalId) -> bool:
        """Delete a portal with its channels, conversations, messages and API keys; False when there is none."""
        async with self._database.connection() as connection:
            lost = await channels.listed(connection, None, portal_id, _CHANNELS_MAX)
        with suppress(TimeoutError):
            async with asyncio.timeout(_UNREGISTER_S_MAX):
                for channel in lost:
                    await self._registrar.unregister(channel.id)
        async with self._database.transaction() as connection:
            await erasures.order_portal(connection, portal_id)
            if not await portals.delete(connection, portal_id):
                return False
            await audit.write(connection, actor, "portal.delete", f"portal {portal_id}")
        self._directory.clear()
        await self._tokens.drop(portal_id)
        await self._cache.invalidate(portals=[portal_id])
        return True

    async def create_channel(self, actor: str, portal_id: PortalId, fields: ChannelFields) -> Joined | None:
        """Join a number to an open line; what came for the number before is routed now.

        None when there is no such portal. Raises Taken, StoreRefused, StoreUnavailable.
        """
        async with self._database.transaction() as connection:
            channel = await channels.add(connection, portal_id, fields, self._box)
            if channel is None:
                return None
            await audit.write(connection, actor, "channel.create", f"channel {channel.id}", portal_id=str(portal_id))
            lanes = await events.replay_number(connection, channel.phone_number_id)
        return await self._joined(channel, lanes)

    async def change_channel(self, actor: str, channel_id: ChannelId, fields: ChannelFields) -> Joined | None:
        """Change what `fields` sets, take the channel out of its pauses and register it again.

        None when there is no such channel. Raises Taken, StoreRefused, StoreUnavailable.
        """
        async with self._database.transaction() as connection:
            channel = await channels.change(connection, channel_id, fields, self._box)
            if channel is None:
                return None
            await audit.write(connection, actor, "channel.change", f"channel {channel_id}", fields=_names(fields))
            await claims.hasten(connection, channel_id, channel.portal_id)
            lanes = await events.replay_number(connection, channel.phone_number_id)
        await self._cache.invalidate(channels=[channel_id])
        return await self._joined(channel, lanes)

    async def delete_channel(self, actor: str, channel_id: ChannelId) -> bool:
        """Delete a channel with its conversations and messages; False when there is none."""
        await self._registrar.unregister(channel_id)
        async with self._database.transaction() as connection:
            await erasures.order_channel(connection, channel_id)
            if not await channels.delete(connection, channel_id):
                return False
            await audit.write(connection, actor, "channel.delete", f"channel {channel_id}")
        self._directory.clear()
        await self._cache.invalidate(channels=[channel_id])
        return True

    async def _joined(self, channel: Channel, replayed: Iterable[Lane]) -> Joined:
        self._directory.clear()
        self._bells.ring_soon([*replayed, bitrix24_lane(channel.portal_id), meta_lane(channel.id)])
        return Joined(channel=channel, registration_error=await self._register(channel.id))

    async def _register(self, channel_id: ChannelId) -> str | None:
        """The row is committed: whatever goes wrong from here on is told, and the gateway tries again."""
        try:
            async with asyncio.timeout(_REGISTER_S_MAX):
                return await self._registrar.register(channel_id)
        except TimeoutError:
            log.warning("not registered in time", channel_id=str(channel_id))
            return f"Bitrix24 did not finish within {_REGISTER_S_MAX:g} s; it is tried again"
        except StoreUnavailable:
            return "PostgreSQL went away; it is tried again"


def _names(fields: PortalFields | ChannelFields) -> list[str]:
    """Which fields were changed; their values may be secrets."""
    return sorted(name for name, value in msgspec.structs.asdict(fields).items() if value is not msgspec.UNSET)
