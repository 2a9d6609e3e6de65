"""All HTTP that goes to a portal.

https://apidocs.bitrix24.com/settings/how-to-call-rest-api/general-principles.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

import zaptrix
from zaptrix.bitrix24.codes import STALE_TOKEN, Failure, judge, no_answer
from zaptrix.bitrix24.wire import dig, listed
from zaptrix.core.errors import PlatformError, Scope, Unauthorized, Unavailable, Unexpected
from zaptrix.core.foreign_json import BROKEN
from zaptrix.core.pace import Operating, Spending, portal_bucket
from zaptrix.core.portal import Portal
from zaptrix.core.ports import PortalAddresses, PortalPace, PortalTokens

# Where a portal of the cloud may move to; a token follows to no other host.
# https://apidocs.bitrix24.com/settings/how-to-call-rest-api/change-domen.html
_CLOUD_ENDINGS = {
    "by", "cn", "co", "com", "com.br", "com.tr", "de", "es", "eu", "fr", "id", "in", "it", "jp", "kz", "mx", "net",
    "pl", "ru", "site", "tech", "ua", "uk", "vn",
}  # fmt: skip
_MOVED = (301, 302, 307, 308)

_OPERATING_LIMIT = "operation_time_limit"
_QUERY_LIMIT = "query_limit_exceeded"

_CONNECT_S = 10.0
_ANSWER_BYTES_MAX = 16 * 1024 * 1024
_ENDPOINTS_MAX = 10_000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, undigested."""

    status: int
    location: str
    body: bytes
    reserved: str  # of the method's time, until it is known what the call has used


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, however often until there is an answer."""

    method: str
    body: bytes
    id: str
    spending: Spending


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
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, connect=min(_CONNECT_S, timeout_s), sock_connect=min(_CONNECT_S, timeout_s)
        )
        self._moved: dict[str, str] = {}

    async def call(
        self,
        portal: Portal,
        method: str,
        params: dict[str, object],
        *,
        request_id: str = "",
        spends: Spending | None = None,
    ) -> object:
        """The `result` of `method`. Raises PlatformError.

        A refused token is renewed once, and a portal that has moved is followed once, both inside of the call.
        `spends` is for a batch: its commands spend their own method's time.
        """
        token = await self._tokens.token(portal)
        request = Request(
            method=method,
            body=msgspec.json.encode(params),
            id=request_id,
            spending=spends or Spending(portal_id=portal.id, method=method, items=_items(params)),
        )
        answer = await self._ask(portal, request, token)
        if answer.status in _MOVED:
            await self._pace.settle(request.spending, answer.reserved, None, refused=False)
            await self._follow(portal, method, answer.location)
            answer = await self._ask(portal, request, token)
        failure, result = await self._read(request, answer)
        if failure and failure.code.casefold() in STALE_TOKEN:
            token = await self._tokens.refused(portal, token)
            answer = await self._ask(portal, request, token)
            failure, result = await self._read(request, answer)
        if failure:
            if failure.code.casefold() == _QUERY_LIMIT:
                await self._pace.refused(portal_bucket(portal))
            raise judge(failure)
        return result

    async def _ask(self, portal: Portal, request: Request, token: str) -> Answer:
        # A call without an answer leaves its reservation, which counts as used: nobody knows whether it has run.
        reserved = await self._pace.take(portal_bucket(portal), spending=request.spending)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": f"zaptrix/{zaptrix.__version__}",
        }
        if request.id:
            headers["X-Request-Id"] = request.id
        url = self._endpoint(portal) + request.method
        try:
            async with self._session.post(
                url, data=request.body, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                return Answer(
                    status=response.status,
                    location=response.headers.get("Location", ""),
                    body=await _read_body(response),
                    reserved=reserved,
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            raise Unavailable("no_connection", request.method) from exc
        except aiohttp.InvalidURL as exc:
            raise Unexpected("bad_endpoint", "the portal's address is no URL") from exc
        except TimeoutError as exc:
            raise no_answer(request.method, "timeout") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise no_answer(request.method, "connection_lost") from exc

    async def _read(self, request: Request, answer: Answer) -> tuple[Failure | None, object]:
        try:
            body = msgspec.json.decode(answer.body)
        except BROKEN:
            raise _no_json(request.method, answer.status) from None
        told = _operating(body)
        failure = self._failure(request.method, answer.status, body, told)
        refused = failure is not None and failure.code.casefold() == _OPERATING_LIMIT
        await self._pace.settle(request.spending, answer.reserved, told, refused=refused)
        if failure is None and not (isinstance(body, dict) and "result" in body):
            raise no_answer(request.method, f"http_{answer.status}", "an answer without a result")
        return failure, dig(body, "result")

    def _failure(self, method: str, status: int, body: object, operating: Operating | None) -> Failure | None:
        # An error may stand on top, whatever the status, or inside of the result of a registration.
        for place in (body, dig(body, "result")):
            if not isinstance(place, dict) or place.get("error") is None:
                continue
            if place is body or place.get("result") is False:
                return Failure(
                    method=method,
                    status=status,
                    code=str(place["error"]),
                    description=str(place.get("error_description") or ""),
                    reset_at=operating.reset_at if operating else None,
                    now=self._now(),
                )
        if status < 400:
            return None
        return Failure(method=method, status=status, code="", description="", reset_at=None, now=self._now())

    def _endpoint(self, portal: Portal) -> str:
        return self._moved.get(portal.client_endpoint, portal.client_endpoint)

    async def _follow(self, portal: Portal, method: str, location: str) -> None:
        """Remember where the portal has moved to. Raises when the redirect is no move, or to a strange host."""
        old = self._endpoint(portal)
        endpoint = _endpoint_of(old, method, location)
        if endpoint is None:
            raise Unavailable("redirected", f"{method}: to something that is no REST address")
        if endpoint == old:
            raise Unavailable("redirected", f"{method}: in a circle")
        if not is_move(old, endpoint):
            raise Unauthorized(
                "moved", "the portal redirects to a strange host; correct its address", scope=Scope.PORTAL
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
    return url.removesuffix(method) if url.endswith(f"/rest/{method}") else None


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


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(64 * 1024):
        body += part
        if len(body) > _ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError(f"more than {_ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _no_json(method: str, status: int) -> PlatformError:
    """A page for people: a proxy, maintenance, a portal that is no more."""
    if status == 503 or 300 <= status < 500:
        return Unavailable(f"http_{status}", f"{method}: the answer is not JSON")
    return no_answer(method, f"http_{status}", "the answer is not JSON")


def _operating(body: object) -> Operating | None:
    """What the portal counts of the method, or of the commands of a batch: the outer one has no time of its own."""
    commands = dig(body, "result", "result_time")
    times = list(commands.values()) if isinstance(commands, dict) else listed(commands)
    told = [each for each in map(_told, times or [dig(body, "time")]) if each]
    return max(told, key=lambda each: each.used_s, default=None)


def _told(time: object) -> Operating | None:
    used_s, reset_at, at = dig(time, "operating"), dig(time, "operating_reset_at"), dig(time, "finish")
    if isinstance(used_s, int | float) and isinstance(reset_at, int | float) and reset_at > 0:
        return Operating(
            used_s=float(used_s), reset_at=float(reset_at), at=float(at) if isinstance(at, int | float) else 0.0
        )
    return None


def _items(params: dict[str, object]) -> int:
    messages = params.get("MESSAGES")
    return len(messages) if isinstance(messages, list) else 1
