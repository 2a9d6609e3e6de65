"""One media store for all hosts: who keeps files elsewhere is refused at the start, in words."""

import asyncio
from pathlib import Path

import pytest

from zaptrix.bridge.files.shared_media import OtherStore, SharedMedia, media_fault
from zaptrix.core import limits
from zaptrix.core.installation.faults import Fault, FaultKind
from zaptrix.media.blobs import Blobs, BlobsAway
from zaptrix.store.connection.database import Database


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEDIA_STORE_IDLE_S", 1.0)
    monkeypatch.setattr(limits, "MEDIA_STORE_SEEN_S", 0.2)
    monkeypatch.setattr(limits, "MEDIA_STORE_LOOK_S", 0.05)


def a_process(database: Database, folder: Path, url: str = "") -> SharedMedia:
    return SharedMedia(database, Blobs(url, folder))


async def test_processes_that_share_a_folder_work_side_by_side(database: Database, tmp_path: Path) -> None:
    await a_process(database, tmp_path).join()
    await asyncio.gather(*(a_process(database, tmp_path).join() for _ in range(3)))
    await a_process(database, Path("/nowhere"), f"file://{tmp_path}").join()  # the same store under another name


async def test_a_process_that_keeps_files_elsewhere_is_refused_in_a_sentence(
    database: Database, tmp_path: Path
) -> None:
    first = a_process(database, tmp_path / "one")
    await first.join()
    working = asyncio.create_task(first.keep())
    with pytest.raises(OtherStore, match="MEDIA_URL"):
        await a_process(database, tmp_path / "two").join()
    working.cancel()


async def test_of_two_that_start_at_once_with_stores_of_their_own_one_works(database: Database, tmp_path: Path) -> None:
    async def works(name: str) -> bool:
        process = a_process(database, tmp_path / name)
        try:
            await process.join()
        except OtherStore:
            return False
        working.append(asyncio.create_task(process.keep()))
        return True

    working: list[asyncio.Task[None]] = []
    assert sorted(await asyncio.gather(*(works(name) for name in "abc"))) == [False, False, True]
    working[0].cancel()


async def test_who_only_looks_sees_another_store_and_leaves_all_as_it_is(database: Database, tmp_path: Path) -> None:
    own, other = Blobs("", tmp_path / "own"), tmp_path / "other"
    assert await media_fault(database, own) is None  # nobody has kept a file yet
    await SharedMedia(database, own).join()
    assert await media_fault(database, own) is None
    seen = await media_fault(database, Blobs("", other))
    assert seen is not None
    assert seen.kind is FaultKind.MEDIA_OTHER
    assert not other.exists()


async def test_a_store_that_nobody_uses_any_more_is_replaced(database: Database, tmp_path: Path) -> None:
    """The bucket was changed while all were stopped, or the folder was not restored with the database."""
    await a_process(database, tmp_path / "old").join()
    await a_process(database, tmp_path / "new").join()
    await a_process(database, tmp_path / "new").join()


async def test_a_store_that_is_away_keeps_nobody_from_starting(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_process(database, tmp_path).join()

    async def away(_self: Blobs, _name: str) -> bool:
        raise BlobsAway(Fault(FaultKind.MEDIA_AWAY, "GenericError"))

    with monkeypatch.context() as patched:
        patched.setattr(Blobs, "is_marked", away)
        late = a_process(database, tmp_path)
        await late.join()
        fault = await media_fault(database, Blobs("", tmp_path))
        assert fault is not None
        assert fault.kind is FaultKind.MEDIA_AWAY
    assert await late._joined()
