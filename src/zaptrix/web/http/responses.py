"""Answers, and how they are given to the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from zaptrix.core.portal import Locale
from zaptrix.web.http.problems import CONTENT_TYPE, Problem
from zaptrix.web.http.talk import Headers, HungUp, Talk

REQUEST_ID = "x-request-id"
_LINGER_BYTES = 8 * 1024 * 1024
_LINGER_S = 5.0
_NOSNIFF = ("x-content-type-options", "nosniff")
_LENGTH = "content-length"
_WITHOUT_LENGTH = frozenset({204, 304})


class Response(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Headers = ()


EMPTY = Response(200)


def plain(status: int, text: str) -> Response:
    """Text that nothing takes for a page."""
    return Response(status, text.encode(), (("content-type", "text/plain; charset=utf-8"), _NOSNIFF))


def of_problem(problem: Problem, *, path: str, request_id: str, locale: Locale) -> Response:
    headers = [("content-type", CONTENT_TYPE), ("content-language", locale.value), _NOSNIFF]
    headers += [(name.lower(), value) for name, value in problem.headers.items()]
    return Response(
        problem.kind.status, problem.document(path=path, request_id=request_id, locale=locale), tuple(headers)
    )


def last(answer: Response) -> Response:
    """The last one of its connection: who goes on asks another gateway."""
    return answer._replace(headers=(*answer.headers, ("connection", "close")))


async def parts_of(talk: Talk) -> AsyncIterator[bytes]:
    """A body as it comes. Who goes on with it goes on with this. Raises HungUp."""
    more = True
    while more:
        part, more = await talk.part()
        if part:
            yield part


async def linger(parts: AsyncIterator[bytes]) -> None:
    """Let a body that is too large flow past, within bounds: a caller who is cut off in its middle sees no answer."""
    left = _LINGER_BYTES
    with contextlib.suppress(TimeoutError, HungUp):
        async with asyncio.timeout(_LINGER_S):
            async for part in parts:
                left -= len(part)
                if left <= 0:
                    return


async def give(answer: Response, talk: Talk, request_id: str) -> None:
    headers = [(REQUEST_ID, request_id), *answer.headers]
    if answer.status not in _WITHOUT_LENGTH and not any(name == _LENGTH for name, _ in answer.headers):
        headers.append((_LENGTH, str(len(answer.body))))
    await talk.begin(answer.status, headers)
    await talk.give(answer.body)
