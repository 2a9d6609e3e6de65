"""One HTTP exchange with a platform: whatever comes back ends as an answer or as an error of ours, within bounds.

A tenant's portal is a server that anybody may run, and before Meta's a proxy may stand. So an answer has a largest size
(after unpacking) and a time for all of it, dripping ones included; and whatever breaks while it is read is told as an
answer that could not be read, by its kind and place, and never by its words.

A post with its body at hand, as every message is, goes over aiohttp's connector and parser without its session, which
costs more than all the rest of such a call (docs/adr/0032). What is asked seldom, or streamed, goes by the session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    InvalidURL,
    StreamReader,
)
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from yarl import URL

from zaptrix.core import limits
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.deadlines import begin
from zaptrix.telemetry import metrics
from zaptrix.telemetry.log import logger
from zaptrix.telemetry.metrics import AlarmKind

T = TypeVar("T")

_PART_BYTES = 64 * 1024
# Of each portal some methods, of each number one address.
_ADDRESSES_KEPT = 4_096
# One at a time in a process: an answer that is read may take twenty times its size.
_large_ones = ThreadPoolExecutor(1, "large answers")


class HttpResponse(msgspec.Struct, frozen=True):
    """What came back, unread. `retry_after_s`: how long to wait, when its head says so."""

    status: int
    body: bytes
    location: str = ""
    retry_after_s: float | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `time_s` is for all of it; connecting ends before, so that its end always means that it may have
    been heard."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str] | None = None
    body: bytes | AsyncIterator[bytes] | None = None
    time_s: float
    connect_s: float
    bytes_max: int


class NotSent(Exception):
    """Nothing was written: refused, an unknown host, TLS, no address, too long to connect. Its text is a code."""


class NoAnswer(Exception):
    """It may have been heard, and no answer came that could be read. Its text is a code."""


async def exchange(session: ClientSession, request: Request) -> HttpResponse:
    """The answer to `request`; redirects are not followed. Raises NotSent and NoAnswer."""
    # No cause is kept: a library's errors may quote the address, with what stands in it.
    try:
        if request.method == "POST" and isinstance(request.body, bytes) and not request.query:
            return await _posted(session, request, request.body)
        return await _asked(session, request)
    except (ClientConnectorError, ConnectionTimeoutError):
        raise NotSent("no_connection") from None
    except InvalidURL:
        raise NotSent("bad_endpoint") from None
    except TimeoutError:
        raise NoAnswer("timeout") from None
    except _TooLarge:
        raise NoAnswer("answer_too_large") from None
    except (ClientError, HttpProcessingError, OSError):
        raise NoAnswer("connection_lost") from None
    except (NotSent, PlatformError):
        raise
    except Exception as exc:  # noqa: BLE001 - what a library breaks on is the other side's doing
        misread(request.method, exc)
        raise NoAnswer("unreadable") from None


class _TooLarge(Exception):
    """More bytes than an answer may have."""


async def _posted(session: ClientSession, request: Request, body: bytes) -> HttpResponse:
    """Until the request is written, whatever fails is NotSent: there is one place where it is.

    Nothing is awaited between the look at the deadline and the write: a process that stands still there writes when it
    goes on, and another has sent the message meanwhile.
    """
    ends_s = asyncio.get_running_loop().time() + request.time_s
    address = _address(request.url)
    head = _head(address.begin, request.headers, len(body))
    connection = await _connected(session, address, request.connect_s)
    try:
        async with asyncio.timeout_at(ends_s):
            answer = await _answered(connection, head + body, request.bytes_max)
    except BaseException:
        connection.close()
        raise
    connection.release()
    return answer


class _Address(NamedTuple):
    """Where a post goes: what a connection is asked for by, and how the post begins."""

    asking: ClientRequest
    begin: str


@lru_cache(_ADDRESSES_KEPT)
def _address(url: str) -> _Address:
    """Raises InvalidURL."""
    parsed = _parsed(url)
    lines = (
        f"POST {parsed.raw_path_qs} HTTP/1.1",
        f"Host: {parsed.host_port_subcomponent}",
        "Accept: */*",
        "Accept-Encoding: gzip, deflate\r\n",
    )
    return _Address(_asking(parsed.origin()), "\r\n".join(lines))


def _parsed(url: str) -> URL:
    """Raises InvalidURL for what no connection can be made to."""
    try:
        parsed = URL(url)
        (parsed.raw_host or "").encode("idna")  # as the resolver will
    except ValueError:
        raise InvalidURL(url) from None
    if parsed.scheme not in {"http", "https"} or not parsed.raw_host:
        raise InvalidURL(url)
    return parsed


@lru_cache(_ADDRESSES_KEPT)
def _asking(origin: URL) -> ClientRequest:
    return ClientRequest("POST", origin, loop=asyncio.get_running_loop())


def _head(begin: str, headers: Mapping[str, str], length: int) -> bytes:
    for value in headers.values():
        if not value.isprintable():
            raise ValueError("a header's value that would end its line")
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{begin}{fields}Content-Length: {length}\r\n\r\n".encode()


async def _connected(session: ClientSession, address: _Address, connect_s: float) -> Connection:
    """A connection that is kept, or a new one. Raises NotSent and OutOfTime."""
    if session.connector is None:
        raise NotSent("no_connection")
    try:
        return await session.connector.connect(address.asking, [], _patience(connect_s))
    except (ClientError, OSError):
        raise NotSent("no_connection") from None


@lru_cache(64)
def _patience(connect_s: float) -> ClientTimeout:
    return ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)


async def _answered(connection: Connection, written: bytes, bytes_max: int) -> HttpResponse:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None:
        raise NotSent("no_connection")
    protocol.set_response_params(read_until_eof=True)
    begin()
    transport.write(written)
    message, content = await protocol.read()
    while message.code < 200 and message.code != 101:  # e.g. 103: the answer is still to come
        message, content = await protocol.read()
    return _answer(message.code, message.headers, await _body(content, bytes_max))


async def _asked(session: ClientSession, request: Request) -> HttpResponse:
    _parsed(request.url)
    async with asyncio.timeout(request.time_s):
        response = await session.request(
            request.method,
            request.url,
            params=request.query,
            data=request.body,
            headers=request.headers,
            # Not its own clock for the whole: that one does not run while a response is being closed.
            timeout=_patience(request.connect_s),
            allow_redirects=False,
        )
        try:
            return _answer(response.status, response.headers, await _body(response.content, request.bytes_max))
        finally:
            # Of one that was read to its end nothing is left to close, and its connection is kept.
            response.close()


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> HttpResponse:
    return HttpResponse(status, body, headers.get("Location", ""), _seconds(headers.get("Retry-After", "")))


async def _body(content: StreamReader, bytes_max: int) -> bytes:
    body = await content.read(_PART_BYTES)
    if content.at_eof() and len(body) <= bytes_max:
        return body
    parts = bytearray(body)
    while len(parts) <= bytes_max:
        part = await content.read(_PART_BYTES)
        if not part:
            return bytes(parts)
        parts += part
    raise _TooLarge


def _seconds(text: str) -> float | None:
    return min(float(text), limits.RETRY_AFTER_S_MAX) if text.isascii() and text.isdigit() and len(text) < 10 else None


async def read(call: str, answer: HttpResponse, reader: Callable[[bytes], T]) -> T:
    """What `reader` makes of the answer to `call`. Raises PlatformError and NoAnswer.

    A large answer is read in a thread, so that nobody else waits for it.
    """
    if len(answer.body) <= limits.ANSWER_BYTES_AT_ONCE:
        with reading(call):
            return reader(answer.body)
    return await asyncio.get_running_loop().run_in_executor(_large_ones, _read_aside, call, answer.body, reader)


def _read_aside(call: str, body: bytes, reader: Callable[[bytes], T]) -> T:
    with reading(call):
        return reader(body)


@contextmanager
def reading(call: str, *, known: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """What breaks on a foreign answer in here is an answer that could not be read. Raises PlatformError, NoAnswer and
    what is `known` to whoever asks."""
    try:
        yield
    except Exception as exc:
        if isinstance(exc, (PlatformError, NoAnswer, *known)):
            raise
        misread(call, exc)
        raise NoAnswer("unreadable") from None


def misread(call: str, exc: Exception) -> None:
    """Tell of it: its kind and place say what to mend, its words may be foreign."""
    metrics.alarmed(AlarmKind.UNEXPECTED)
    logger().error("answer not read", call=call, kind=type(exc).__name__, place=_place(exc), alarm=True)


def _place(exc: Exception) -> str:
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
