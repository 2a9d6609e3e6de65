"""Answers of the doors: plain ASGI, without a framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from zaptrix.web.problems import CONTENT_TYPE, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

REQUEST_ID = b"x-request-id"
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
