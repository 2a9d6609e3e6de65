"""Callers who open connections and say nothing, or half of something: they keep nobody out, and have a clock."""

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.web.gateway import Gateway, a_gateway, a_message, a_signed_request, a_webhook, processes_of
from zaptrix.core import limits
from zaptrix.web.http.bodies import UploadClock
from zaptrix.web.server.connections import Open, too_many
from zaptrix.web.server.server import bound

MANY = 1_500
_POST = b"POST /webhooks/%b HTTP/1.1\r\nHost: x\r\n"
_UNSENT = b"Content-Length: 1000\r\n\r\nx"
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
_SIGNED = b"X-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\n"
SILENT = {
    "nothing": b"",
    "half a line": b"POST /webho",
    "half a head": _POST % b"meta",
    "one byte of a body": _POST % b"meta" + _UNSENT,
    "one byte of a body, signed": _POST % b"meta" + _SIGNED + _UNSENT,
    "one byte of a form": _POST % b"bitrix24/outbound" + _UNSENT,
    "one chunk": _POST % b"meta" + _CHUNKED,
    "one chunk of a form": _POST % b"bitrix24/outbound" + _CHUNKED,
    "a large body promised": _POST % b"meta" + b"Content-Length: 3000000\r\n\r\nx",
    "waiting to be asked for a body": _POST % b"meta" + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "idle after an answer": b"GET /webhooks/bitrix24/outbound HTTP/1.1\r\nHost: x\r\n\r\n",
}
BODIES = [name for name, sent in SILENT.items() if b"\r\n\r\n" in sent and not sent.startswith(b"GET")]


@pytest.fixture(scope="module")
def open_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def silent(gateway: Gateway, sent: bytes, count: int) -> Iterator[None]:
    """So many connections of one address that have sent `sent`, and whose answers nobody reads."""
    with ExitStack() as stack:
        for _ in range(count):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.settings.port)))
            with suppress(ConnectionError):  # one address has its share of places, and was given it
                caller.sendall(sent)
        yield


async def answered_in_s(gateway: Gateway, name: str) -> float:
    """The best of three: what is asked is whether there is a place, and not how busy the machine is."""
    best = 1e9
    for number in range(3):
        began = time.monotonic()
        async with asyncio.timeout(20):
            assert (await gateway.meta(a_webhook(a_message(f"wamid.{name}.{number}")))).status == 200
        best = min(best, time.monotonic() - began)
    return best


@pytest.mark.usefixtures("open_files")
@pytest.mark.parametrize("name", SILENT)
async def test_a_signed_webhook_is_answered_in_a_second_beside_many_silent_connections(
    gateway: Gateway, name: str
) -> None:
    with silent(gateway, SILENT[name], MANY):
        assert await answered_in_s(gateway, name) < 1


@pytest.mark.usefixtures("open_files")
async def test_one_address_does_not_take_all_places_and_no_answer_is_lost_to_that(gateway: Gateway) -> None:
    """More connections than the server keeps of everybody."""
    with silent(gateway, b"", 5_000), silent(gateway, SILENT["one byte of a body"], 5_000):
        assert await answered_in_s(gateway, "all places") < 1


@pytest.mark.usefixtures("open_files")
async def test_a_request_that_a_busy_process_has_not_read_yet_is_not_taken_for_silence(gateway: Gateway) -> None:
    """The connections that were silent for longest speak while nobody listens; then there are too many at once."""
    [pid] = await asyncio.to_thread(processes_of, gateway)
    request = a_signed_request(a_webhook(a_message("wamid.unread")))
    with ExitStack() as stack:
        address = "127.0.0.1", gateway.settings.port
        early = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(20)]
        stack.enter_context(silent(gateway, b"", MANY))
        for each in early[:10]:  # some are idle after an answer, some are new
            each.sendall(request)
            assert each.recv(1000).startswith(b"HTTP/1.1 200 ")
        os.kill(pid, signal.SIGSTOP)
        try:
            for each in early:
                each.sendall(request)
            stack.enter_context(silent(gateway, b"", 1_000))
        finally:
            os.kill(pid, signal.SIGCONT)
        answers = [await asyncio.to_thread(each.recv, 1000) for each in early]
    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 200 "] * len(early)


async def test_whoever_sends_no_more_is_told_so_and_cut_off_in_time(gateway: Gateway) -> None:
    """Or drips: each byte is a sign of life, and all of a body has a clock."""

    async def told(sent: bytes, drip: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
        writer.write(sent)
        answer = asyncio.create_task(reader.read())
        async with asyncio.timeout(30):
            while not answer.done():
                await asyncio.wait([answer], timeout=0.5)
                writer.write(drip)
        writer.close()
        return b"" if answer.exception() else answer.result()

    upload = (
        b"POST /api/messages/document HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + gateway.admin_key.encode()
        + b"\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 500000\r\n\r\n--b\r\n"
    )  # fmt: skip
    call = upload.replace(b"multipart/form-data; boundary=b", b"application/json").replace(b"document", b"text")
    call = call.replace(b"500000", b"50000")
    slow = {name: (sent, b"") for name, sent in (SILENT | {"upload": upload, "call": call}).items()}
    slow |= {
        "dripping body": (SILENT["a large body promised"], b"x"),
        "dripping chunks": (SILENT["one chunk of a form"], b"1\r\nx\r\n"),
        "dripping head": (SILENT["half a head"], b"X"),
        "dripping call": (call, b" "),
    }
    answers = dict(zip(slow, await asyncio.gather(*(told(*each) for each in slow.values())), strict=True))
    for name in [*BODIES, "upload", "call", "dripping body", "dripping chunks", "dripping call"]:
        answer = answers[name].removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 408 "), (name, answer)
        assert b"connection: close" in answer.lower()
        assert b"urn:zaptrix:problem:request-timeout" in answer


async def test_an_upload_that_comes_steadily_may_take_longer_than_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_S_MAX", 100.0)
    clock = UploadClock()
    assert 99 < clock.left_s() <= 100
    clock.came(10_000_000)
    assert 99 < clock.left_s() <= 100  # for the next part
    monkeypatch.setattr(limits, "BODY_S_MAX", 0.0)
    assert UploadClock().left_s() == 0  # nothing came in time


def test_who_does_not_take_the_answer_is_cut_off_by_the_kernel() -> None:
    with (
        bound("127.0.0.1", 0) as listening,
        socket.socket() as caller,
    ):
        listening.listen()
        caller.connect(listening.getsockname())
        with listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def test_bodies_that_are_not_whole_do_not_fill_the_memory(gateway: Gateway) -> None:
    """A hundred times what a body may have: the oldest are given up before their time, and a whole one never."""
    with silent(gateway, SILENT["a large body promised"] + b"x" * 2_000_000, 120):
        assert await answered_in_s(gateway, "memory") < 1
        assert (await gateway.meta(a_webhook(a_message("wamid.large", "x" * 2_900_000)))).status == 200


async def test_a_gateway_with_few_open_files_keeps_fewer_connections_and_says_so(
    database_url: str, redis_url: str, folder: Path
) -> None:
    small = await a_gateway(folder, database_url, redis_url, prefix=("prlimit", "--nofile=640:640"))
    try:
        assert "few open files allowed" in small.log
        with silent(small, b"", 600):
            assert await answered_in_s(small, "few files") < 1
    finally:
        small.stop()


def an_open(number: int, silent_ms: int, address: str = "a", *, trusted: bool = False) -> Open:
    return Open(number, f"{address}:{number}", address, silent_ms, trusted)


def test_those_silent_for_longest_make_room_and_none_whose_request_is_worked_on() -> None:
    connections = [an_open(number, number * 10) for number in range(10)]
    closed = too_many(connections, places=100, per_address=6, working={"a:9", "a:7"})
    assert [each.handle for each in closed] == [8, 6, 5, 4]


def test_another_address_is_not_touched_by_one_that_has_too_many() -> None:
    greedy = [an_open(number, 1) for number in range(10)]
    modest = [an_open(number, 10_000, "b") for number in range(100, 105)]
    closed = too_many([*modest, *greedy], places=100, per_address=6)
    assert {each.address for each in closed} == {"a"}
    assert len(closed) == 4


def test_a_trusted_proxy_has_no_share_but_keeps_nobody_out_either() -> None:
    proxy = [an_open(number, number, "p", trusted=True) for number in range(95)]
    assert too_many(proxy[:80], places=100, per_address=6) == []
    assert [each.handle for each in too_many(proxy, places=100, per_address=6)] == [94, 93, 92, 91, 90]


def test_nobody_is_cut_off_while_there_is_room() -> None:
    assert too_many([], places=100, per_address=6) == []
    assert too_many([an_open(1, 10**9)], places=100, per_address=6) == []
