"""Access tokens of portals: cached, and refreshed only when they have to be.

Refreshing on a timer is documented as a reason to block an app: https://apidocs.bitrix24.com/settings/oauth/index.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from zaptrix.bitrix24.rest.oauth import Grant, OAuth
from zaptrix.core.delivery.errors import PlatformError, Unauthorized, Unavailable
from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Portal
from zaptrix.core.ports import TokenCache, TokenPair, TokenVault
from zaptrix.telemetry import metrics
from zaptrix.telemetry.causes import Refresh

_MARGIN = timedelta(minutes=5)
_CACHED_S_MAX = 50 * 60
# A thousand portals whose tokens end in the same minute are not to keep the OAuth server from everybody else.
_REFRESHES_AT_ONCE = 4
# A chain is called dead only after so many looks for a pair that another process was given in the same moment.
_LOOKS, _LOOK_EVERY_S = 5, 0.5


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
        self._telling: set[asyncio.Task[None]] = set()
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
        before = await self._vault.pair(portal.id)
        try:
            return await self._refresh_locked(portal, refused)
        except Unauthorized:
            # Who held the lock may have lost it with the vault, and have been given a pair for the same token.
            if not await self._was_given_to_another(portal, before):
                raise
            return await self._refresh_locked(portal, refused)

    async def _refresh_locked(self, portal: Portal, refused: str | None) -> str:
        async with self._room, self._vault.refreshing(portal.id):
            pair = await self._vault.pair(portal.id)
            if pair.access_token == refused or not self._lasts(pair):
                given = await self._rescued(portal, pair) or await self._ask(portal, pair)
                pair = await self._keep(portal, pair, given)
        await self._put(portal.id, pair)
        return pair.access_token

    async def _was_given_to_another(self, portal: Portal, before: TokenPair) -> bool:
        for _ in range(_LOOKS):
            pair = await self._vault.pair(portal.id)
            if pair.refresh_token != before.refresh_token or await self._rescued(portal, pair):
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
        return False

    async def _rescued(self, portal: Portal, pair: TokenPair) -> _Unsaved | None:
        """What was given for the refresh token of `pair` before, and is not in the vault."""
        known = self._unsaved.get(portal.id), _decoded(await self._cache.unsaved(portal.id))
        # Tokens that an admin or another process has stored since then have made it worthless.
        return next((each for each in known if each and each.spent == pair.refresh_token), None)

    async def _ask(self, portal: Portal, pair: TokenPair) -> _Unsaved:
        given = _Unsaved(spent=pair.refresh_token, grant=await self._refreshed(pair))
        # Remembered until it is stored, here and where other processes look: if the vault is away or this process dies
        # now, the next refresh stores it, and does not spend the old refresh token a second time.
        self._unsaved[portal.id] = given
        if not await self._cache.keep_unsaved(portal.id, record := msgspec.json.encode(given)):
            task = asyncio.create_task(self._tell(portal.id, given, record), name=f"tell {portal.id}")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        return given

    async def _refreshed(self, pair: TokenPair) -> Grant:
        try:
            grant = await self._oauth.refresh(pair)
        except PlatformError as exc:
            metrics.token_refreshed(Refresh.REFUSED if isinstance(exc, Unauthorized) else Refresh.AWAY)
            raise
        metrics.token_refreshed(Refresh.SUCCESS)
        return grant

    async def _tell(self, portal_id: PortalId, given: _Unsaved, record: bytes) -> None:
        """Both the vault and the cache are away: as soon as one of them is back, the other processes have to know."""
        while self._unsaved.get(portal_id) is given and not await self._cache.keep_unsaved(portal_id, record):
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _keep(self, portal: Portal, pair: TokenPair, given: _Unsaved) -> TokenPair:
        grant = given.grant
        saved = await self._vault.save(
            portal.id,
            spent=given.spent,
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_at=grant.expires_at,
        )
        self._unsaved.pop(portal.id, None)
        await self._cache.drop_unsaved(portal.id)
        if not saved:
            return await self._vault.pair(portal.id)
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


def _decoded(record: bytes | None) -> _Unsaved | None:
    """None for what another version of the gateway wrote."""
    try:
        return msgspec.json.decode(record, type=_Unsaved) if record else None
    except msgspec.DecodeError:
        return None
