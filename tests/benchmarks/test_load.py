"""The load generator: order in a line, honest latencies, and no figure from a broken conversation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from benchmarks.load import Load, LoadError, Request, Volley

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy"
Answering = Callable[[bytes], Awaitable[bytes]]


@asynccontextmanager
async def door(answer: Answering, *, connections: int = 2) -> AsyncIterator[Load]:
    """A server that answers each body as told, and a generator at its door."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.rpartition(b": ")[2]))
                told = await answer(body)
                if not told:
                    return
                writer.write(told)
                if b"connection: close" in told:
                    return
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    load = await asyncio.to_thread(Load, *server.sockets[0].getsockname(), connections=connections)
    try:
        yield load
    finally:
        load.close()
        server.close()
        await server.wait_closed()


def requests(*lines: int) -> list[Request]:
    bodies = [f"{place}" for place in range(len(lines))]
    return [
        Request(line=line, data=f"POST / HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        for line, body in zip(lines, bodies, strict=True)
    ]


async def fire(load: Load, them: list[Request], **how: float) -> Volley:
    return await asyncio.to_thread(load.fire, them, **how)  # type: ignore[arg-type]


async def test_requests_of_one_line_arrive_one_after_another_in_their_order() -> None:
    came: list[int] = []
    flying: list[int] = []

    async def answer(body: bytes) -> bytes:
        place = int(body)
        assert place % 2 not in flying
        flying.append(place % 2)
        came.append(place)
        await asyncio.sleep(0)
        flying.remove(place % 2)
        return OK

    async with door(answer) as load:
        volley = await fire(load, requests(*[place % 2 for place in range(40)]))
    assert [place for place in came if place % 2 == 0] == list(range(0, 40, 2))
    assert [place for place in came if place % 2 == 1] == list(range(1, 40, 2))
    assert len(volley.accepted) == 40


async def test_a_latency_counts_from_the_moment_when_the_request_was_due() -> None:
    async def answer(body: bytes) -> bytes:
        # The first holds up the second, which is due 10 ms later on the same connection.
        await asyncio.sleep(0.3 if body == b"0" else 0)
        return OK

    async with door(answer, connections=1) as load:
        volley = await fire(load, requests(0, 0), rate_per_s=100)
    assert volley.latencies_s[1] > 0.28


async def test_what_is_refused_is_not_accepted() -> None:
    async def answer(body: bytes) -> bytes:
        return REFUSED if body == b"1" else OK

    async with door(answer) as load:
        volley = await fire(load, requests(0, 1, 0))
    assert volley.accepted == [0, 2]
    assert volley.statuses == {200: 2, 503: 1}


async def test_a_window_lets_no_more_than_its_size_be_under_way() -> None:
    answered: list[bytes] = []

    async def answer(body: bytes) -> bytes:
        answered.append(body)
        return OK

    async with door(answer) as load:
        # Nothing ever arrives, so that after five there is no room; the time for starting ends it.
        volley = await asyncio.to_thread(load.fire, requests(*range(20)), window=5, arrived=lambda: 0, seconds=1.5)
    assert len(answered) == len(volley.accepted) == 5


async def test_a_connection_that_is_closed_spoils_the_run() -> None:
    async def answer(body: bytes) -> bytes:
        return b"" if body == b"1" else OK

    async with door(answer) as load:
        with pytest.raises(LoadError, match="closed a connection"):
            await fire(load, requests(0, 0, 0))


async def test_a_connection_that_is_closed_while_it_is_idle_is_opened_again() -> None:
    hung_up = False

    async def answer(body: bytes) -> bytes:
        nonlocal hung_up
        if body == b"0" and not hung_up:
            hung_up = True
            return OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
        return OK

    async with door(answer, connections=1) as load:
        volley = await fire(load, requests(0, 0), rate_per_s=5)
    assert volley.accepted == [0, 1]
