"""One HTTP exchange with a platform: whatever comes back ends as an answer or as an error of ours, within bounds.

A tenant's portal is a server that anybody may run, and before Meta's a proxy may stand. So an answer has a largest size
(after unpacking) and a time for all of it, dripping ones included; and whatever breaks while it is read is told as an
answer that could not be read, by its kind and place, and never by its words.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    InvalidURL,
)

from zaptrix.core import limits
from zaptrix.core.errors import PlatformError
from zaptrix.telemetry import metrics
from zaptrix.telemetry.log import logger
from zaptrix.telemetry.metrics import AlarmKind

T = TypeVar("T")

_PART_BYTES = 64 * 1024
# One at a time in a process: an answer that is read may take twenty times its size.
_large_ones = ThreadPoolExecutor(1, "large answers")


class Answer(msgspec.Struct, frozen=True):
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


async def exchange(session: ClientSession, request: Request) -> Answer:
    """The answer to `request`; redirects are not followed. Raises NotSent and NoAnswer."""
    # No cause is kept: a library's errors may quote the address, with what stands in it.
    try:
        async with asyncio.timeout(request.time_s):
            return await _exchanged(session, request)
    except (ClientConnectorError, ConnectionTimeoutError):
        raise NotSent("no_connection") from None
    except InvalidURL:
        raise NotSent("bad_endpoint") from None
    except TimeoutError:
        raise NoAnswer("timeout") from None
    except _TooLarge:
        raise NoAnswer("answer_too_large") from None
    except (ClientError, OSError):
        raise NoAnswer("connection_lost") from None
    except PlatformError:
        raise
    except Exception as exc:  # noqa: BLE001 - what a library breaks on is the other side's doing
        misread(request.method, exc)
        raise NoAnswer("unreadable") from None


class _TooLarge(Exception):
    """More bytes than an answer may have."""


async def _exchanged(session: ClientSession, request: Request) -> Answer:
    response = await session.request(
        request.method,
        request.url,
        params=request.query,
        data=request.body,
        headers=request.headers,
        # Not its own clock for the whole: that one does not run while a response is being closed.
        timeout=ClientTimeout(total=None, connect=request.connect_s, sock_connect=request.connect_s),
        allow_redirects=False,
    )
    try:
        return Answer(
            response.status,
            await _body(response, request.bytes_max),
            response.headers.get("Location", ""),
            _seconds(response.headers.get("Retry-After", "")),
        )
    finally:
        # Of one that was read to its end nothing is left to close, and its connection is kept.
        response.close()


async def _body(response: ClientResponse, bytes_max: int) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(_PART_BYTES):
        body += part
        if len(body) > bytes_max:
            raise _TooLarge
    return bytes(body)


def _seconds(text: str) -> float | None:
    return min(float(text), limits.RETRY_AFTER_S_MAX) if text.isascii() and text.isdigit() and len(text) < 10 else None


async def read(call: str, answer: Answer, reader: Callable[[bytes], T]) -> T:
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
