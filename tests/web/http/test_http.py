"""HTTP as callers speak it, well or badly: what the server makes of it, seen from the wire."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import uuid4

import pytest

from tests.web.gateway import Gateway, a_message, a_signed_request, a_webhook
from zaptrix.core import limits

_READY = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
_FILL = b"X-Fill: " + b"x" * 1_000 + b"\r\n"


async def said(gateway: Gateway, *parts: bytes, end: bool = False) -> bytes:
    """All that is answered to `parts`, which are sent one after the other, until the gateway hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    answer = b""
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):  # cut off
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if end:
                writer.write_eof()
            answer = await reader.read()
    writer.close()
    return answer


def a_request(wamid: str, *, more: str = "") -> bytes:
    return a_signed_request(a_webhook(a_message(wamid)), more=more)


async def test_requests_that_come_without_waiting_are_answered_in_their_order(gateway: Gateway) -> None:
    ids = [f"pipelined-{uuid4().hex}" for _ in range(20)]
    requests = [a_request(f"wamid.{each}", more=f"X-Request-Id: {each}\r\n") for each in ids]
    requests.insert(10, _READY + b"\r\n")
    answer = await said(gateway, b"".join(requests), _READY + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == len(ids) + 2
    places = [answer.index(each.encode()) for each in ids]
    assert places == sorted(places)
    for each in ids:
        assert len(await gateway.events(each)) == 1


async def test_a_request_may_come_in_any_pieces(gateway: Gateway) -> None:
    request = a_request("wamid.pieces", more="Connection: close\r\n")
    pieces = [request[place : place + 7] for place in range(0, len(request), 7)]
    assert (await said(gateway, *pieces)).startswith(b"HTTP/1.1 200 ")


async def test_who_asks_whether_to_send_a_body_is_told_to(gateway: Gateway) -> None:
    request = a_request("wamid.asked", more="Expect: 100-continue\r\nConnection: close\r\n")
    head, body = request.split(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    writer.write(head + b"\r\n\r\n")
    async with asyncio.timeout(30):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize(
    "parts",
    [
        (_READY + _FILL * 70 + b"\r\n",),  # in one piece
        (_READY, *[_FILL] * 70),  # and it never ends
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",),
        (b"GET /", *[b"x" * 1_000] * 70),
        (_READY + b"X-Fill: ", *[b"x" * 1_000] * 70),
    ],
    ids=["one piece", "many lines", "address", "address in pieces", "a long line"],
)
async def test_a_head_has_a_size(gateway: Gateway, parts: tuple[bytes, ...]) -> None:
    assert (await said(gateway, *parts)).startswith(b"HTTP/1.1 431 ")
    # An answer that is owed comes before that.
    assert (await said(gateway, a_request("wamid.before"), *parts)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "start", [b"0\r\n", b"5;", b"5\r\nhello\r\n0\r\nX-Trailer: "], ids=["trailers", "extension", "a trailer"]
)
async def test_what_comes_beside_a_body_has_a_size(gateway: Gateway, start: bytes) -> None:
    chunked = b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    filling = _FILL if start == b"0\r\n" else b"x" * 1_000
    before = asyncio.get_running_loop().time()
    assert not (await said(gateway, chunked, start, *[filling] * 2_000)).startswith(b"HTTP/1.1 200 ")
    assert asyncio.get_running_loop().time() - before < limits.BODY_S_MAX  # the size ended it, and not the clock


async def test_trailers_are_no_part_of_a_request(gateway: Gateway) -> None:
    request = a_request("wamid.trailers", more="Connection: close\r\n").replace(
        b"Content-Length", b"Transfer-Encoding: chunked\r\nX-Length"
    )
    head, body = request.split(b"\r\n\r\n")
    chunks = b"".join(b"%x;name=value\r\n" % 1 + body[at : at + 1] + b"\r\n" for at in range(len(body)))
    answer = await said(gateway, head + b"\r\n\r\n" + chunks + b"0\r\nX-Trailer: 1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_large_head_within_the_bound_is_read(gateway: Gateway) -> None:
    answer = await said(gateway, _READY + _FILL * 55 + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /health/live HTTP/9.9\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        _READY + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        _READY + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        _READY + b"Content-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    ],
)
async def test_what_is_no_http_is_refused_and_nothing_is_logged_of_it(gateway: Gateway, sent: bytes) -> None:
    before = len(gateway.log)
    answer = await said(gateway, sent, end=True)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
    assert "Traceback" not in gateway.log[before:]
    assert '"level": "warning"' not in gateway.log[before:]


async def test_nothing_is_told_of_the_server_and_what_it_speaks_is_old_and_new(gateway: Gateway) -> None:
    old = (await said(gateway, b"GET /health/live HTTP/1.0\r\n\r\n")).lower()
    new = (await said(gateway, _READY + b"Connection: close\r\n\r\n")).lower()
    head = (await said(gateway, _READY.replace(b"GET", b"HEAD") + b"Connection: close\r\n\r\n")).lower()
    for answer in (old, new):
        assert b" 200 ok\r\n" in answer
        assert b"\r\nconnection: close\r\n" in answer
        assert b"server:" not in answer
        assert b"uvicorn" not in answer
        assert answer.count(b"content-length:") == 1
    assert head.endswith(b"\r\n\r\n")


async def test_who_asks_for_another_protocol_goes_on_with_this_one(gateway: Gateway) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    last = _READY + b"Connection: close\r\n\r\n"
    assert (await said(gateway, _READY + upgrade + b"\r\n" + last)).count(b"HTTP/1.1 200 ") == 2
    request = a_request("wamid.upgrade", more=upgrade.decode())
    assert (await said(gateway, request + request + last)).count(b"HTTP/1.1 200 ") == 3
    pieces = [request[place : place + 50] for place in range(0, len(request), 50)]
    assert (await said(gateway, *pieces, last)).count(b"HTTP/1.1 200 ") == 2
    chunked = request.replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nX-Length")
    head, body = chunked.split(b"\r\n\r\n")
    chunks = head + b"\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    assert (await said(gateway, chunks, last)).count(b"HTTP/1.1 200 ") == 2
    assert b" 40" in (await said(gateway, b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", end=True))
