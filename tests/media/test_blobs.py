"""The blob store: on a real folder."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from zaptrix.media.blobs import Blobs, BlobsAway, NoSuchBlob, TooLarge

TODAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PART = bytes(range(256)) * 256  # 64 KiB


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs("", tmp_path / "media")


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    for part in given:
        yield part


async def many(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PART


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def whole(blobs: Blobs, key: str, bytes_max: int | None = None) -> bytes:
    return b"".join([part async for part in blobs.read(key, bytes_max)])


async def test_what_is_written_is_read_again_with_its_size_and_hash(blobs: Blobs) -> None:
    written = await blobs.write(parts(b"ol", b"\xc3\xa1"), day=TODAY, bytes_max=10)
    assert written.key.startswith("2026-11-24/")
    assert (written.size, written.head) == (4, "olá".encode())
    assert written.sha256 == hashlib.sha256("olá".encode()).hexdigest()
    assert await whole(blobs, written.key) == "olá".encode()
    assert await blobs.size(written.key) == 4


async def test_an_empty_file_is_a_file(blobs: Blobs) -> None:
    written = await blobs.write(parts(), day=TODAY, bytes_max=10)
    assert written.size == 0
    assert await whole(blobs, written.key) == b""


async def test_the_beginning_is_read_alone(blobs: Blobs) -> None:
    written = await blobs.write(parts(b"0123456789"), day=TODAY, bytes_max=10)
    assert [await whole(blobs, written.key, size) for size in (1, 4, 10, 11)] == [
        b"0", b"0123", b"0123456789", b"0123456789",
    ]  # fmt: skip


async def test_a_file_that_is_too_large_leaves_nothing_behind(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        await blobs.write(many(200), day=TODAY, bytes_max=100 * len(PART))
    assert files(tmp_path) == []


async def test_a_source_that_breaks_off_raises_its_own_error_and_leaves_nothing_behind(
    blobs: Blobs, tmp_path: Path
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield PART
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await blobs.write(broken(), day=TODAY, bytes_max=2**30)
    assert files(tmp_path) == []


async def test_a_write_that_is_given_up_leaves_no_file_under_a_key(blobs: Blobs, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield PART
            begun.set()
            await asyncio.sleep(0)

    task = asyncio.create_task(blobs.write(endless(), day=TODAY, bytes_max=2**40))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await blobs.forget(NOON + timedelta(days=30), timedelta(days=1)) == 0


async def test_a_hundred_megabytes_cost_the_memory_of_a_block(blobs: Blobs) -> None:
    await blobs.write(many(1), day=TODAY, bytes_max=2**30)  # what the first use costs, it costs once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    written = await blobs.write(many(1600), day=TODAY, bytes_max=100 * 2**20)
    size = 0
    async for part in blobs.read(written.key):
        size += len(part)
    assert size == written.size == 100 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 24 * 1024


@pytest.mark.parametrize("key", ["2026-11-24/" + "0" * 32, "../../etc/passwd", "", "2026-11-24/../x"])
async def test_what_is_no_key_of_a_file_is_no_file(blobs: Blobs, key: str) -> None:
    with pytest.raises(NoSuchBlob):
        await whole(blobs, key)
    with pytest.raises(NoSuchBlob):
        await blobs.size(key)


async def test_files_go_by_age_and_others_stay(blobs: Blobs, tmp_path: Path) -> None:
    old = await blobs.write(parts(b"old"), day=TODAY - timedelta(days=9), bytes_max=10)
    young = await blobs.write(parts(b"young"), day=TODAY - timedelta(days=7), bytes_max=10)
    (tmp_path / "media" / "note.txt").write_text("not ours")
    assert await blobs.forget(NOON, timedelta(days=8)) == 1
    with pytest.raises(NoSuchBlob):
        await whole(blobs, old.key)
    assert await whole(blobs, young.key) == b"young"
    assert (tmp_path / "media" / "note.txt").exists()


async def test_a_store_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    with pytest.raises(BlobsAway):
        await Blobs("", tmp_path / "media").write(parts(b"x"), day=TODAY, bytes_max=10)


async def test_another_store_is_named_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    blobs = Blobs(f"file://{tmp_path}/elsewhere", tmp_path / "unused")
    written = await blobs.write(parts(b"x"), day=TODAY, bytes_max=10)
    assert await whole(blobs, written.key) == b"x"
    assert not (tmp_path / "unused").exists()


async def test_a_file_of_another_store_is_copied_when_it_is_wanted_on_our_disk(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    blobs = Blobs(f"file://{tmp_path}/elsewhere", tmp_path / "copies")
    written = await blobs.write(parts(b"x"), day=TODAY, bytes_max=10)
    found = [await blobs.at_hand(written.key), await blobs.at_hand(written.key)]
    assert [path.read_bytes() for path in found] == [b"x", b"x"]
    assert files(tmp_path / "copies") == [found[0]]
    await blobs.forget(NOON + timedelta(days=1), timedelta(days=30))
    assert files(tmp_path / "copies") == []
    assert await whole(blobs, written.key) == b"x"
    with pytest.raises(NoSuchBlob):
        await blobs.at_hand("2026-11-24/" + "0" * 32)


async def test_a_file_of_our_own_folder_is_at_hand_itself(blobs: Blobs, tmp_path: Path) -> None:
    written = await blobs.write(parts(b"x"), day=TODAY, bytes_max=10)
    assert await blobs.at_hand(written.key) == tmp_path / "media" / written.key
    with pytest.raises(NoSuchBlob):
        await blobs.at_hand("2026-11-24/" + "0" * 32)
