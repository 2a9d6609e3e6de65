"""The balancer in front of the gateways: it goes round, passes by who is away, and cuts when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from proof.balancer import Balancer
from proof.ports import free_port

Backend = Callable[[bytes], Awaitable[int]]


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    """Starts servers that answer every byte with a name of their own."""
    servers: list[asyncio.Server] = []

    async def start(name: bytes) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1):
                writer.write(name)
            writer.close()

        port = free_port()
        servers.append(await asyncio.start_server(answer, "127.0.0.1", port))
        return port

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def balanced() -> AsyncIterator[Callable[..., Awaitable[tuple[Balancer, int]]]]:
    balancers: list[Balancer] = []

    async def start(*backends: int) -> tuple[Balancer, int]:
        port = free_port()
        balancers.append(Balancer(port, backends))
        await balancers[-1].start()
        return balancers[-1], port

    yield start
    for balancer in balancers:
        await balancer.stop()


async def asked(port: int) -> bytes:
    """What the one who takes the next connection is called; nothing when it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"?")
        return await reader.read(1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


Start = Callable[..., Awaitable[tuple[Balancer, int]]]


async def test_connections_go_round_the_gateways(backend: Backend, balanced: Start) -> None:
    _, port = await balanced(await backend(b"a"), await backend(b"b"))
    assert sorted([await asked(port) for _ in range(4)]) == [b"a", b"a", b"b", b"b"]


async def test_a_gateway_that_is_away_is_passed_by(backend: Backend, balanced: Start) -> None:
    _, port = await balanced(free_port(), await backend(b"b"))
    assert [await asked(port) for _ in range(3)] == [b"b", b"b", b"b"]


async def test_a_request_that_nobody_takes_is_refused(balanced: Start) -> None:
    """As by any balancer: who asked knows for sure that no gateway has it."""
    _, port = await balanced(free_port())
    url, much = f"http://127.0.0.1:{port}/", b"x" * 200_000
    async with aiohttp.ClientSession() as session, session.post(url, data=much) as answer:
        assert answer.status == 503


async def test_a_cut_ends_every_connection_and_takes_new_ones(backend: Backend, balanced: Start) -> None:
    balancer, port = await balanced(await backend(b"a"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"?")
    assert await reader.read(1) == b"a"
    balancer.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    assert await asked(port) == b"a"
