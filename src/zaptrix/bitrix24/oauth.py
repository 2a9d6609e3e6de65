"""The OAuth servers of Bitrix24: a refresh token for a new pair.

https://apidocs.bitrix24.com/settings/oauth/index.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import aiohttp
import msgspec

import zaptrix
from zaptrix.bitrix24.codes import safe_detail
from zaptrix.bitrix24.wire import dig, number
from zaptrix.core.errors import PlatformError, Scope, TooFast, Unauthorized, Unavailable
from zaptrix.core.foreign_json import BROKEN
from zaptrix.core.ports import TokenPair

# The only hosts that a client secret may ever go to. Which of them serves a portal, the portal says itself.
OFFICIAL_HOSTS = ("oauth.bitrix.info", "oauth.bitrix24.tech")

_PATH = "/oauth/token/"
_OWNER_PATH = "/rest/app.info"
_OWNER_S = 5.0
_CONNECT_S = 5.0
_ANSWER_S = 20.0
_ANSWER_BYTES_MAX = 64 * 1024
_WAIT_S = 2.0
_OVERLOAD_WAIT_S = 3600.0
_LIFE_S = 3600  # of an access token, should the answer not tell

# The chain is dead, whatever status comes with it.
_DEAD = frozenset({"invalid_grant", "invalid_client", "wrong_client", "not_installed", "payment_required"})


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A new pair. The refresh token that it was given for is spent."""

    access_token: str
    refresh_token: str
    expires_at: datetime


class Owner(msgspec.Struct, frozen=True):
    """Whose an access token is; None where the server does not say."""

    member_id: str | None = None
    client_id: str | None = None


class _NoRoute(Exception):
    """The request never left for this host."""


class OAuth:
    """Refreshes tokens. `url` replaces both official hosts; empty: the official ones."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, now: Callable[[], datetime]) -> None:
        self._session = session
        self._url = url
        self._now = now

    async def refresh(self, pair: TokenPair) -> Grant:
        """A new pair for `pair.refresh_token`.

        Raises Unauthorized (the chain is dead, an admin has to authorise again), TooFast or Unavailable. After an
        Unavailable that was a timeout, the old refresh token may be spent all the same: the next try tells.
        """
        for url in self._urls(pair):
            try:
                status, body = await self._ask(url, pair)
            except _NoRoute:
                continue
            return self._grant(status, body)
        raise Unavailable("oauth_unreachable", "no OAuth server could be reached")

    async def owner(self, pair: TokenPair) -> Owner:
        """Whose the pair's access token is, by the word of the server that gave it; never raises.

        https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
        """
        timeout = aiohttp.ClientTimeout(total=_OWNER_S, sock_connect=_OWNER_S)
        for url in self._urls(pair):
            try:
                # In the body: an address stands in the logs of proxies.
                async with self._session.post(
                    url.removesuffix(_PATH) + _OWNER_PATH,
                    data={"auth": pair.access_token},
                    timeout=timeout,
                    allow_redirects=False,
                ) as response:
                    told = msgspec.json.decode(await response.content.read(_ANSWER_BYTES_MAX))
            except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if owner := _owner(dig(told, "result")):
                return owner
        return Owner()

    def _urls(self, pair: TokenPair) -> list[str]:
        if self._url:
            base = self._url.rstrip("/")
            return [f"{base}/" if base.endswith(_PATH.rstrip("/")) else base + _PATH]
        first = pair.oauth_host if pair.oauth_host in OFFICIAL_HOSTS else OFFICIAL_HOSTS[0]
        return [f"https://{host}{_PATH}" for host in sorted(OFFICIAL_HOSTS, key=lambda host: host != first)]

    async def _ask(self, url: str, pair: TokenPair) -> tuple[int, bytes]:
        query = {
            "grant_type": "refresh_token",
            "client_id": pair.client_id,
            "client_secret": pair.client_secret,
            "refresh_token": pair.refresh_token,
        }
        headers = {"User-Agent": f"zaptrix/{zaptrix.__version__}"}
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S, connect=_CONNECT_S, sock_connect=_CONNECT_S)
        # No cause is kept here: the library's errors may quote the whole address, and the secrets stand in it.
        try:
            async with self._session.get(
                url, params=query, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status, await response.content.read(_ANSWER_BYTES_MAX)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise _NoRoute from None
        except TimeoutError:
            raise Unavailable("oauth_timeout", "the OAuth server did not answer in time") from None
        except (aiohttp.ClientError, OSError):
            raise Unavailable("oauth_no_answer", "the connection to the OAuth server was lost") from None

    def _grant(self, status: int, body: bytes) -> Grant:
        try:
            answer = msgspec.json.decode(body)
        except BROKEN:
            raise Unavailable(f"oauth_http_{status}", "the OAuth server's answer is not JSON") from None
        access, refresh = dig(answer, "access_token"), dig(answer, "refresh_token")
        # Some errors come with status 200: what counts is whether there are tokens.
        if not (isinstance(access, str) and isinstance(refresh, str) and access and refresh):
            raise _refusal(status, answer)
        return Grant(
            access_token=access,
            refresh_token=refresh,
            expires_at=self._now() + timedelta(seconds=number(dig(answer, "expires_in")) or _LIFE_S),
        )


def _owner(result: object) -> Owner | None:
    member_id, client_id = dig(result, "install", "member_id"), dig(result, "client_id")
    if not isinstance(member_id, str) or not member_id:
        return None
    return Owner(member_id, client_id if isinstance(client_id, str) and client_id else None)


def _refusal(status: int, answer: object) -> PlatformError:
    """https://apidocs.bitrix24.com/settings/oauth/error-codes.html"""
    code = str(dig(answer, "error") or f"oauth_http_{status}")
    detail = safe_detail(str(dig(answer, "error_description") or "")) or "the OAuth server refused the refresh"
    if status == 429 or code.casefold() == "query_limit_exceeded":
        return TooFast(code, detail, wait_s=_WAIT_S)
    if code.casefold() == "overload_limit":
        return TooFast(code, detail, wait_s=_OVERLOAD_WAIT_S)
    if status >= 500 and code.casefold() not in _DEAD:
        return Unavailable(code, detail)
    # Whatever else it says, no message is to blame: hold the portal until an admin has looked.
    return Unauthorized(code[:64], detail, scope=Scope.PORTAL)
