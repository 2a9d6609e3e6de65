"""The OAuth servers of Bitrix24: a refresh token for a new pair.

https://apidocs.bitrix24.com/settings/oauth/index.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeGuard
from urllib.parse import urlencode

import aiohttp
import msgspec

import zaptrix
from zaptrix.bitrix24.rest.codes import is_code, safe_detail, words
from zaptrix.bitrix24.wire import dig, number
from zaptrix.core import limits
from zaptrix.core.delivery.errors import FailureScope, PlatformError, TooFast, Unauthorized, Unavailable
from zaptrix.core.foreign_json import BROKEN
from zaptrix.core.ports import TokenPair
from zaptrix.exchange import HttpResponse, NoAnswer, NotSent, Request, exchange, read

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

_TOKEN = re.compile(r"[\x21-\x7e]+")

# The chain is dead, whatever status comes with it.
_DEAD = frozenset({"invalid_grant", "invalid_client", "wrong_client", "not_installed", "payment_required"})

# Troubles of the server's own, whatever status comes with them.
_PASSES = frozenset({"connection_error", "internal_server_error", "error_unexpected_answer"})
_REFUSED = frozenset({401, 402, 403})


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A new pair. The refresh token that it was given for is spent."""

    access_token: str
    refresh_token: str
    expires_at: datetime


class TokenOwner(msgspec.Struct, frozen=True):
    """Whose an access token is; None where the server does not say."""

    member_id: str | None = None
    client_id: str | None = None


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
                answer = await exchange(self._session, _request(url, pair))
                return await read("oauth", answer, partial(self._grant, answer))
            except NotSent:
                continue
            except NoAnswer as exc:
                code = "oauth_timeout" if str(exc) == "timeout" else "oauth_no_answer"
                raise Unavailable(code, f"no answer of the OAuth server that could be read: {exc}") from None
        raise Unavailable("oauth_unreachable", "no OAuth server could be reached")

    async def owner(self, pair: TokenPair) -> TokenOwner:
        """Whose the pair's access token is, by the word of the server that gave it; never raises.

        https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
        """
        for url in self._urls(pair):
            request = Request(
                method="POST",
                url=url.removesuffix(_PATH) + _OWNER_PATH,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                # In the body: an address stands in the logs of proxies.
                body=urlencode({"auth": pair.access_token}).encode(),
                time_s=_OWNER_S,
                connect_s=_CONNECT_S,
                bytes_max=_ANSWER_BYTES_MAX,
            )
            with suppress(NotSent, NoAnswer):
                if owner := await read("owner", await exchange(self._session, request), _owner):
                    return owner
        return TokenOwner()

    def _urls(self, pair: TokenPair) -> list[str]:
        if self._url:
            base = self._url.rstrip("/")
            return [f"{base}/" if base.endswith(_PATH.rstrip("/")) else base + _PATH]
        first = pair.oauth_host if pair.oauth_host in OFFICIAL_HOSTS else OFFICIAL_HOSTS[0]
        return [f"https://{host}{_PATH}" for host in sorted(OFFICIAL_HOSTS, key=lambda host: host != first)]

    def _grant(self, answer: HttpResponse, body: bytes) -> Grant:
        try:
            told = msgspec.json.decode(body)
        except BROKEN:
            raise _no_json(answer) from None
        access, refresh = dig(told, "access_token"), dig(told, "refresh_token")
        # Some errors come with status 200: what counts is whether there are tokens.
        if not (_is_token(access) and _is_token(refresh)):
            raise _refusal(answer, told)
        lasts_s = min(number(dig(told, "expires_in")) or _LIFE_S, limits.TOKEN_S_MAX)
        return Grant(access_token=access, refresh_token=refresh, expires_at=self._now() + timedelta(seconds=lasts_s))


def _request(url: str, pair: TokenPair) -> Request:
    return Request(
        method="GET",
        url=url,
        query={
            "grant_type": "refresh_token",
            "client_id": pair.client_id,
            "client_secret": pair.client_secret,
            "refresh_token": pair.refresh_token,
        },
        headers={"User-Agent": f"zaptrix/{zaptrix.__version__}"},
        time_s=_ANSWER_S,
        connect_s=_CONNECT_S,
        bytes_max=_ANSWER_BYTES_MAX,
    )


def _owner(body: bytes) -> TokenOwner | None:
    try:
        result = dig(msgspec.json.decode(body), "result")
    except BROKEN:
        return None
    member_id, client_id = dig(result, "install", "member_id"), dig(result, "client_id")
    if not isinstance(member_id, str) or not member_id:
        return None
    return TokenOwner(member_id, client_id if isinstance(client_id, str) and client_id else None)


def _is_token(value: object) -> TypeGuard[str]:
    """One that a header can carry."""
    return isinstance(value, str) and 0 < len(value) <= limits.TOKEN_CHARACTERS_MAX and bool(_TOKEN.fullmatch(value))


def _no_json(answer: HttpResponse) -> PlatformError:
    """A page for people. No message is to blame for it: what goes on holds the portal, and buries nothing."""
    code, detail = f"oauth_http_{answer.status}", "the OAuth server's answer is not JSON"
    if answer.status == 429:
        return TooFast(code, detail, wait_s=answer.retry_after_s or _WAIT_S)
    return Unavailable(code, detail, hold=FailureScope.PORTAL if 300 <= answer.status < 500 else None)


def _refusal(answer: HttpResponse, told: object) -> PlatformError:
    """https://apidocs.bitrix24.com/settings/oauth/error-codes.html"""
    status, named = answer.status, words(dig(told, "error"))
    code = named if is_code(named) else f"oauth_http_{status}"
    detail = safe_detail(words(dig(told, "error_description"))) or "the OAuth server refused the refresh"
    if status == 429 or code.casefold() == "query_limit_exceeded":
        return TooFast(code, detail, wait_s=answer.retry_after_s or _WAIT_S)
    if code.casefold() == "overload_limit":
        return TooFast(code, detail, wait_s=_OVERLOAD_WAIT_S)
    if (status >= 500 and code.casefold() not in _DEAD) or code.casefold() in _PASSES:
        return Unavailable(code, detail)
    if not is_code(named) and status not in _REFUSED:
        # Neither tokens nor a word against ours: what goes on like that holds the portal.
        return Unavailable(code, detail, hold=FailureScope.PORTAL)
    # Whatever else it says, no message is to blame: hold the portal until an admin has looked.
    return Unauthorized(code, detail, scope=FailureScope.PORTAL)
