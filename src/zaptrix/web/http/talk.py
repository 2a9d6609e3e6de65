"""A request and its answer, as the server tells and takes them (ASGI).

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[str, str]]
Client = tuple[str, int]
"""The address and port of a connection's other end."""


class HungUp(Exception):
    """The caller is gone before the request was whole."""


class RequestHeaders:
    """Headers of a request."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first one of this name, which is in lower case."""
        wanted = name.encode()
        for key, value in self._pairs:
            if key == wanted:
                return value.decode("latin-1")
        return default


class Scope:
    """What is asked."""

    __slots__ = ("asgi", "client", "headers", "method", "path")

    def __init__(self, asgi: Message) -> None:
        self.asgi = asgi
        self.method: str = asgi["method"]
        self.path: str = asgi["path"]
        self.client: Client = asgi["client"] or ("", 0)
        self.headers = RequestHeaders(asgi["headers"])

    @property
    def query_string(self) -> str:
        query: bytes = self.asgi["query_string"]
        return query.decode("latin-1")


class Talk:
    """One request's body, and its answer."""

    __slots__ = ("_receive", "_send", "begun")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.begun = False
        """Whether an answer was begun: there is no other one then."""

    async def part(self) -> tuple[bytes, bool]:
        """What has come of the body, and whether more comes. Raises HungUp."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise HungUp
        return message["body"], message["more_body"]

    async def gone(self) -> None:
        """Returns when the caller has hung up, after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def begin(self, status: int, headers: Headers) -> None:
        self.begun = True
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def give(self, part: bytes, *, more: bool = False) -> None:
        """Waits while the caller takes nothing. What is given to one who has hung up goes nowhere."""
        await self._send({"type": "http.response.body", "body": part, "more_body": more})
