"""Files in an S3: on a real server, with right and with wrong settings."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.certificates import Authority
from tests.media.s3_server import KEY_ID, SECRET, S3Server, running_s3
from tests.media.test_blobs import PART, many, parts, whole
from zaptrix.core import limits
from zaptrix.core.installation.faults import FaultKind
from zaptrix.media.blobs import Blobs, BlobsAway, NoSuchBlob, TooLarge
from zaptrix.media.object_store import S3Access

TODAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3") / "store") as server:
        yield server


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[S3Server]:
    """The same behind TLS, by an authority that nobody else knows."""
    folder = tmp_path_factory.mktemp("tls")
    with running_s3(folder / "store", authority.server(folder / "server.pem", "127.0.0.1")) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks a machine of Amazon's for a role: nothing but this machine is ever called."""
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")


def access(server: S3Server, **other: str) -> S3Access:
    given = S3Access(key_id=KEY_ID, secret=SECRET, region="us-east-1", endpoint=server.endpoint)
    return msgspec.structs.replace(given, **other)


def blobs_in(server: S3Server, folder: Path, url: str = "s3://media/files", **other: str) -> Blobs:
    return Blobs(url, folder, access(server, **other))


async def test_what_one_host_wrote_another_one_reads(s3: S3Server, tmp_path: Path) -> None:
    ours, theirs = blobs_in(s3, tmp_path / "ours"), blobs_in(s3, tmp_path / "theirs")
    await ours.prove()
    written = await ours.write(parts(b"ol", b"\xc3\xa1"), day=TODAY, bytes_max=10)
    assert await theirs.size(written.key) == 4
    assert await whole(theirs, written.key) == "olá".encode()
    assert await whole(theirs, written.key, 2) == b"ol"
    assert (await theirs.at_hand(written.key)).read_bytes() == "olá".encode()
    await ours.mark("there")
    assert await theirs.is_marked("there")
    assert not await theirs.is_marked("elsewhere")
    await theirs.delete([written.key])
    await theirs.delete([written.key])  # which is gone already
    with pytest.raises(NoSuchBlob):
        await ours.size(written.key)


async def test_a_file_of_several_parts_is_there_whole_or_not_at_all(s3: S3Server, tmp_path: Path) -> None:
    blobs = blobs_in(s3, tmp_path)
    written = await blobs.write(many(180), day=TODAY, bytes_max=2**30)  # 11 MiB: three parts
    assert written.size == await blobs.size(written.key) == 180 * len(PART)
    assert await whole(blobs, written.key) == PART * 180
    assert await whole(blobs, written.key, 70_000) == (PART * 2)[:70_000]
    with pytest.raises(TooLarge):
        await blobs.write(many(180), day=TODAY - timedelta(days=3), bytes_max=100 * len(PART))
    assert await blobs.forget(NOON + timedelta(days=30), timedelta(days=1)) == 1


@pytest.mark.parametrize(
    ("url", "wrong", "kind"),
    [
        ("s3://nowhere/files", {}, FaultKind.MEDIA_BUCKET),
        ("s3://media/files", {"key_id": "AKIDSOMEBODY"}, FaultKind.MEDIA_LOGIN),
        ("s3://media/files", {"secret": "not-it"}, FaultKind.MEDIA_LOGIN),
        ("s3://media/files", {"key_id": "", "secret": ""}, FaultKind.MEDIA_KEYLESS),
        ("s3://media/files", {"endpoint": "http://127.0.0.1:9"}, FaultKind.MEDIA_AWAY),
        ("s3://media/files", {"ca_file": "/nowhere/ca.pem"}, FaultKind.MEDIA_CA_FILE),
        ("s3://media/files", {"ca_file": "/etc/passwd"}, FaultKind.MEDIA_CA_FILE),
    ],
)
async def test_what_is_wrong_with_a_store_is_told_by_its_kind(
    s3: S3Server, tmp_path: Path, url: str, wrong: dict[str, str], kind: FaultKind
) -> None:
    with pytest.raises(BlobsAway) as told:
        await blobs_in(s3, tmp_path, url, **wrong).prove()
    assert told.value.fault.kind is kind
    assert SECRET not in str(told.value)


async def test_tls_wants_an_authority_that_is_known_and_the_right_scheme(
    secured: S3Server, s3: S3Server, authority: Authority, tmp_path: Path
) -> None:
    known = str(authority.write(tmp_path / "ca.pem"))
    other = str(Authority().write(tmp_path / "other.pem"))
    await blobs_in(secured, tmp_path, ca_file=known).prove()
    for blobs in (
        blobs_in(secured, tmp_path),
        blobs_in(secured, tmp_path, ca_file=other),
        blobs_in(secured, tmp_path, ca_file=known, endpoint=secured.endpoint.replace("127.0.0.1", "localhost")),
        blobs_in(s3, tmp_path, endpoint=s3.endpoint.replace("http:", "https:")),
    ):
        with pytest.raises(BlobsAway) as told:
            await blobs.prove()
        assert told.value.fault.kind is FaultKind.MEDIA_TLS, told.value.__cause__


# What this server never says, as Amazon's documents it.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("403 Forbidden", "AccessDenied", FaultKind.MEDIA_RIGHTS),
        ("403 Forbidden", "RequestTimeTooSkewed", FaultKind.MEDIA_CLOCK),
        ("403 Forbidden", "ExpiredToken", FaultKind.MEDIA_LOGIN),
        ("400 Bad Request", "AuthorizationHeaderMalformed", FaultKind.MEDIA_REGION),
        ("301 Moved Permanently", "PermanentRedirect", FaultKind.MEDIA_REGION),
        ("403 Forbidden", "", FaultKind.MEDIA_RIGHTS),  # by a proxy, say
        ("507 Insufficient Storage", "XMinioStorageFull", FaultKind.MEDIA_AWAY),
    ],
)
async def test_what_a_store_answers_is_told_by_its_kind(
    s3: S3Server, tmp_path: Path, status: str, code: str, kind: FaultKind
) -> None:
    body = f"<Error><Code>{code}</Code><Message>AKIDEXAMPLE may not</Message></Error>" if code else "<html>no</html>"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BlobsAway) as told:
            await blobs_in(s3, tmp_path, endpoint=f"http://127.0.0.1:{port}").prove()
    assert told.value.fault.kind is kind
    assert "may not" not in str(told.value)


async def test_a_store_that_does_not_answer_is_away_in_time(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MEDIA_STORE_PROVE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:  # and nobody takes the call
        port = listening.getsockname()[1]
        with pytest.raises(BlobsAway) as told:
            await blobs_in(s3, tmp_path, endpoint=f"http://127.0.0.1:{port}").prove()
    assert told.value.fault.kind is FaultKind.MEDIA_AWAY


async def test_a_store_that_was_away_is_used_again_by_the_same_process(tmp_path: Path) -> None:
    with running_s3(tmp_path / "store") as server:
        blobs = blobs_in(server, tmp_path / "copies")
        written = await blobs.write(parts(b"x"), day=TODAY, bytes_max=10)
        server.stop()
        with pytest.raises(BlobsAway):
            await blobs.size(written.key)
        with pytest.raises(BlobsAway):
            await blobs.write(parts(b"y"), day=TODAY, bytes_max=10)
        server.start()
        assert await whole(blobs, written.key) == b"x"
