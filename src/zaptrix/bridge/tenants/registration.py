"""Registration: the connector on its line, and the events bound to our address; tried at once, and again until done.

Whatever a portal does to a registration, it ends: with an error that is kept beside the channel, which thereby goes to
the end of those that wait. Nobody else's registration waits for it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import structlog

from zaptrix.bridge.tenants.directory import Directory, Tenant
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.accounts import channels
from zaptrix.store.connection.database import Database, StoreUnavailable
from zaptrix.store.encryption import UnreadableSecret
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)

_CHANNELS_AT_ONCE = 20
_REGISTER_S_MAX = 90.0  # some ten calls; a portal that needs longer is asked again
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
        error = await _tried("register", self._register, tenant, _REGISTER_S_MAX)
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
        await _tried("unregister", self._unregister, tenant, _UNREGISTER_S_MAX)

    async def retry(self) -> None:
        """Try the channels again that are not registered yet, or for another address. Raises StoreUnavailable."""
        async with self._database.connection() as connection:
            waiting = await channels.unregistered(connection, _CHANNELS_AT_ONCE, self._public_url)
        by_portal = defaultdict[PortalId, list[Channel]](list)
        for channel in waiting:
            by_portal[channel.portal_id].append(channel)
        ends = await asyncio.gather(*map(self._retry, by_portal.values()), return_exceptions=True)
        for end in filter(None, ends):
            raise end

    async def _retry(self, waiting: Sequence[Channel]) -> None:
        for channel in waiting:
            await self.register(channel.id)


async def _tried(what: str, on_line: OnLine, tenant: Tenant, seconds_max: float) -> str | None:
    """None when it is done, else why not. Raises StoreUnavailable."""
    ids = {"step": what, "channel_id": str(tenant.channel.id), "line_id": tenant.channel.line_id}
    try:
        async with asyncio.timeout(seconds_max):
            await on_line(tenant.portal, tenant.channel)
    except StoreUnavailable:
        raise
    except (PlatformError, UnreadableSecret) as exc:
        log.warning("connector not set", reason=str(exc), **ids)
        return str(exc)
    except TimeoutError:
        log.warning("connector not set", reason="timeout", **ids)
        return "timeout: the portal did not answer in time"
    except Exception as exc:
        metrics.alarmed(AlarmKind.BROKE_DOWN)
        log.exception("connector not set", alarm=True, **ids)
        return f"broke_down: {type(exc).__name__}"
    log.info("connector set", **ids)
    return None
