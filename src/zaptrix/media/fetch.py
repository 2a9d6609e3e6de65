"""Fetches a file from an address that somebody else wrote, within bounds and behind the SSRF guard (`reach`).

Redirects are followed one by one, each judged like the first address; no secret goes to another host than the one that
it was meant for. https://owasp.org/www-community/attacks/Server_Side_Request_Forgery
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from zaptrix import __version__
from zaptrix.core import limits
from zaptrix.core.delivery.errors import PlatformError, Refused, TooFast, Unavailable
from zaptrix.exchange import NoAnswer, reading
from zaptrix.media.reach import CheckedResolver, ForbiddenAddress, Network, is_address, may_reach

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({400, 401, 403, 404, 410})
_CONNECT_S = 5.0
_FOR_ONE_HOST = "authorization"
_KNOWN = (ClientError, OSError)
_NAME_MAX = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")


class ServerOrigin(NamedTuple):
    """A server that an admin named, with its port: it alone may be in a private network, or speak plain HTTP."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> ServerOrigin:
        """Raises ValueError for what is no address of a server."""
        parsed = URL(url)
        if not parsed.host or parsed.port is None:
            raise ValueError("no address of a server")
        return cls(parsed.scheme, parsed.host.lower().rstrip("."), parsed.port)


class Allowed(msgspec.Struct, frozen=True):
    """Where a file may be: on servers that were named, or below domains, by HTTPS on its own port. `anywhere`: below
    any domain, which is for public addresses that a caller of ours wrote."""

    origins: tuple[ServerOrigin, ...] = ()
    domains: tuple[str, ...] = ()
    anywhere: bool = False


class Arriving(msgspec.Struct, frozen=True):
    """A file whose bytes are about to come. `type` is what the server says."""

    parts: AsyncIterator[bytes]
    type: str


class Fetcher:
    """Opens addresses. Close it at the end."""

    def __init__(self, *, private: Sequence[Network] = (), timeout_s: float) -> None:
        """`private`: networks in which servers that an admin named may be, beside the public ones."""
        self._private = tuple(private)
        self._timeout_s = timeout_s
        self._public = _session(CheckedResolver())
        self._named = _session(CheckedResolver(self._private))

    async def close(self) -> None:
        await self._public.close()
        await self._named.close()

    @asynccontextmanager
    async def open(
        self, url: str, allowed: Allowed, *, bytes_max: int, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Arriving]:
        """The file at `url`. All of it has to come within the time; what is larger than `bytes_max` breaks off.

        Raises Refused (a forbidden address, too large), Unavailable (worth another try: also when the address has
        expired, as `code` "gone" tells, or its bytes came too slowly, "file_slow") or TooFast; the same from the parts.
        """
        response: ClientResponse | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                with reading("file", known=_KNOWN):
                    response = await self._follow(url, allowed, dict(headers or {}))
                async with response:
                    size = response.content_length
                    if size is not None and size > bytes_max:
                        raise _too_large(bytes_max)
                    kind = response.headers.get("content-type", "")
                    yield Arriving(_parts(response, bytes_max), kind)
        except TimeoutError as error:
            if response is not None and response.content.total_bytes:
                # There is somebody, and what took so long now will take as long again.
                raise Unavailable("file_slow", "the file did not come whole in time") from error
            raise Unavailable("file_timeout", "the file did not come in time") from error
        except ForbiddenAddress as error:
            raise _forbidden() from error
        except (ClientError, NoAnswer) as error:
            raise _lost(error) from error

    async def _follow(self, url: str, allowed: Allowed, headers: dict[str, str]) -> ClientResponse:
        """The answer with the file in it."""
        at = _parsed(url)
        for _ in range(limits.MEDIA_REDIRECTS_MAX + 1):
            session = self._session_for(at, allowed)
            response = await session.get(at, headers=headers, allow_redirects=False)
            if response.status not in _REDIRECTS:
                return _good(response)
            response.close()
            to = _joined(at, response.headers.get("location", ""))
            if to.origin() != at.origin():
                headers = {name: value for name, value in headers.items() if name.lower() != _FOR_ONE_HOST}
            at = to
        raise Refused("too_many_redirects", notice="file_address")

    def _session_for(self, at: URL, allowed: Allowed) -> ClientSession:
        """By what an address may reach. Raises Refused when it is not allowed at all."""
        host = (at.host or "").lower().rstrip(".")
        named = ServerOrigin(at.scheme, host, at.port or 0) in allowed.origins
        known = allowed.anywhere or any(_is_below(host, domain) for domain in allowed.domains)
        below = at.scheme == "https" and at.port == 443 and known
        if not (named or below) or at.user or at.password:
            raise _forbidden()
        # A host that is an address is never looked up, so it is judged here.
        if is_address(host) and not may_reach(host, self._private if named else ()):
            raise _forbidden()
        return self._named if named else self._public


def _session(resolver: CheckedResolver) -> ClientSession:
    return ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=0, limit_per_host=16),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=ClientTimeout(total=None, connect=_CONNECT_S, sock_read=limits.MEDIA_STILL_S),
        # Bytes are kept as they are; a few that unpack to gigabytes stay a few.
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": f"zaptrix/{__version__}"},
        trust_env=False,
    )


async def _parts(response: ClientResponse, bytes_max: int) -> AsyncIterator[bytes]:
    size = 0
    parts = response.content.iter_chunked(limits.MEDIA_PART_BYTES)
    while True:
        try:
            with reading("file", known=_KNOWN):
                part = await anext(parts, None)
        except (ClientError, NoAnswer) as error:
            raise _lost(error) from error
        except TimeoutError as error:
            raise Unavailable("file_timeout", "the file did not come in time") from error
        if part is None:
            return
        size += len(part)
        if size > bytes_max:
            raise _too_large(bytes_max)
        yield part


def _good(response: ClientResponse) -> ClientResponse:
    """Raises what an answer without a file stands for; it is closed then."""
    status = response.status
    encoded = response.headers.get("content-encoding", "identity").lower() != "identity"
    if status == 200 and not encoded:
        return response
    response.close()
    if status == 200:
        raise Unavailable("file_encoded", "the file's address answers in a code that nobody asked for")
    if status == 429:
        raise TooFast("http_429")
    if status in _GONE:
        raise Unavailable("gone", f"the file's address answers {status}")
    raise Unavailable(f"file_http_{status}", "the file's address answers without a file")


def _parsed(url: str) -> URL:
    try:
        parsed = URL(url.partition("#")[0])
        _ = parsed.port
    except (ValueError, TypeError) as error:
        raise _forbidden() from error
    if parsed.scheme not in ("http", "https") or not _is_host(parsed.raw_host or ""):
        raise _forbidden()
    return parsed


def _is_host(text: str) -> bool:
    """Whether it is an address, or can be a name, as names go over the wire: https://www.rfc-editor.org/rfc/rfc1123"""
    return is_address(text) or (len(text) <= _NAME_MAX and bool(_NAME.fullmatch(text)))


def _joined(at: URL, location: str) -> URL:
    try:
        return _parsed(str(at.join(URL(location))))
    except ValueError as error:
        raise _forbidden() from error


def _is_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _forbidden() -> Refused:
    # It does not say where it led: what is inside our network is nobody's business.
    return Refused("forbidden_address", "the file's address leads where no file may be", notice="file_address")


def _too_large(bytes_max: int) -> Refused:
    return Refused("file_too_large", str(bytes_max), notice="file_too_large")


def _lost(error: Exception) -> PlatformError:
    if isinstance(error.__cause__, ForbiddenAddress) or isinstance(getattr(error, "os_error", None), ForbiddenAddress):
        return _forbidden()
    return Unavailable("file_connection_lost", type(error).__name__)
