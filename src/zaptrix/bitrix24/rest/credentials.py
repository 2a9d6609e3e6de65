"""Checks a portal's credentials before they are stored: a portal answers at its address, and the tokens are its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import aiohttp
from msgspec.structs import replace

from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bitrix24.rest.oauth import Grant, OAuth
from zaptrix.core.access.ownership import Denial, NotOwned
from zaptrix.core.delivery.errors import FailureScope, PlatformError, Refused, Unauthorized
from zaptrix.core.delivery.pace import Bucket, Operating, Spending
from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Portal
from zaptrix.core.ports import TokenPair

_ANSWER_S = 15.0  # somebody waits
_METHOD = "app.info"
# A page for people in place of an answer: another server, or a portal that is no more.
_NO_PORTAL = re.compile(r"redirected|bad_endpoint|moved|http_4(?!08|25|29)\d\d")


class RestCredentials:
    """`core.ports.PortalCredentials` on the portal's REST and the OAuth server."""

    def __init__(self, session: aiohttp.ClientSession, *, oauth: OAuth, now: Callable[[], datetime]) -> None:
        self._session = session
        self._oauth = oauth
        self._now = now

    async def check(self, portal: Portal, pair: TokenPair, *, stored: bool, may_refresh: bool) -> TokenPair:
        """The pair to keep: a fresh one, when `pair` had run out and may be refreshed. Raises NotOwned, PlatformError.

        A refresh spends the pair that was given: what comes of it is kept whatever the portal answers afterwards. Of a
        pair that is `stored` already it is enough that the portal answers: the gateway refreshes it.
        """
        given = _Given(pair, self._oauth if may_refresh else None)
        client = PortalClient(
            self._session, tokens=given, vault=given, pace=_Unpaced(), now=self._now, timeout_s=_ANSWER_S
        )
        try:
            await client.call(portal, _METHOD, {})
        except PlatformError as error:
            if given.grant is None and not (stored and isinstance(error, _Stale)):
                raise _denied(error) from error
        kept = given.pair
        owner = await self._oauth.owner(kept)
        if owner.member_id not in {None, portal.member_id}:
            raise NotOwned(Denial.MEMBER)
        if owner.client_id not in {None, kept.client_id}:
            raise NotOwned(Denial.APPLICATION)
        return kept


class _Stale(Unauthorized):
    """An access token that may only have run out."""


class _Given:
    """`core.ports.PortalTokens` and `PortalAddresses` of one pair that is kept nowhere."""

    def __init__(self, pair: TokenPair, oauth: OAuth | None) -> None:
        self._oauth = oauth
        self.pair = pair
        self.grant: Grant | None = None

    async def token(self, portal: Portal) -> str:
        return self.pair.access_token or await self.refused(portal, "")

    async def refused(self, _portal: Portal, _token: str) -> str:
        if self._oauth is None:
            raise _Stale("expired_token", "the portal does not take the access token", scope=FailureScope.PORTAL)
        self.grant = grant = await self._oauth.refresh(self.pair)
        self.pair = replace(
            self.pair,
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_at=grant.expires_at,
        )
        return grant.access_token

    async def moved(self, _portal_id: PortalId, _client_endpoint: str) -> None:
        """Where the portal has moved to is found again by the first call that counts."""


class _Unpaced:
    """`core.ports.PortalPace` of a single call: how full the portal's bucket is, is not known yet."""

    async def take(self, *_buckets: Bucket, spending: Spending | None = None) -> str:  # noqa: ARG002
        return ""

    async def refused(self, *_buckets: Bucket) -> None: ...

    def wait_s(self, _key: str) -> float:
        return 0.0

    async def settle(self, spending: Spending, reserved: str, told: Operating | None, *, refused: bool) -> None: ...


def _denied(error: PlatformError) -> PlatformError:
    if _NO_PORTAL.fullmatch(error.code):
        return NotOwned(Denial.ADDRESS, error.code)
    return NotOwned(Denial.PORTAL_TOKEN, error.code) if isinstance(error, Unauthorized | Refused) else error
