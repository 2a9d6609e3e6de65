"""A load balancer in front of several gateways, as production has one; and the place where connections are cut.

It may ask the gateways whether they want connections, as balancers do. Each connection is handed over as a whole: what
is sent on one that stays open reaches the gateway that has it, also while that one says that it stops.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

CHUNK_BYTES = 64 * 1024
NOBODY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Balancer:
    """Hands each connection to the next gateway that takes it; answers 503 when none does."""

    def __init__(self, port: int, backends: Sequence[int], *, asks: str = "", every_s: float = 0.25) -> None:
        """`asks`: a path at which a gateway answers 200 as long as it wants connections; empty: nobody is asked."""
        self._port = port
        self._asks, self._every_s = asks, every_s
        self._asking: asyncio.Task[None] | None = None
        self.ready: set[int] = set(backends)
        self._backends = list(backends)
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        if self._asks:
            self._asking = asyncio.create_task(self._ask_all())

    async def stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def cut(self) -> None:
        """Every connection ends now, whatever is on its way in it."""
        for line in self._lines:
            line.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            backend = await self._connect()
            if backend is not None:
                await _join((reader, writer), backend)
            else:
                await _refuse(reader, writer)
        except asyncio.CancelledError:
            pass  # cut
        finally:
            self._lines.discard(line)
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        self._backends.append(self._backends.pop(0))
        # Who does not want any gets one only when there is nobody else.
        for backend in sorted(self._backends, key=lambda each: each not in self.ready):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", backend)
        return None

    async def _ask_all(self) -> None:
        while True:
            asked = list(self._backends)
            told = await asyncio.gather(*(_wants(backend, self._asks) for backend in asked))
            self.ready = {backend for backend, wants in zip(asked, told, strict=True) if wants}
            await asyncio.sleep(self._every_s)


async def _wants(backend: int, path: str) -> bool:
    """Whether the gateway answers 200 within a second."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", backend)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(one: Ends, other: Ends) -> None:
    """Both directions, until either end hangs up."""
    flows = [asyncio.create_task(_flow(one[0], other[1])), asyncio.create_task(_flow(other[0], one[1]))]
    try:
        await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)
        other[1].transport.abort()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until they hang up: a connection that is closed on what nobody has read may take the answer with it."""
    with suppress(OSError):
        writer.write(NOBODY)
        await writer.drain()
        while await reader.read(CHUNK_BYTES):
            pass


async def _flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(CHUNK_BYTES):
            writer.write(part)
            await writer.drain()
