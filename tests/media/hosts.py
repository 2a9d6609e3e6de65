"""Servers that a file is fetched from, and that do not mean well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

from aiohttp import web

from zaptrix.media.fetch import Allowed, ServerOrigin

LOOPBACK = (ip_network("127.0.0.0/8"),)
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Host:
    """A server on 127.0.0.1 that remembers what it was asked."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.asked: list[web.BaseRequest] = []
        self.sent = 0
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        return await self._handler(request)

    @property
    def allowed(self) -> Allowed:
        return Allowed(origins=(ServerOrigin.of(self.url),))


@asynccontextmanager
async def hosting(handler: Handler) -> AsyncIterator[Host]:
    host = Host(handler)
    runner = web.ServerRunner(web.Server(host.answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    host.url = f"http://127.0.0.1:{port}"
    try:
        yield host
    finally:
        await runner.cleanup()


def giving(body: bytes, **headers: str) -> Handler:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, headers=headers)

    return handler


def redirecting(to: str, status: int = 302) -> Handler:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": to})

    return handler


async def endless(request: web.BaseRequest) -> web.StreamResponse:
    """A body that never ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def dripping(request: web.BaseRequest) -> web.StreamResponse:
    """A body of which a byte comes now and then."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.02)


async def silent(request: web.BaseRequest) -> web.StreamResponse:
    """A body that does not begin."""
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.Event().wait()
    return response
