"""Answers of the doors: plain ASGI, without a framework."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from zaptrix.web.problems import CONTENT_TYPE, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

REQUEST_ID = b"x-request-id"
_LINGER_BYTES = 8 * 1024 * 1024
_LINGER_S = 5.0
_NOSNIFF = (b"x-content-type-options", b"nosniff")


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Headers = ()


EMPTY = Answer(200)


def plain(status: int, text: str) -> Answer:
    """Text that nothing takes for a page."""
    return Answer(status, text.encode(), ((b"content-type", b"text/plain; charset=utf-8"), _NOSNIFF))


def of_problem(problem: Problem, *, path: str, request_id: str) -> Answer:
    headers = [(b"content-type", CONTENT_TYPE.encode()), _NOSNIFF]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    return Answer(problem.kind.status, problem.document(path=path, request_id=request_id), tuple(headers))


async def linger(receive: Receive) -> None:
    """Let a body that is too large flow past, within bounds: a caller who is cut off in its middle sees no answer."""
    left = _LINGER_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


async def give(answer: Answer, send: Send, request_id: str) -> None:
    length = (b"content-length", b"%d" % len(answer.body))
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": (length, (REQUEST_ID, request_id.encode()), *answer.headers),
        }
    )
    await send({"type": "http.response.body", "body": answer.body})
