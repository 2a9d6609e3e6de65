"""Access tokens of portals: at hand, and refreshed only when they have to be.

Refreshing on a timer is documented as a reason to block an app: https://apidocs.bitrix24.com/settings/oauth/index.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from zaptrix.bitrix24.oauth import Grant, OAuth
from zaptrix.core.errors import Unavailable
from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Portal
from zaptrix.core.ports import TokenCache, TokenPair, TokenVault

_MARGIN = timedelta(minutes=5)
_CACHED_S_MAX = 50 * 60
# Each holds a lock of the store, and with it a connection, until the OAuth server has answered: a thousand portals
# whose tokens end in the same minute must leave some for everybody else.
_REFRESHES_AT_ONCE = 4


class _Unsaved(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that the OAuth server gave and the vault does not have yet. `spent` is what it was given for."""

    spent: str
    grant: Grant


class Tokens:
    """The access token of a portal. One refresh at a time for a portal, in the whole cluster."""

    def __init__(self, vault: TokenVault, cache: TokenCache, oauth: OAuth, now: Callable[[], datetime]) -> None:
        self._vault = vault
        self._cache = cache
        self._oauth = oauth
        self._now = now
        self._unsaved: dict[PortalId, _Unsaved] = {}
        self._refreshing: dict[PortalId, asyncio.Task[str]] = {}
        self._room = asyncio.Semaphore(_REFRESHES_AT_ONCE)

    async def token(self, portal: Portal) -> str:
        """A token that is good for five minutes more. Raises what `OAuth.refresh` raises."""
        cached = await self._cache.get(portal.id)
        if cached:
            return cached
        pair = await self._vault.pair(portal.id)
        if self._lasts(pair):
            await self._put(portal.id, pair)
            return pair.access_token
        try:
            return await self._refresh(portal, refused=None)
        except Unavailable:
            # An OAuth server that is away does not stop a portal whose token is good for minutes more.
            if pair.expires_at > self._now():
                return pair.access_token
            raise

    async def refused(self, portal: Portal, token: str) -> str:
        """The portal did not take `token`: another one. Raises what `OAuth.refresh` raises."""
        await self._cache.drop(portal.id)
        return await self._refresh(portal, refused=token)

    async def _refresh(self, portal: Portal, refused: str | None) -> str:
        """Joins a refresh that this process has under way already.

        The refresh goes on when the caller is cancelled: a pair that was given and not stored is a chain that is cut.
        """
        joined = self._refreshing.get(portal.id)
        if joined:
            token = await asyncio.shield(joined)
            if token != refused:
                return token
        task = asyncio.create_task(self._refresh_alone(portal, refused), name=f"refresh {portal.id}")
        self._refreshing[portal.id] = task
        task.add_done_callback(lambda _done: self._refreshing.pop(portal.id, None))
        return await asyncio.shield(task)

    async def _refresh_alone(self, portal: Portal, refused: str | None) -> str:
        async with self._room, self._vault.refreshing(portal.id):
            pair = await self._vault.pair(portal.id)
            rescued = self._unsaved.get(portal.id)
            if rescued and rescued.spent == pair.refresh_token:
                pair = await self._keep(portal, pair, rescued)
            # Tokens that an admin has given since then have made a rescued pair worthless.
            elif pair.access_token == refused or not self._lasts(pair):
                given = _Unsaved(spent=pair.refresh_token, grant=await self._oauth.refresh(pair))
                pair = await self._keep(portal, pair, given)
        await self._put(portal.id, pair)
        return pair.access_token

    async def _keep(self, portal: Portal, pair: TokenPair, given: _Unsaved) -> TokenPair:
        # Remembered until it is stored: if the store is away for a moment, the next try stores it, and does not spend
        # the old refresh token a second time.
        self._unsaved[portal.id] = given
        grant = given.grant
        await self._vault.save(
            portal.id,
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_at=grant.expires_at,
        )
        del self._unsaved[portal.id]
        return msgspec.structs.replace(
            pair,
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_at=grant.expires_at,
        )

    async def _put(self, portal_id: PortalId, pair: TokenPair) -> None:
        seconds = min(_CACHED_S_MAX, int((pair.expires_at - self._now() - _MARGIN).total_seconds()))
        if seconds > 0:
            await self._cache.put(portal_id, pair.access_token, seconds)

    def _lasts(self, pair: TokenPair) -> bool:
        return pair.expires_at - self._now() > _MARGIN
