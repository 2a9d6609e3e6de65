"""A small HTTP server that answers as a test orders, call after call, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer, get_port_socket

_TURNS = 5  # of the loop, from an accepted call to its connection


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer. `json` wins over `text`; `hang` never answers, `drop` closes the connection."""

    status: int = 200
    json: Any = None
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Answering:
    """Answers with `replies` in turn; the last one stays."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.url = ""
        self._released = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(
            Asked(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers=request.headers,
                body=await request.read(),
            )
        )
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply.hang:
            await self._released.wait()
        if reply.drop:
            assert request.transport is not None
            request.transport.abort()
        if reply.json is not None:
            body = msgspec.json.encode(reply.json)
            headers = {"Content-Type": "application/json", **reply.headers}
            return web.Response(status=reply.status, body=body, headers=headers)
        return web.Response(status=reply.status, text=reply.text, headers=reply.headers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Answering]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.handle)
        doors: list[socket.socket] = []

        def listening(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
            doors.append(get_port_socket(host, port, family))
            return doors[-1]

        server = TestServer(app, host="127.0.0.1", socket_factory=listening)
        await server.start_server()
        self.url = str(server.make_url("/")).rstrip("/")
        try:
            yield self
        finally:
            self._released.set()
            await _accept_no_more(doors)
            await server.close()


async def _accept_no_more(doors: list[socket.socket]) -> None:
    """A caller who is accepted in the very turn in which asyncio closes a server is a connection that nobody closes."""
    loop = asyncio.get_running_loop()
    for door in doors:
        loop.remove_reader(door)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
