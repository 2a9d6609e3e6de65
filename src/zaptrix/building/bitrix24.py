"""Builds the clients of portals from the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import aiohttp

from zaptrix.bitrix24.platform import Bitrix24
from zaptrix.bitrix24.portal import registration
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bitrix24.rest.credentials import RestCredentials
from zaptrix.bitrix24.rest.oauth import OAuth
from zaptrix.bitrix24.rest.tokens import Tokens
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.portal import Channel, Portal
from zaptrix.core.ports import PortalPace, TokenCache, TokenVault
from zaptrix.settings import Settings


class PortalAccess(NamedTuple):
    """How portals are spoken to: by REST, with credentials that are not kept yet, and by delivery."""

    client: PortalClient
    credentials: RestCredentials
    platform: Bitrix24
    public_url: str

    async def register(self, portal: Portal, channel: Channel) -> None:
        """Put the connector on the channel's line. Raises PlatformError."""
        await registration.register(self.client, portal, channel, self.public_url)

    async def unregister(self, portal: Portal, channel: Channel) -> None:
        """Take it off again. Raises PlatformError."""
        await registration.unregister(self.client, portal, channel)


class TokenStore(NamedTuple):
    """Where the tokens of portals are kept, and where they are cached."""

    vault: TokenVault
    cache: TokenCache


def portal_access(
    settings: Settings, session: aiohttp.ClientSession, store: TokenStore, pace: PortalPace, now: Callable[[], datetime]
) -> PortalAccess:
    oauth = OAuth(session, url=settings.bitrix_oauth_url, now=now)
    client = PortalClient(
        session,
        tokens=Tokens(store.vault, store.cache, oauth, now),
        vault=store.vault,
        pace=pace,
        now=now,
        timeout_s=settings.bitrix_timeout_s,
    )
    platform = Bitrix24(
        client,
        patience=Patience(base_s=settings.retry_base_s, verify_wait_s=settings.bitrix_verify_wait_s),
        calls_at_once=settings.bitrix_parallel_calls,
    )
    return PortalAccess(client, RestCredentials(session, oauth=oauth, now=now), platform, settings.public_url)
