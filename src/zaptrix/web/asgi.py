"""The framework's side of a request: what the server tells (RSGI) as the framework wants to hear it (ASGI), and back.

The framework serves the API and the pages only. The server speaks RSGI because a webhook costs a gateway 10 us less so
than by ASGI, of about 60 (measured with the door and with an empty answer).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from granian.rsgi import Scope

from zaptrix.web import answers
from zaptrix.web.answers import Answer, HungUp, Talk
from zaptrix.web.bodies import UploadClock, too_slow

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def asgi_scope(scope: Scope) -> dict[str, Any]:
    """https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope"""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "method": scope.method,
        "scheme": scope.scheme,
        "path": scope.path,
        "raw_path": quote(scope.path).encode(),
        "query_string": scope.query_string.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in scope.headers.items()],
        "client": _address(scope.client),
        "server": _address(scope.server),
        "state": {},
        "extensions": {},
    }


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]") or text, int(port) if port.isdigit() else 0


class Exchange:
    """One request of the framework's: its `receive` and `send`, and the answer that they came to."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._parts: AsyncIterator[bytes] | None = answers.parts_of(talk)
        self._clock = UploadClock()
        self._status: int | None = None
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    async def receive(self) -> Message:
        """Raises a Problem when the body does not come in time."""
        if self._parts is None:
            await self._talk.client_disconnect()
            return {"type": "http.disconnect"}
        try:
            async with asyncio.timeout(self._clock.left_s()):
                part = await anext(self._parts, b"")
        except HungUp:
            return {"type": "http.disconnect"}
        except TimeoutError:
            raise too_slow() from None
        self._clock.came(len(part))
        if not part:
            self._parts = None
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        else:
            self._body.append(message.get("body", b""))

    async def linger(self) -> None:
        if self._parts is not None:
            await answers.linger(self._parts)

    @property
    def answer(self) -> Answer | None:
        """The whole answer; pages are small, so none is streamed. None: the framework gave none."""
        if self._status is None:
            return None
        return Answer(self._status, b"".join(self._body), tuple(self._headers))
