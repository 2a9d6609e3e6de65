"""What surely was not sent is told from what perhaps was, however a call ends, and by both clients alike.

The first may be sent again at once, the second is looked for before.
https://datatracker.ietf.org/doc/html/rfc9110#section-9.2.2
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.connector import Connection

from tests.bitrix24.builders import FreePace as PortalPace
from tests.bitrix24.builders import MemoryCache, MemoryVault, a_pair, a_portal, utc_now
from tests.certificates import Authority
from tests.whatsapp.builders import FreePace, OneToken, a_channel, a_conversation
from zaptrix import deadlines
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bitrix24.rest.oauth import OAuth
from zaptrix.bitrix24.rest.tokens import Tokens
from zaptrix.core.delivery.errors import OutOfTime, PlatformError, Unavailable, Unclear
from zaptrix.deadlines import Deadline, TimelyConnector
from zaptrix.elapsed import elapsed_s
from zaptrix.exchange import HttpResponse, NoAnswer, NotSent, Request, exchange
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.outbound.translate import text_message

TIME_S, CONNECT_S = 0.6, 0.3
BYTES_MAX = 100_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Way = Callable[[aiohttp.ClientSession, str], Coroutine[Any, Any, HttpResponse]]


class Far:
    """A server that does as `then` says with each request that it has read to its end."""

    def __init__(self, then: Serve, tls: ssl.SSLContext | None = None) -> None:
        self.heard = 0
        self.heads: list[bytes] = []
        self.url = ""
        self._then = then
        self._tls = tls
        self._open: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Far]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(asyncio.create_task(self._listen(reader, writer)))

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                await reader.readexactly(next((int(line[15:]) for line in lines if b"content-length:" in line), 0))
                self.heads.append(head)
                self.heard += 1
                await self._then(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


def saying(*parts: bytes, then: str = "close") -> Serve:
    """Answers so, and then closes the connection, resets it, or keeps it open."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if then == "reset":
            writer.transport.abort()
        elif then == "hang":
            await asyncio.Event().wait()
        elif then == "close":
            writer.close()

    return serve


async def dripping(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(CHUNKED)
    while True:
        writer.write(b"1\r\n \r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def going_on(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Heads that only say that the answer is still to come."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


# --- places at which nothing is written: no server of ours there, so that nothing can be heard ------------------------

Place = Callable[[AsyncExitStack], str]


def _door(stack: AsyncExitStack) -> socket.socket:
    door = stack.enter_context(socket.socket())
    door.bind(("127.0.0.1", 0))
    return door


def _url(scheme: str, door: socket.socket) -> str:
    return f"{scheme}://127.0.0.1:{door.getsockname()[1]}"


def refusing(stack: AsyncExitStack) -> str:
    return _url("http", _door(stack))


def mute_tls(stack: AsyncExitStack) -> str:
    """Takes the connection, and never answers the handshake of TLS."""
    door = _door(stack)
    door.listen()
    return _url("https", door)


def full(stack: AsyncExitStack) -> str:
    """Takes no connection any more, and refuses none."""
    door = _door(stack)
    door.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(door.getsockname())
    return _url("http", door)


def at(url: str) -> Place:
    return lambda _stack: url


NOT_SENT: dict[str, tuple[Place, str]] = {
    "refused": (refusing, "no_connection"),
    "an unknown host": (at("http://nobody.invalid"), "no_connection"),
    "no route": (at("http://255.255.255.255"), "no_connection"),
    "no time to connect": (full, "no_connection"),
    "TLS without an answer": (mute_tls, "no_connection"),
    "no host": (at("http://"), "bad_endpoint"),
    "no address": (at("http://[::1"), "bad_endpoint"),
    "a port that is none": (at("http://127.0.0.1:99999"), "bad_endpoint"),
    "another protocol": (at("ftp://127.0.0.1"), "bad_endpoint"),
    "a name that DNS cannot have": (at(f"http://{'a' * 70}.example"), "bad_endpoint"),
    "half a name": (at("http://a..example"), "bad_endpoint"),
}

# --- ends of what was written -----------------------------------------------------------------------------------------

NO_ANSWER: dict[str, tuple[Serve, str]] = {
    "closed": (saying(), "connection_lost"),
    "reset": (saying(then="reset"), "connection_lost"),
    "closed in the head": (saying(b"HTTP/1.1 20"), "connection_lost"),
    "reset in the head": (saying(b"HTTP/1.1 200 OK\r\nContent-"), "connection_lost"),
    "closed in the body": (saying(ANSWER[:-1]), "connection_lost"),
    "reset in the body": (saying(ANSWER[:-1], then="reset"), "connection_lost"),
    "closed in a chunk": (saying(CHUNKED, b"5\r\n{}"), "connection_lost"),
    "no HTTP": (saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "connection_lost"),
    "a length that is none": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n{}"), "connection_lost"),
    "a head without an end": (saying(b"HTTP/1.1 200 OK\r\n", b"X-A: a\r\n" * 20_000, then="hang"), "connection_lost"),
    "a line without an end": (saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000, then="hang"), "connection_lost"),
    "silence": (saying(then="hang"), "timeout"),
    "silence in the head": (saying(b"HTTP/1.1 200 OK\r\n", then="hang"), "timeout"),
    "silence in the body": (saying(ANSWER[:-1], then="hang"), "timeout"),
    "drips": (dripping, "timeout"),
    "still to come, for ever": (going_on, "timeout"),
    "too much": (saying(CHUNKED, *[b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"] * 40, then="hang"), "answer_too_large"),
    "a bomb": (
        saying(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(bomb := gzip.compress(bytes(50_000_000), 9)), bomb),
            then="hang",
        ),
        "answer_too_large",
    ),
}


async def short(session: aiohttp.ClientSession, url: str) -> HttpResponse:
    """As messages go."""
    return await exchange(session, a_post(url))


async def by_session(session: aiohttp.ClientSession, url: str) -> HttpResponse:
    """As uploads go."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"{}"

    return await exchange(session, a_post(url, body=parts(), headers={"Content-Length": "2"}))


def a_post(url: str, **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "method": "POST", "url": f"{url}/x", "headers": {"X-A": "1"}, "body": b"{}", "time_s": TIME_S,
        "connect_s": CONNECT_S, "bytes_max": BYTES_MAX,
    }  # fmt: skip
    return Request(**(fields | changes))


async def to_portal(session: aiohttp.ClientSession, url: str) -> object:
    portal = a_portal(f"{url}/rest/")
    vault = MemoryVault({portal.id: a_pair()})
    tokens = Tokens(vault, MemoryCache(), OAuth(session, url="http://oauth.invalid", now=utc_now), utc_now)
    client = PortalClient(session, tokens=tokens, vault=vault, pace=PortalPace(), now=utc_now, timeout_s=TIME_S)
    return await client.call(portal, "imconnector.send.messages", {"LINE": 1})


async def to_meta(session: aiohttp.ClientSession, url: str) -> object:
    client = GraphClient(session, graph_url=url, version="v26.0", tokens=OneToken(), pace=FreePace(), timeout_s=TIME_S)
    return await client.send(a_channel(), a_conversation(), text_message("oi"), "zx:1", "req-1")


WAYS = (short, by_session)
CLIENTS = (to_portal, to_meta)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=TimelyConnector(), cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


async def ends(session: aiohttp.ClientSession, url: str) -> list[tuple[str, str]]:
    """How a call by each way and of each client ends."""
    asked = await asyncio.gather(*(way(session, url) for way in (*WAYS, *CLIENTS)), return_exceptions=True)
    return [(type(end).__name__, str(getattr(end, "code", end))) for end in asked]


@pytest.mark.parametrize("kind", NOT_SENT)
async def test_what_was_not_written_surely_was_not_sent(session: aiohttp.ClientSession, kind: str) -> None:
    place, code = NOT_SENT[kind]
    async with AsyncExitStack() as stack:
        told = await ends(session, place(stack))
    assert told == [(NotSent.__name__, code)] * len(WAYS) + [(Unavailable.__name__, code)] * len(CLIENTS)


@pytest.mark.parametrize("kind", NO_ANSWER)
async def test_what_was_written_may_have_been_heard_and_is_not_written_again(
    session: aiohttp.ClientSession, kind: str
) -> None:
    serve, code = NO_ANSWER[kind]
    async with Far(serve).running() as far:
        told = await ends(session, far.url)
    assert told == [(NoAnswer.__name__, code)] * len(WAYS) + [(Unclear.__name__, code)] * len(CLIENTS)
    assert far.heard == len(WAYS) + len(CLIENTS)


@pytest.mark.parametrize("kind", ["plain", "untrusted"])
async def test_nothing_is_sent_without_trust(session: aiohttp.ClientSession, kind: str, tmp_path: Path) -> None:
    tls = None
    if kind == "untrusted":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(Authority().server(tmp_path / "server.pem"))
    async with Far(saying(ANSWER), tls).running() as far:
        told = await ends(session, far.url.replace("http:", "https:"))
    assert told == [("NotSent", "no_connection")] * len(WAYS) + [("Unavailable", "no_connection")] * len(CLIENTS)
    assert far.heard == 0


async def test_tls_is_spoken_with_who_is_trusted(tmp_path: Path) -> None:
    authority = Authority()
    ours, theirs = ssl.create_default_context(cadata=authority.pem.decode()), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(authority.server(tmp_path / "server.pem"))
    async with (
        Far(saying(ANSWER, then="stay"), theirs).running() as far,
        aiohttp.ClientSession(connector=TimelyConnector(ssl=ours)) as session,
    ):
        assert [(await way(session, far.url)).body for way in (*WAYS, *WAYS)] == [b"{}"] * 4
    assert far.heard == 4


@pytest.mark.parametrize("way", WAYS)
async def test_who_waits_for_a_connection_in_vain_sent_nothing(way: Way) -> None:
    async with (
        Far(saying(then="hang")).running() as far,
        aiohttp.ClientSession(connector=TimelyConnector(limit_per_host=1)) as session,
    ):
        first = asyncio.create_task(way(session, far.url))
        while not far.heard:
            await asyncio.sleep(0.01)
        with pytest.raises(NotSent):
            await way(session, far.url)
        with pytest.raises(NoAnswer):
            await first
    assert far.heard == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_kept_connection_that_ends_with_the_next_request_is_not_tried_again(
    session: aiohttp.ClientSession, way: Way
) -> None:
    async def once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWER) if far.heard == 1 else writer.transport.abort()

    async with Far(once).running() as far:
        assert (await way(session, far.url)).body == b"{}"
        with pytest.raises(NoAnswer):
            await way(session, far.url)
    assert far.heard == 2


@pytest.mark.parametrize("way", WAYS)
async def test_a_kept_connection_that_was_closed_meanwhile_is_left_alone(
    session: aiohttp.ClientSession, way: Way
) -> None:
    async with Far(saying(ANSWER)).running() as far:
        for _ in range(3):
            assert (await way(session, far.url)).body == b"{}"
            while far._open:  # until the server is done with it
                await asyncio.wait([far._open.pop()])
            await asyncio.sleep(0)
    assert far.heard == 3


@pytest.mark.parametrize("way", WAYS)
async def test_what_came_while_nobody_asked_is_no_answer_to_the_next_request(
    session: aiohttp.ClientSession, way: Way
) -> None:
    told = asyncio.Event()

    async def twice(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % far.heard)
        if far.heard == 1:
            await told.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale")

    async with Far(twice).running() as far:
        assert (await way(session, far.url)).body == b"01"
        told.set()
        assert session.connector is not None
        ((kept, _),) = next(iter(session.connector._conns.values()))
        while not kept.should_close:
            await asyncio.sleep(0.01)
        assert (await way(session, far.url)).body == b"02"


@pytest.mark.parametrize("way", WAYS)
async def test_who_speaks_before_he_is_asked_is_not_called_without_end(
    session: aiohttp.ClientSession, way: Way
) -> None:
    calls: list[asyncio.StreamWriter] = []

    def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(writer)
        writer.write(b"220 mail.example ESMTP\r\n" * 100)

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        with pytest.raises((NotSent, NoAnswer)):
            await way(session, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for writer in calls:
            writer.transport.abort()
    assert len(calls) <= 3


async def test_an_answer_that_is_still_to_come_is_waited_for(session: aiohttp.ClientSession) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with Far(saying(early * 3, ANSWER, then="stay")).running() as far:
        assert [(await way(session, far.url)).status for way in WAYS] == [200, 200]


@pytest.mark.parametrize("status", [301, 307])
async def test_no_redirect_is_followed(session: aiohttp.ClientSession, status: int) -> None:
    answer = b"HTTP/1.1 %d Moved\r\nLocation: /y\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n" % status
    async with Far(saying(answer, then="stay")).running() as far:
        for way in WAYS:
            told = await way(session, far.url)
            assert (told.status, told.location, told.retry_after_s) == (status, "/y", 7.0)
    assert far.heard == len(WAYS)


async def test_a_post_is_one_write_and_no_task(session: aiohttp.ClientSession) -> None:
    """What a message costs: the request leaves as a whole, and at once."""
    loop, made = asyncio.get_running_loop(), []

    def making(loop: asyncio.AbstractEventLoop, work: Any, **given: Any) -> asyncio.Task[Any]:
        made.append(work)
        return asyncio.Task(work, loop=loop, **given)

    async with Far(saying(ANSWER, then="stay")).running() as far:
        await short(session, far.url)
        loop.set_task_factory(making)
        try:
            await short(session, far.url)
        finally:
            loop.set_task_factory(None)
        assert not made
        head = far.heads[-1].decode()
        assert head.startswith("POST /x HTTP/1.1\r\nHost: 127.0.0.1:")
        assert "\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n" in head


class Slow(TimelyConnector):
    """The process stands still as soon as it has its connection."""

    async def connect(self, *args: Any, **given: Any) -> Connection:
        connection = await super().connect(*args, **given)
        self.deadline.cut(60.0)
        return connection

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.deadline = deadline


@pytest.mark.parametrize("way", [short, *CLIENTS])
async def test_a_claim_is_looked_at_when_the_connection_is_at_hand(way: Way) -> None:
    deadline = Deadline(elapsed_s(), 60)
    async with (
        Far(saying(ANSWER)).running() as far,
        aiohttp.ClientSession(connector=Slow(deadline), cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        with deadline.guarding(), pytest.raises(OutOfTime):
            await way(session, far.url)
    assert far.heard == 0


class Crowded(TimelyConnector):
    """The loop has others to run as soon as it can, and the process stands still meanwhile, for longer than its claim
    lasts; `in_time` tells of each write whether it was before that."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.in_time: list[bool] = []
        self._deadline = deadline

    async def connect(self, *args: Any, **given: Any) -> Connection:
        connection = await super().connect(*args, **given)
        assert connection.transport is not None
        write = connection.transport.write

        def written(data: Any) -> None:
            self.in_time.append(self._deadline.may_begin)
            write(data)

        connection.transport.write = written  # type: ignore[method-assign]
        asyncio.get_running_loop().call_soon(self._deadline.cut, 60.0)
        return connection


@pytest.mark.parametrize("way", [short, *CLIENTS])
async def test_nobody_is_let_between_the_look_at_the_claim_and_the_write(way: Way) -> None:
    """A worker that was stopped there wrote when it went on, and another one had sent the message meanwhile."""
    deadline = Deadline(elapsed_s(), 60)
    async with (
        Far(saying(ANSWER)).running() as far,
        aiohttp.ClientSession(connector=(crowded := Crowded(deadline)), cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        with deadline.guarding(), suppress(PlatformError):  # the answer says nothing of what was asked
            await way(session, far.url)
    assert (crowded.in_time, far.heard) == ([True], 1)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
async def test_no_header_ends_its_line(session: aiohttp.ClientSession, value: str) -> None:
    async with Far(saying(ANSWER)).running() as far:
        with pytest.raises(NoAnswer):
            await exchange(session, a_post(far.url, headers={"X-A": value}))
    assert far.heard == 0


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_begun_when_too_little_is_left_of_a_claim(
    session: aiohttp.ClientSession, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither over a kept connection nor over one that was being made while the host slept."""
    slept_s = [0.0]
    monkeypatch.setattr(deadlines, "elapsed_s", lambda: elapsed_s() + sum(slept_s))
    async with Far(saying(ANSWER, then="stay")).running() as far:
        await way(session, far.url)
        async with Deadline(elapsed_s() + sum(slept_s), 60).kept():
            slept_s.append(50)
            for url in (far.url, far.url.replace("127.0.0.1", "localhost")):
                with pytest.raises(OutOfTime):
                    await way(session, url)
    assert far.heard == 1


async def test_what_is_given_up_leaves_no_connection_that_hears_the_answer(session: aiohttp.ClientSession) -> None:
    async def second(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if far.heard == 2:
            writer.write(ANSWER)
        await asyncio.sleep(0)

    async with Far(second).running() as far:
        call = asyncio.create_task(short(session, far.url))
        while not far.heard:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await short(session, far.url)).body == b"{}"
