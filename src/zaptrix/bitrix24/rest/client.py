"""All HTTP that goes to a portal.

https://apidocs.bitrix24.com/settings/how-to-call-rest-api/general-principles.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

import zaptrix
from zaptrix.bitrix24.rest.codes import STALE_TOKEN, RestFailure, judge, no_answer, no_json, words
from zaptrix.bitrix24.wire import dig, listed
from zaptrix.core import limits
from zaptrix.core.delivery.errors import FailureScope, TooFast, Unauthorized, Unavailable
from zaptrix.core.delivery.pace import Operating, Spending, portal_bucket, portal_key
from zaptrix.core.foreign_json import BROKEN
from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Portal
from zaptrix.core.ports import PortalAddresses, PortalPace, PortalTokens
from zaptrix.exchange import HttpResponse, NoAnswer, NotSent, Request, exchange, read

T = TypeVar("T")

# Where a portal of the cloud may move to; a token follows to no other host.
# https://apidocs.bitrix24.com/settings/how-to-call-rest-api/change-domen.html
_CLOUD_ENDINGS = {
    "by", "cn", "co", "com", "com.br", "com.tr", "de", "es", "eu", "fr", "id", "in", "it", "jp", "kz", "mx", "net",
    "pl", "ru", "site", "tech", "ua", "uk", "vn",
}  # fmt: skip
_MOVED = (301, 302, 307, 308)

_OPERATING_LIMIT = "operation_time_limit"
_USED_S_MAX = 86_400.0
_LIMIT_S_LEAST = 60.0
_TIME_MAX = 4_102_444_800.0  # the year 2100

_LONG_ANSWERS = frozenset({"batch", "event.offline.get", "event.offline.list", "imopenlines.session.history.get"})

_CONNECT_S = 10.0
_ENDPOINTS_MAX = 10_000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, however often until there is an answer."""

    method: str
    body: bytes
    id: str
    spending: Spending


class _Read(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What an answer says: `found`, or a failure."""

    operating: Operating | None
    failure: RestFailure | None
    found: T | None


class PortalClient:
    """Calls of one portal's REST API: paced, with a token, and with errors that mean something."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        tokens: PortalTokens,
        vault: PortalAddresses,
        pace: PortalPace,
        now: Callable[[], datetime],
        timeout_s: float,
    ) -> None:
        self._session = session
        self._tokens = tokens
        self._vault = vault
        self._pace = pace
        self._now = now
        self._timeout_s = timeout_s
        self._moved: dict[str, str] = {}

    def throttled_s(self, portal_id: PortalId) -> float:
        """How many seconds the portal's next call would wait for its pace, as far as this process knows."""
        return self._pace.wait_s(portal_key(portal_id))

    async def call(
        self,
        portal: Portal,
        method: str,
        params: dict[str, object],
        *,
        request_id: str = "",
        spends: Spending | None = None,
    ) -> object:
        """The `result` of `method`, as it came. Raises what `ask` raises."""
        return await self.ask(portal, method, params, _as_it_came, request_id=request_id, spends=spends)

    async def ask(
        self,
        portal: Portal,
        method: str,
        params: dict[str, object],
        reader: Callable[[object], T],
        *,
        request_id: str = "",
        spends: Spending | None = None,
    ) -> T:
        """What `reader` makes of the `result` of `method`. Raises PlatformError, whatever the portal answers.

        A refused token is renewed once, and a portal that has moved is followed once, both inside of the call.
        `spends` is for a batch: its commands spend their own method's time.
        """
        token = await self._tokens.token(portal)
        asked = Asked(
            method=method,
            body=msgspec.json.encode(params),
            id=request_id,
            spending=spends or Spending(portal_id=portal.id, method=method, items=_items(params)),
        )
        answer, reserved = await self._exchange(portal, asked, token)
        if answer.status in _MOVED:
            await self._pace.settle(asked.spending, reserved, None, refused=False)
            await self._follow(portal, method, answer.location)
            answer, reserved = await self._exchange(portal, asked, token)
        read = await self._read(asked, answer, reserved, reader)
        if read.failure and read.failure.code.casefold() in STALE_TOKEN:
            token = await self._tokens.refused(portal, token)
            answer, reserved = await self._exchange(portal, asked, token)
            read = await self._read(asked, answer, reserved, reader)
        if read.failure:
            error = judge(read.failure)
            if isinstance(error, TooFast) and read.failure.code.casefold() != _OPERATING_LIMIT:
                await self._pace.refused(portal_bucket(portal))
            raise error
        return cast("T", read.found)

    async def _exchange(self, portal: Portal, asked: Asked, token: str) -> tuple[HttpResponse, str]:
        """The answer, and what was reserved of the method's time until it is known what the call has used."""
        # A call without an answer leaves its reservation, which counts as used: nobody knows whether it has run.
        reserved = await self._pace.take(portal_bucket(portal), spending=asked.spending)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": f"zaptrix/{zaptrix.__version__}",
        }
        if asked.id:
            headers["X-Request-Id"] = asked.id
        request = Request(
            method="POST",
            url=self._endpoint(portal) + asked.method,
            body=asked.body,
            headers=headers,
            time_s=self._timeout_s,
            connect_s=min(_CONNECT_S, self._timeout_s / 2),
            bytes_max=limits.ANSWER_BYTES_LONG_MAX if asked.method in _LONG_ANSWERS else limits.ANSWER_BYTES_MAX,
        )
        try:
            return await exchange(self._session, request), reserved
        except NotSent as exc:
            raise Unavailable(str(exc), asked.method) from None
        except NoAnswer as exc:
            raise no_answer(asked.method, str(exc)) from None

    async def _read(self, asked: Asked, answer: HttpResponse, reserved: str, reader: Callable[[object], T]) -> _Read[T]:
        try:
            told = await read(asked.method, answer, lambda body: self._digested(asked, answer, body, reader))
        except NoAnswer as exc:
            raise no_answer(asked.method, str(exc)) from None
        refused = told.failure is not None and told.failure.code.casefold() == _OPERATING_LIMIT
        await self._pace.settle(asked.spending, reserved, told.operating, refused=refused)
        return told

    def _digested(self, asked: Asked, answer: HttpResponse, raw: bytes, reader: Callable[[object], T]) -> _Read[T]:
        try:
            body = msgspec.json.decode(raw)
        except BROKEN:
            raise no_json(asked.method, answer.status, answer.retry_after_s) from None
        operating = _operating(body)
        failure = self._failure(asked.method, answer, body, operating)
        if failure is not None:
            return _Read(operating=_plausible(operating, failure), failure=failure, found=None)
        if not (isinstance(body, dict) and "result" in body):
            raise no_answer(asked.method, f"http_{answer.status}", "an answer without a result")
        return _Read(operating=operating, failure=None, found=reader(dig(body, "result")))

    def _failure(
        self, method: str, answer: HttpResponse, body: object, operating: Operating | None
    ) -> RestFailure | None:
        # An error may stand on top, whatever the status, or inside of the result of a registration.
        for place in (body, dig(body, "result")):
            if not isinstance(place, dict) or place.get("error") is None:
                continue
            if place is body and not place["error"] and place.get("result") and answer.status < 400:
                continue  # a result, and a place for an error that is empty
            if place is body or place.get("result") is False:
                return self._refusal(method, answer, operating, place["error"], place.get("error_description"))
        return None if answer.status < 400 else self._refusal(method, answer, operating, "", "")

    def _refusal(
        self, method: str, answer: HttpResponse, operating: Operating | None, code: object, description: object
    ) -> RestFailure:
        return RestFailure(
            method=method,
            status=answer.status,
            code=words(code),
            description=words(description),
            reset_at=operating.reset_at if operating else None,
            retry_after_s=answer.retry_after_s,
            now=self._now(),
        )

    def _endpoint(self, portal: Portal) -> str:
        return self._moved.get(portal.client_endpoint, portal.client_endpoint)

    async def _follow(self, portal: Portal, method: str, location: str) -> None:
        """Remember where the portal has moved to. Raises when the redirect is no move, or to a strange host."""
        old = self._endpoint(portal)
        endpoint = _endpoint_of(old, method, location)
        if endpoint is None:
            raise Unavailable("redirected", f"{method}: to something that is no REST address", hold=FailureScope.PORTAL)
        if endpoint == old:
            raise Unavailable("redirected", f"{method}: in a circle", hold=FailureScope.PORTAL)
        if not is_move(old, endpoint):
            raise Unauthorized(
                "moved", "the portal redirects to a strange host; correct its address", scope=FailureScope.PORTAL
            )
        if len(self._moved) >= _ENDPOINTS_MAX:
            self._moved.clear()
        self._moved[portal.client_endpoint] = endpoint
        await self._vault.moved(portal.id, endpoint)


def _endpoint_of(old: str, method: str, location: str) -> str | None:
    """The REST address that a redirect of `method` points to, when it is one."""
    try:
        url = urljoin(old + method, location).partition("?")[0].removesuffix(".json")
        urlsplit(url).port  # noqa: B018 - raises when it cannot be a port
    except ValueError:
        return None
    endpoint = url.removesuffix(method)
    fits = len(endpoint) <= limits.ENDPOINT_CHARACTERS_MAX and endpoint.isascii() and endpoint.isprintable()
    return endpoint if fits and url.endswith(f"/rest/{method}") else None


def is_move(old: str, new: str) -> bool:
    """Whether a token may follow from `old` to `new`: inside of the cloud or of one host, and never out of TLS."""
    before, after = urlsplit(old), urlsplit(new)
    if after.scheme not in {"http", "https"} or (before.scheme == "https" and after.scheme == "http"):
        return False
    if after.username or after.password or not before.hostname or not after.hostname:
        return False
    return before.hostname == after.hostname or (_in_cloud(before.hostname) and _in_cloud(after.hostname))


def _in_cloud(host: str) -> bool:
    portal, _, rest = host.partition(".")
    cloud, _, ending = rest.partition(".")
    return bool(portal) and cloud == "bitrix24" and ending in _CLOUD_ENDINGS


def _operating(body: object) -> Operating | None:
    """What the portal counts of the method, or of the commands of a batch: the outer one has no time of its own."""
    commands = dig(body, "result", "result_time")
    times = list(commands.values()) if isinstance(commands, dict) else listed(commands)
    told = [each for each in map(_told, times or [dig(body, "time")]) if each]
    return max(told, key=lambda each: each.used_s, default=None)


def _told(time: object) -> Operating | None:
    """Within reason: it is a portal's word, and other portals share what it is counted with."""
    used_s, reset_at = _figure(dig(time, "operating"), _USED_S_MAX), _figure(dig(time, "operating_reset_at"), _TIME_MAX)
    if used_s is None or not reset_at:
        return None
    return Operating(used_s=used_s, reset_at=reset_at, at=_figure(dig(time, "finish"), _TIME_MAX) or 0.0)


def _figure(value: object, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        return None
    return float(value)


def _plausible(told: Operating | None, failure: RestFailure) -> Operating | None:
    """Nobody's limit is so low that a refusal by it would be believed: it would be remembered for a month."""
    refused = failure.code.casefold() == _OPERATING_LIMIT
    return None if told and refused and told.used_s < _LIMIT_S_LEAST else told


def _as_it_came(result: object) -> object:
    return result


def _items(params: dict[str, object]) -> int:
    messages = params.get("MESSAGES")
    return len(messages) if isinstance(messages, list) else 1
