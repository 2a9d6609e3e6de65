"""The files' door: signed addresses on a real gateway."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.gateway import Gateway
from zaptrix.media.blobs import Blobs
from zaptrix.media.signed_links import Links
from zaptrix.web.doors.media import ByteRange, span_of

BYTES = bytes(range(256)) * 4_000  # about a megabyte


class Kept:
    """A file of a gateway, and how its address is made."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self.key = key
        self.links = Links("", gateway.settings.encryption_keys)

    def path(self, name: str = "foto.jpg", seconds: float = 60) -> str:
        return self.links.address(self.key, name, datetime.now(UTC) + timedelta(seconds=seconds))


@pytest.fixture
async def kept(gateway: Gateway) -> Kept:
    return await keep(gateway, BYTES)


async def keep(gateway: Gateway, content: bytes) -> Kept:
    async def parts() -> AsyncIterator[bytes]:
        yield content

    blobs = Blobs("", gateway.settings.data_dir / "media")
    return Kept(gateway, (await blobs.write(parts(), day=datetime.now(UTC).date(), bytes_max=2**30)).key)


async def test_whoever_has_the_address_gets_the_file(gateway: Gateway, kept: Kept) -> None:
    reply = await gateway.call("GET", kept.path("Orçamento nº 1.pdf"), key=None)
    assert (reply.status, reply.body) == (200, BYTES)
    assert reply.headers["Content-Length"] == str(len(BYTES))
    assert reply.headers["Content-Type"] == "application/pdf"
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in reply.headers["Content-Security-Policy"]
    assert reply.headers["Content-Disposition"] == (
        "inline; filename=\"Or_amento n_ 1.pdf\"; filename*=UTF-8''Or%C3%A7amento%20n%C2%BA%201.pdf"
    )


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("foto.jpg", "image/jpeg", True),
        ("voz.ogg", "audio/ogg", True),
        ("filme.mp4", "video/mp4", True),
        ("nota.txt", "text/plain; charset=utf-8", True),
        ("pagina.html", "application/octet-stream", False),
        ("desenho.svg", "application/octet-stream", False),
        ("programa.exe", "application/octet-stream", False),
        ("dados.zip", "application/zip", False),
    ],
)
async def test_a_file_is_what_its_ending_says_and_no_page_of_ours(
    gateway: Gateway, kept: Kept, name: str, kind: str, *, shown: bool
) -> None:
    reply = await gateway.call("HEAD", kept.path(name), key=None)
    assert reply.headers["Content-Type"] == kind
    assert reply.headers["Content-Disposition"].startswith("inline" if shown else "attachment")


async def test_head_tells_the_size_and_gives_nothing(gateway: Gateway, kept: Kept) -> None:
    reply = await gateway.call("HEAD", kept.path(), key=None)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Content-Length"] == str(len(BYTES))


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=1000-", 1000, len(BYTES)), ("bytes=-5", len(BYTES) - 5, len(BYTES))],
)
async def test_a_part_of_the_file_is_given_when_asked_for(
    gateway: Gateway, kept: Kept, wanted: str, start: int, end: int
) -> None:
    reply = await gateway.call("GET", kept.path(), key=None, headers={"Range": wanted})
    assert (reply.status, reply.body) == (206, BYTES[start:end])
    assert reply.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(BYTES)}"


async def test_a_part_that_is_not_there_is_refused_with_the_size(gateway: Gateway, kept: Kept) -> None:
    reply = await gateway.call("GET", kept.path(), key=None, headers={"Range": f"bytes={len(BYTES)}-"})
    assert (reply.status, reply.headers["Content-Range"]) == (416, f"bytes */{len(BYTES)}")


async def test_a_part_of_another_file_is_not_mixed_with_this_one(gateway: Gateway, kept: Kept) -> None:
    asked = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert (await gateway.call("GET", kept.path(), key=None, headers=asked)).status == 200


async def test_an_empty_file_is_given(gateway: Gateway) -> None:
    kept = await keep(gateway, b"")
    reply = await gateway.call("GET", kept.path("vazio.txt"), key=None)
    assert (reply.status, reply.body) == (200, b"")


async def test_an_address_ends_with_its_time(gateway: Gateway, kept: Kept) -> None:
    reply = await gateway.call("GET", kept.path(seconds=-2), key=None)
    assert reply.status == 404
    assert kept.key not in reply.problem["instance"]


async def test_an_address_that_was_changed_leads_nowhere(gateway: Gateway, kept: Kept) -> None:
    path = kept.path("foto.jpg")
    end = path.split("/")[2].partition("-")[0]
    other = await keep(gateway, b"another's")
    changed = [
        path.replace("foto.jpg", "foto.html"),
        path.replace(end, str(int(end) + 60)),
        path.replace(kept.key, other.key),
        path.replace(kept.key, "2026-11-24/../../../encryption_key"),
        path[: len("/media/")] + "x" + path[len("/media/") + 1 :],
        "/media/",
        "/media/..%2f..%2fencryption_key",
        "/media/%00",
    ]
    assert [(await gateway.call("GET", each, key=None)).status for each in changed] == [404] * len(changed)


async def test_an_address_signed_with_another_key_leads_nowhere(gateway: Gateway, kept: Kept) -> None:
    forged = Links("", ["not-a-key-of-ours"]).address(kept.key, "foto.jpg", datetime.now(UTC) + timedelta(seconds=60))
    assert (await gateway.call("GET", forged, key=None)).status == 404


async def test_a_file_that_is_gone_is_told_so(gateway: Gateway, kept: Kept) -> None:
    await Blobs("", gateway.settings.data_dir / "media").delete([kept.key])
    assert (await gateway.call("GET", kept.path(), key=None)).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_a_file_is_only_read(gateway: Gateway, kept: Kept, method: str) -> None:
    reply = await gateway.call(method, kept.path(), key=None)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")


async def test_no_signature_stands_in_the_log(gateway: Gateway, kept: Kept) -> None:
    path = kept.path()
    await gateway.call("GET", path, key=None)
    assert path.split("/")[2] not in gateway.log


def _resident_kib(gateway: Gateway) -> int:
    assert gateway.process is not None
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    sizes = [Path(f"/proc/{child}/status").read_text() for child in children]
    return max(int(text.partition("VmRSS:")[2].split()[0]) for text in sizes)


async def test_a_large_file_and_a_reader_who_does_not_read_cost_little_memory(gateway: Gateway) -> None:
    kept = await keep(gateway, bytes(1024 * 1024) * 100)
    await gateway.call("GET", kept.path("aquece.bin"), key=None, headers={"Range": "bytes=0-9999999"})
    before = _resident_kib(gateway)
    request = f"GET {kept.path('grande.pdf')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    readers = []
    for _ in range(4):
        reader = socket.create_connection(("127.0.0.1", gateway.settings.port))
        reader.sendall(request)
        readers.append(reader)
    reply = await gateway.call("GET", kept.path("grande.pdf"), key=None)
    assert len(reply.body) == 100 * 1024 * 1024
    grown = await asyncio.to_thread(_resident_kib, gateway) - before
    for reader in readers:
        reader.close()
    assert grown < 32 * 1024


@given(st.text(alphabet="bytes=-0123456789, ", max_size=20), st.integers(0, 1_000))
def test_any_range_is_inside_the_file(wanted: str, size: int) -> None:
    span = span_of(wanted, size)
    assert span is None or 0 <= span.start <= span.end <= size


def test_a_range_that_makes_no_sense_means_the_whole_file() -> None:
    assert span_of("bytes=5-2", 10) == span_of("lines=1-2", 10) == span_of(None, 10) == ByteRange(0, 10)
    assert span_of("bytes=0-1,4-5", 10) == ByteRange(0, 10)
    assert span_of("bytes=-0", 10) is None


@given(st.text(min_size=1, max_size=60).filter(lambda name: "/" not in name and "%" not in name))
def test_an_address_opens_whatever_the_files_name_and_however_a_server_unescapes_it(name: str) -> None:
    links, key = Links("https://gateway.example.com", ["new", "old"]), "2026-11-24/" + "a" * 32
    now = datetime(2026, 11, 24, tzinfo=UTC)
    if any("\ud800" <= sign <= "\udfff" for sign in name):
        return  # no name of ours holds half a sign
    address = links.address(key, name, now + timedelta(seconds=9))
    opened = links.opened(address.removeprefix("https://gateway.example.com"), now)
    assert opened is not None
    assert (opened.key, opened.name) == (key, name)
    assert Links("https://gateway.example.com", ["newest", "new"]).opened(address.split(".com")[1], now) == opened
