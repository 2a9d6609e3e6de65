"""The public address as the platforms meet it: its name, its certificate, what answers there, and what is open there.

Meta sends webhooks only where it finds a valid certificate, with the chain up to an authority that everybody trusts:
https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import urlsplit

import aiohttp
import msgspec

CALL_S = 6.0
_HTTPS_PORT = 443
_OK = 200
_BODY_BYTES = 64 * 1024


class Trouble(StrEnum):
    """Why no call came about. Those of the certificate are told apart by OpenSSL's code of its verification."""

    EXPIRED = "certificate_expired"
    NOT_YET = "certificate_not_yet"
    SELF_SIGNED = "certificate_self_signed"
    CHAIN = "certificate_chain"
    NAME = "certificate_name"
    OTHER = "certificate_other"
    NO_NAME = "address_unknown"
    UNREACHED = "address_unreached"


# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes
_VERIFICATIONS = {
    9: Trouble.NOT_YET,
    10: Trouble.EXPIRED,
    18: Trouble.SELF_SIGNED,
    19: Trouble.CHAIN,  # an authority of one's own at its end
    20: Trouble.CHAIN,  # the certificate in between is not sent along, or its authority is not known
    21: Trouble.CHAIN,
    62: Trouble.NAME,
    64: Trouble.NAME,  # of an address
}


class Unreachable(Exception):
    """No call came about."""

    def __init__(self, trouble: Trouble, seen: str) -> None:
        super().__init__(f"{trouble}: {seen}")
        self.trouble = trouble
        self.seen = seen


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at the public address."""

    release: str | None
    """Of the gateway that answers; None: something else answers."""
    status: int
    days_left: int | None
    """Of the certificate; None where the address is not https."""
    metrics_open: bool


async def certificate_days(host: str, port: int) -> int:
    """How many whole days a server's certificate is good. Raises Unreachable."""
    async with _told(host):
        async with asyncio.timeout(CALL_S):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
        try:
            certificate = writer.get_extra_info("peercert")
        finally:
            writer.transport.abort()
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    return (ends - datetime.now(UTC)).days


async def look(url: str) -> Seen:
    """What answers at our public address. Raises Unreachable."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    days = await certificate_days(host, parts.port or _HTTPS_PORT) if parts.scheme == "https" else None
    async with _session() as session, _told(host):
        async with session.get(f"{url}/health", allow_redirects=False) as answer:
            status, release = answer.status, _release_of(await answer.content.read(_BODY_BYTES))
        async with session.get(f"{url}/metrics", allow_redirects=False) as answer:
            told = await answer.content.read(_BODY_BYTES)
            is_open = answer.status == _OK and b"zaptrix_" in told
    return Seen(release=release, status=status, days_left=days, metrics_open=is_open)


async def clock_off_s(url: str) -> float | None:
    """How far our clock is before the one by which a platform dates its answers, in seconds; None: it tells none.

    The header has whole seconds, and the answer is some time under way. Raises Unreachable.
    """
    async with _session() as session, _told(urlsplit(url).hostname or ""):
        begun = datetime.now(UTC)
        async with session.head(url, allow_redirects=False) as answer:
            dated = answer.headers.get("Date")
        middle = begun + (datetime.now(UTC) - begun) / 2
    try:
        return (middle - parsedate_to_datetime(dated)).total_seconds() if dated else None
    except ValueError:
        return None


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    timeout = aiohttp.ClientTimeout(total=CALL_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


@asynccontextmanager
async def _told(host: str) -> AsyncIterator[None]:
    """Turns what a call raises into what is wrong."""
    try:
        yield
    except (ssl.SSLCertVerificationError, aiohttp.ClientConnectorCertificateError) as exc:
        cause = exc.certificate_error if isinstance(exc, aiohttp.ClientConnectorCertificateError) else exc
        code = getattr(cause, "verify_code", 0)
        raise Unreachable(_VERIFICATIONS.get(code, Trouble.OTHER), f"{host}, {code}") from exc
    except (OSError, aiohttp.ClientError, TimeoutError) as exc:
        unknown = isinstance(exc, socket.gaierror | aiohttp.ClientConnectorDNSError)
        raise Unreachable(Trouble.NO_NAME if unknown else Trouble.UNREACHED, f"{host}, {type(exc).__name__}") from exc


class _Health(msgspec.Struct):
    version: str
    works: list[str]


def _release_of(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Health).version
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
