"""Fetching: real servers, good ones and bad ones."""

from __future__ import annotations

import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from aiohttp import ThreadedResolver, web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.bent_answers import ANSWERS, Bending, head
from tests.media.hosts import LOOPBACK, dripping, endless, giving, hosting, redirecting, silent
from zaptrix.core.delivery.errors import PlatformError, Refused, TooFast, Unavailable
from zaptrix.media.blobs import Blobs
from zaptrix.media.fetch import Allowed, Fetcher, ServerOrigin
from zaptrix.media.reach import CheckedResolver, ForbiddenAddress, may_reach

SECRET = {"Authorization": "Bearer never-to-a-stranger"}


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(private=LOOPBACK, timeout_s=5.0)
    yield fetcher
    await fetcher.close()


@pytest.fixture
async def strict() -> AsyncIterator[Fetcher]:
    """One that may reach public addresses only."""
    fetcher = Fetcher(timeout_s=5.0)
    yield fetcher
    await fetcher.close()


def files(folder: Path) -> list[Path]:
    """What was kept; a part of what broke off may still wait for its removal."""
    return [path for path in folder.rglob("*") if path.is_file() and "#" not in path.name]


async def fetch(fetcher: Fetcher, url: str, allowed: Allowed, bytes_max: int = 1_000_000) -> bytes:
    async with fetcher.open(url, allowed, bytes_max=bytes_max, headers=SECRET) as arriving:
        return b"".join([part async for part in arriving.parts])


async def test_a_file_comes_with_what_the_server_says_of_it(fetcher: Fetcher) -> None:
    async with (
        hosting(giving(b"bytes", **{"Content-Type": "image/png"})) as host,
        fetcher.open(f"{host.url}/a#img.png", host.allowed, bytes_max=5, headers=SECRET) as arriving,
    ):
        assert arriving.type == "image/png"
        assert b"".join([part async for part in arriving.parts]) == b"bytes"
        assert host.asked[0].headers["Authorization"] == SECRET["Authorization"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://0x7f000001:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://0.0.0.0:{port}/",
        "http://localhost:{port}/",
        "http://LOCALHOST:{port}/",
    ],
)
async def test_an_address_of_our_own_host_is_refused_even_where_its_name_is_allowed(strict: Fetcher, url: str) -> None:
    async with hosting(giving(b"our secret")) as host:
        address = url.format(port=ServerOrigin.of(host.url).port)
        with pytest.raises(Refused) as refused:
            await fetch(strict, address, Allowed(origins=(ServerOrigin.of(address),)))
        assert refused.value.code == "forbidden_address"
        assert "127" not in str(refused.value)
        assert host.asked == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0177.0.0.1", "localhost."])
async def test_an_odd_way_to_write_our_own_host_leads_nowhere(strict: Fetcher, host: str) -> None:
    async with hosting(giving(b"our secret")) as ours:
        address = f"http://{host}:{ServerOrigin.of(ours.url).port}/"
        with pytest.raises(PlatformError):
            await fetch(strict, address, Allowed(origins=(ServerOrigin.of(address),)))
        assert ours.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://localhost/",
        "https://example.org.evil.test/",
        "https://evilexample.org/",
        "http://files.example.org/",
        "https://files.example.org:8443/",
        "https://user:password@files.example.org/",
        "file:///etc/passwd",
        "ftp://files.example.org/",
        "//files.example.org/",
        "https://",
        "https://files.example.org:port/",
        "",
    ],
)
async def test_an_address_outside_of_the_allowed_domain_is_refused(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(Refused) as refused:
        await fetch(fetcher, url, Allowed(domains=("example.org",)))
    assert refused.value.notice == "file_address"


async def test_a_name_below_an_allowed_domain_that_leads_to_our_host_is_refused(fetcher: Fetcher) -> None:
    # `localhost` is looked up for real; the private network is open to named servers only.
    with pytest.raises(Refused) as refused:
        await fetch(fetcher, "https://localhost/", Allowed(domains=("localhost",)))
    assert refused.value.code == "forbidden_address"


async def test_a_redirect_to_a_server_that_was_not_named_is_refused_and_tells_it_nothing(fetcher: Fetcher) -> None:
    async with hosting(giving(b"our secret")) as inner, hosting(redirecting(inner.url)) as outer:
        with pytest.raises(Refused) as refused:
            await fetch(fetcher, outer.url, outer.allowed)
        assert refused.value.code == "forbidden_address"
        assert (len(outer.asked), inner.asked) == (1, [])


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/", "https://10.1.2.3/", "file:///etc/passwd", "gopher://x/", "", "http://["]
)
async def test_a_redirect_that_leads_astray_is_refused(fetcher: Fetcher, location: str) -> None:
    async with hosting(redirecting(location)) as host:
        with pytest.raises(Refused):
            await fetch(fetcher, host.url, host.allowed)


async def test_a_redirect_to_another_allowed_server_is_followed_without_the_secret(fetcher: Fetcher) -> None:
    async with hosting(giving(b"bytes")) as inner, hosting(redirecting(inner.url)) as outer:
        allowed = Allowed(origins=(*outer.allowed.origins, *inner.allowed.origins))
        assert await fetch(fetcher, outer.url, allowed) == b"bytes"
        assert "Authorization" in outer.asked[0].headers
        assert "Authorization" not in inner.asked[0].headers


async def test_a_redirect_on_the_same_server_is_followed_with_the_secret(fetcher: Fetcher) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/short":
            return web.Response(status=301, headers={"Location": "/whole"})
        return web.Response(body=b"bytes")

    async with hosting(handler) as host:
        assert await fetch(fetcher, f"{host.url}/short", host.allowed) == b"bytes"
        assert "Authorization" in host.asked[1].headers


async def test_redirects_in_a_circle_end(fetcher: Fetcher) -> None:
    async with hosting(redirecting("/")) as host:
        with pytest.raises(Refused) as refused:
            await fetch(fetcher, host.url, host.allowed)
        assert refused.value.code == "too_many_redirects"
        assert len(host.asked) == 4


async def test_a_file_that_says_it_is_too_large_is_refused_before_its_bytes(fetcher: Fetcher) -> None:
    async with hosting(giving(b"x" * 101)) as host:
        with pytest.raises(Refused) as refused:
            await fetch(fetcher, host.url, host.allowed, bytes_max=100)
        assert refused.value.code == "file_too_large"


async def test_an_endless_body_is_cut_off_and_leaves_nothing_behind(fetcher: Fetcher, tmp_path: Path) -> None:
    blobs = Blobs("", tmp_path)
    async with hosting(endless) as host:
        with pytest.raises(Refused) as refused:
            async with fetcher.open(host.url, host.allowed, bytes_max=20_000_000) as arriving:
                await blobs.write(arriving.parts, day=date(2026, 11, 24), bytes_max=2**30)
        assert refused.value.code == "file_too_large"
    assert files(tmp_path) == []


@pytest.mark.parametrize(("slow", "code"), [(dripping, "file_slow"), (silent, "file_timeout")])
async def test_a_slow_body_is_given_up_and_leaves_nothing_behind(slow: object, code: str, tmp_path: Path) -> None:
    fetcher = Fetcher(private=LOOPBACK, timeout_s=0.3)
    blobs = Blobs("", tmp_path)
    async with hosting(slow) as host:  # type: ignore[arg-type]  # a handler
        with pytest.raises(Unavailable) as error:
            async with fetcher.open(host.url, host.allowed, bytes_max=1_000) as arriving:
                await blobs.write(arriving.parts, day=date(2026, 11, 24), bytes_max=1_000)
        assert error.value.code == code
    await fetcher.close()
    assert files(tmp_path) == []


async def test_bytes_that_unpack_to_more_are_not_unpacked(fetcher: Fetcher) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    async with hosting(giving(bomb, **{"Content-Encoding": "gzip"})) as host:
        with pytest.raises(Unavailable) as error:
            await fetch(fetcher, host.url, host.allowed)
        assert error.value.code == "file_encoded"
        assert host.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (404, Unavailable, "gone"),
        (401, Unavailable, "gone"),
        (429, TooFast, "http_429"),
        (500, Unavailable, "file_http_500"),
        (206, Unavailable, "file_http_206"),
    ],
)
async def test_an_answer_without_a_file_is_told_by_its_status(
    fetcher: Fetcher, status: int, error: type[PlatformError], code: str
) -> None:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=b"<html>no file</html>")

    async with hosting(handler) as host:
        with pytest.raises(error) as raised:
            await fetch(fetcher, host.url, host.allowed)
        assert raised.value.code == code


async def test_a_connection_that_breaks_off_is_worth_another_try(fetcher: Fetcher) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x" * 10)
        assert request.transport is not None
        request.transport.abort()
        return response

    async with hosting(handler) as host:
        with pytest.raises(Unavailable):
            await fetch(fetcher, host.url, host.allowed)


async def test_a_server_that_is_away_is_worth_another_try(fetcher: Fetcher) -> None:
    async with hosting(giving(b"")) as host:
        gone = host
    with pytest.raises(Unavailable):
        await fetch(fetcher, gone.url, gone.allowed)


PUBLIC = (
    *("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "177.71.128.21", "9.255.255.255", "11.0.0.0"),
    *("172.15.255.255", "172.32.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "100.128.0.0"),
    *("2a03:2880::1", "2001:200::1", "2800:3f0::1", "3ffe::1", "64:ff9b::808:808", "::ffff:8.8.8.8"),
)
NOT_PUBLIC = (
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),  # noqa: S104  # judged, not bound
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1"),
    *("fec0::1", "feff:ffff::1", "192.0.0.1", "192.0.0.170", "192.88.99.1", "3fff::1", "3fff:fff::1", "5f00::1"),
    *("198.19.255.255", "198.51.100.7", "203.0.113.7", "100.127.255.255", "0.255.0.1", "192.31.196.1", "192.175.48.1"),
    *("192.52.193.1", "64:ff9b:1::808:808", "64:ff9b::c0a8:101", "64:ff9b::a9fe:a9fe", "2002:808:808::", "100::1"),
    *("2001::7f00:1", "2001:0:808:808::1", "2001:2::1", "2001:10::1", "2001:20::1", "2620:4f:8000::1", "::7f00:1"),
    *("::ffff:0:7f00:1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "4000::1", "e000::1", "ff0e::1", "febf::1"),
    *("", "example.org", "127.1", "1.2.3", "0x7f000001", "2130706433", "017700000001", "::1%lo", "[::1]"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert may_reach(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_address_may_be_reached(address: str) -> None:
    assert not may_reach(address)


class Told(AbstractResolver):
    """A name server that says what it was told to, something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = iter(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in next(self._answers)
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_name_that_leads_to_such_an_address_is_refused_whatever_else_it_leads_to(address: str) -> None:
    with pytest.raises(ForbiddenAddress):
        await CheckedResolver(inner=Told([PUBLIC[0], address])).resolve("files.example.org", 443)


async def test_a_name_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(ForbiddenAddress):
        await CheckedResolver(inner=Told([])).resolve("files.example.org", 443)


class Breaking(Told):
    """A name server, or the library before it, that breaks on what it is asked."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def resolve(self, *_asked: object) -> list[ResolveResult]:
        raise self._error


@pytest.mark.parametrize("error", [UnicodeError("label too long"), ValueError("embedded null byte"), IndexError()])
async def test_what_a_resolver_breaks_on_is_the_name_of_no_host(error: Exception) -> None:
    with pytest.raises(ForbiddenAddress):
        await CheckedResolver(inner=Breaking(error)).resolve("files.example.org", 443)


@pytest.mark.parametrize(
    "link",
    [
        f"https://{'a' * 300}.com/",
        f"https://{'a' * 64}.com/",
        f"https://{'.'.join(['a' * 60] * 5)}/",
        "https://a..b.com/",
        "https://.com/",
        "https://./",
        "https://a\0b.com/",
        "https://a%00b.com/",
        "https://xn--a.com/\0",
        "https://\ud800.com/",
        "https://xn--.com/",
        "https://-a-.com/",
        "https://ａ．b/",
        "https://[::1/",
        "https://[v1.x]/",
        "https://[fe80::1%25eth0]/",
        "https://a b.com/",
        "https://a\r\nX-Evil: 1/",
        "https://a.com:65536/",
        "https://a.com:-1/",
        "https://a.com:٣/",
        "https://💥💥.com:443/",
        "https://\u200b/",
        "https://a.com\\@b.com/",
        "https:///x",
        "https:x",
        "http://%/",
        "\0",
        "https://" + "a." * 5_000 + "com/",
        "https://127.0.0.1:443/" + "x" * 100_000,
    ],
)
async def test_a_link_of_any_sort_ends_in_an_error_of_ours(
    fetcher: Fetcher, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name server is asked: what gets so far ends there."""
    monkeypatch.setattr(ThreadedResolver, "resolve", Breaking(socket.gaierror("no such name")).resolve)
    for allowed in (Allowed(anywhere=True), Allowed(domains=("com",))):
        with pytest.raises(PlatformError):
            await fetch(fetcher, link, allowed)
    async with Bending().running() as server:
        server.always(head(302, f"Location: {link}", length=0))
        with pytest.raises(PlatformError):
            await fetch(fetcher, server.url, Allowed(origins=(ServerOrigin.of(server.url),), anywhere=True))


@pytest.mark.parametrize("odd", ANSWERS)
async def test_a_host_that_answers_anything_ends_in_a_file_or_an_error_of_ours(odd: str) -> None:
    fetcher = Fetcher(private=LOOPBACK, timeout_s=4.0)
    async with Bending().running() as server:
        server.always(ANSWERS[odd])
        with suppress(PlatformError):
            await fetch(fetcher, server.url, Allowed(origins=(ServerOrigin.of(server.url),)))
    await fetcher.close()


async def test_what_was_judged_is_what_is_connected_to() -> None:
    """A name that is public when it is judged and private when it is used: it is looked up once only."""
    resolver = CheckedResolver(LOOPBACK, Told(["127.0.0.1"], ["10.0.0.1"]))
    found = await resolver.resolve("rebound.example.org", 80)
    assert [each["host"] for each in found] == ["127.0.0.1"]
    with pytest.raises(ForbiddenAddress):
        await resolver.resolve("rebound.example.org", 80)
