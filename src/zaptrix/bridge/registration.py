"""Registration: the connector on its line, and the events bound to our door; tried at once, and again until done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from zaptrix.bridge.directory import Directory
from zaptrix.core.errors import PlatformError
from zaptrix.core.ids import ChannelId
from zaptrix.core.portal import Channel, Portal
from zaptrix.store import channels
from zaptrix.store.database import Database
from zaptrix.store.secrets import UnreadableSecret

log = structlog.get_logger(__name__)

_CHANNELS_AT_ONCE = 20
_UNREGISTER_S_MAX = 10.0  # somebody waits for the deletion


OnLine = Callable[[Portal, Channel], Awaitable[None]]  # does something on a portal's line; raises PlatformError


class Registrar:
    """Makes channels able to receive and send."""

    def __init__(
        self, database: Database, directory: Directory, *, register: OnLine, unregister: OnLine, public_url: str
    ) -> None:
        self._database = database
        self._directory = directory
        self._register = register
        self._unregister = unregister
        self._public_url = public_url

    async def register(self, channel_id: ChannelId) -> str | None:
        """Register one channel; None when it is done, else why not, in words for the admin. Idempotent."""
        self._directory.clear()
        tenant = await self._directory.channel(channel_id)
        if tenant is None:
            return "the channel is gone"
        error: str | None = None
        try:
            await self._register(tenant.portal, tenant.channel)
        except (PlatformError, UnreadableSecret) as exc:
            error = str(exc)
            log.warning("not registered", channel_id=str(channel_id), reason=error)
        else:
            log.info("registered", channel_id=str(channel_id), line_id=tenant.channel.line_id)
        async with self._database.transaction() as connection:
            await channels.registered(connection, channel_id, error, self._public_url)
        return error

    async def unregister(self, channel_id: ChannelId) -> None:
        """Take the connector off the channel's line before the channel goes, or operators would write to nobody.

        A line that another channel answers on keeps it. What the portal refuses is told and not insisted on: a channel
        can be deleted while its portal is away. Raises StoreUnavailable.
        """
        tenant = await self._directory.channel(channel_id)
        if tenant is None:
            return
        async with self._database.connection() as connection:
            answering = await channels.of_line(connection, tenant.portal.id, tenant.channel.line_id)
        if any(channel.id != channel_id for channel in answering):
            return
        try:
            async with asyncio.timeout(_UNREGISTER_S_MAX):
                await self._unregister(tenant.portal, tenant.channel)
        except (PlatformError, UnreadableSecret, TimeoutError) as exc:
            log.warning("not unregistered", channel_id=str(channel_id), reason=type(exc).__name__)
        else:
            log.info("unregistered", channel_id=str(channel_id), line_id=tenant.channel.line_id)

    async def retry(self) -> None:
        """Try the channels again that are not registered yet, or for another address. Raises StoreUnavailable."""
        async with self._database.connection() as connection:
            waiting = await channels.unregistered(connection, _CHANNELS_AT_ONCE, self._public_url)
        for channel in waiting:
            await self.register(channel.id)
