"""Request bodies: read whole, in bounded time and memory, whoever sends them.

Nobody is known before their body is there: a signature is over all of it, a token stands in it. So a caller who sends
half of one, and then nothing, must neither be waited for nor keep the others out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from zaptrix.core import limits
from zaptrix.core.wording.catalog import Sentence
from zaptrix.web.http.problems import MALFORMED, TIMEOUT, TOO_LARGE, Problem, unavailable
from zaptrix.web.http.responses import linger, parts_of
from zaptrix.web.http.talk import Client, HungUp, Scope, Talk

_CLOSE = {"Connection": "close"}  # what was not read would be taken for the next request of the connection
_HUNG_UP = Sentence("api.body.hung_up")
_FULL = Sentence("api.body.too_many")
_LENGTH_DIGITS_MAX = 12


def too_slow() -> Problem:
    """The body did not come in time."""
    told = Sentence("api.body.too_slow")
    return Problem(TIMEOUT, told, headers=_CLOSE)


class _Coming:
    """A body on its way. One a request: it has to be cheap."""

    __slots__ = ("client", "due", "given_up", "size")

    def __init__(self, client: Client, size: int) -> None:
        self.client = client
        self.size = size
        self.due = time.monotonic() + limits.BODY_S_MAX
        self.given_up = False


class Bodies:
    """The bodies that one process reads. Someone has to `tick`: a timer for each body would cost a webhook 4 us."""

    def __init__(self, bytes_max: int = limits.BODIES_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._coming: dict[asyncio.Task[object], _Coming] = {}  # the oldest first
        self._bytes = 0

    async def read(self, scope: Scope, talk: Talk, limit: int) -> bytes:
        """A whole body. Raises a Problem: too slow, too large, or the caller hung up.

        One that is slow is also given up before its time when the memory for all of them is used up, the oldest first:
        whoever sends a webhook in one piece is never that.
        """
        told = scope.headers.get("content-length") or ""
        size = int(told) if told.isascii() and told.isdigit() and len(told) <= _LENGTH_DIGITS_MAX else None
        fits = size is not None and size <= limit
        task = asyncio.current_task()
        assert task is not None
        coming = self._coming[task] = _Coming(scope.client, 0)
        try:
            self._grow(coming, size if size is not None and fits else 0)
            # What is told is also what is read: the server sees to that.
            return await (_whole(talk) if fits else self._in_parts(coming, talk, limit))
        except HungUp:
            raise Problem(MALFORMED, _HUNG_UP) from None
        except asyncio.CancelledError:
            if not coming.given_up:
                raise
            task.uncancel()
            raise too_slow() from None
        finally:
            self._bytes -= coming.size
            self._coming.pop(task, None)

    @contextmanager
    def judged(self, size: int) -> Iterator[None]:
        """While a whole body of `size` waits for somebody to say whose it is. Raises a Problem without room for it."""
        if self._bytes + size > self._bytes_max and not self._make_room(size):
            raise unavailable(_FULL)
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size

    def clients(self) -> set[Client]:
        """Whose bodies are on their way."""
        return {coming.client for coming in self._coming.values()}

    def tick(self) -> None:
        """Give up those whose time is over."""
        now = time.monotonic()
        for task, coming in list(self._coming.items()):
            if coming.due > now:
                return
            self._give_up(task, coming)

    def give_up(self, clients: Collection[Client]) -> None:
        for task, coming in list(self._coming.items()):
            if coming.client in clients:
                self._give_up(task, coming)

    async def _in_parts(self, coming: _Coming, talk: Talk, limit: int) -> bytes:
        parts: list[bytes] = []
        arriving = parts_of(talk)
        async for part in arriving:
            self._grow(coming, len(part))
            if coming.size > limit:
                await linger(arriving)
                told = Sentence("api.body.too_large", {"limit": limit})
                raise Problem(TOO_LARGE, told, headers=_CLOSE)
            parts.append(part)
        return b"".join(parts)

    def _grow(self, coming: _Coming, size: int) -> None:
        coming.size += size
        self._bytes += size
        if self._bytes > self._bytes_max:
            self._make_room(0)

    def _make_room(self, size: int) -> bool:
        """Give up the oldest until `size` more bytes fit; whether they do."""
        for task, coming in list(self._coming.items()):
            if self._bytes + size <= self._bytes_max:
                break
            self._give_up(task, coming)
        return self._bytes + size <= self._bytes_max

    def _give_up(self, task: asyncio.Task[object], coming: _Coming) -> None:
        coming.given_up = True
        self._bytes -= coming.size
        coming.size = 0
        del self._coming[task]
        task.cancel()


async def _whole(talk: Talk) -> bytes:
    body, more = await talk.part()
    if not more:
        return body  # as a webhook comes
    parts = [body]
    while more:
        body, more = await talk.part()
        parts.append(body)
    return b"".join(parts)


class UploadClock:
    """How long the next part of an upload may take: as long as it comes steadily, an upload may take its time.

    For bodies of known callers, which may be files.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._bytes = 0

    def came(self, size: int) -> None:
        self._bytes += size

    def left_s(self) -> float:
        """Seconds until the next part has to be there."""
        due = self._began + limits.BODY_S_MAX + self._bytes / limits.UPLOAD_BYTES_PER_S_MIN
        return max(0.0, min(limits.BODY_S_MAX, due - time.monotonic()))
