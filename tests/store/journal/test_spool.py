"""The spool: on disk before it is acknowledged, oldest first, and nothing torn stops the rest."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from zaptrix.store.journal.spool import UNKNOWN, VOUCHED, Share, Spool, Spooled, SpoolFull


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


async def test_what_was_kept_is_read_by_the_next_process_in_the_order_it_came(tmp_path: Path, spool: Spool) -> None:
    for number in range(20):
        await spool.keep(b"body %d" % number, f"r-{number}")
    later = Spool(tmp_path / "spool")
    read = [later.read(path) for path in later.waiting()]
    assert read == [Spooled(body=b"body %d" % number, request_id=f"r-{number}") for number in range(20)]


async def test_an_event_is_on_disk_before_keep_returns(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def watched(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        os.fdatasync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    await spool.keep(b"body", "r-1")
    (kept,) = spool.waiting()
    # The file first, and then the folder that holds its name.
    assert synced == [kept.with_suffix(".part").name, kept.parent.name]


async def test_only_the_owner_can_read_what_people_wrote(spool: Spool) -> None:
    await spool.keep(b"body", "r-1")
    (kept,) = spool.waiting()
    assert kept.parent.stat().st_mode & 0o077 == 0


async def test_what_is_in_postgresql_is_dropped_and_dropping_twice_is_fine(spool: Spool) -> None:
    await spool.keep(b"body", "r-1")
    (kept,) = spool.waiting()
    spool.drop(kept)
    spool.drop(kept)
    assert spool.waiting() == []
    assert spool.read(kept) is None  # another process was faster


async def test_a_half_written_file_is_never_taken_for_an_event(tmp_path: Path, spool: Spool) -> None:
    (tmp_path / "spool" / "0001.part").write_bytes(b"half")
    assert spool.waiting() == []


async def test_a_torn_file_is_set_aside_for_a_person(tmp_path: Path, spool: Spool) -> None:
    await spool.keep(b"body", "r-1")
    (kept,) = spool.waiting()
    kept.write_bytes(kept.read_bytes()[:-3])
    with pytest.raises(ValueError, match="truncated"):
        spool.read(kept)
    spool.set_aside(kept)
    spool.set_aside(kept)  # another process did the same
    assert spool.waiting() == []
    assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".bad"]


@pytest.mark.parametrize("vouched", [True, False])
async def test_a_full_share_refuses_and_has_room_again_when_it_is_drained(tmp_path: Path, *, vouched: bool) -> None:
    small = Share(bytes_max=2_500, files_max=10)
    spool = Spool(tmp_path / "spool", vouched=small if vouched else VOUCHED, unknown=UNKNOWN if vouched else small)
    await asyncio.gather(*(spool.keep(b"x" * 1_000, f"r-{n}", vouched=vouched) for n in range(2)))
    with pytest.raises(SpoolFull):
        await spool.keep(b"x" * 1_000, "r-3", vouched=vouched)
    await spool.keep(b"x" * 1_000, "r-4", vouched=not vouched)  # the other share is not touched
    for path in spool.waiting():
        spool.drop(path)
    await spool.keep(b"x" * 1_000, "r-5", vouched=vouched)


async def test_files_are_counted_too_and_the_next_process_knows_what_is_there(tmp_path: Path) -> None:
    few = Share(bytes_max=1_000_000, files_max=20)
    spool = Spool(tmp_path / "spool", unknown=few)
    kept = await asyncio.gather(
        *(spool.keep(b"", "r", vouched=False) for _ in range(30)), return_exceptions=True
    )  # at once, so that none sees another's file
    assert [type(each) for each in kept if each] == [SpoolFull] * 10
    later = Spool(tmp_path / "spool", unknown=few)
    with pytest.raises(SpoolFull):
        await later.keep(b"", "r", vouched=False)
    await later.keep(b"", "r")


async def test_how_much_waits_is_not_counted_anew_for_each_event(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 20,000 files that took longer than writing the event."""
    for number in range(20):
        await spool.keep(b"body", f"r-{number}")

    def scanned(_folder: object) -> None:
        raise AssertionError("the folder was read")

    monkeypatch.setattr(os, "scandir", scanned)
    await spool.keep(b"body", "r-20")


async def test_what_is_held_is_in_nobodys_way_still_counts_and_comes_back_to_its_place(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", unknown=Share(bytes_max=1_000_000, files_max=2))
    await spool.keep(b"first", "r-1", vouched=False)
    await spool.keep(b"second", "r-2")
    first, second = spool.waiting()
    spool.hold(first)
    assert spool.waiting() == [second]
    await spool.keep(b"third", "r-3", vouched=False)
    with pytest.raises(SpoolFull):
        await spool.keep(b"fourth", "r-4", vouched=False)
    spool.drop(second)
    spool.unhold()
    assert [spooled.body for path in spool.waiting() if (spooled := spool.read(path))] == [b"first", b"third"]
    assert spool.waits()


async def test_the_files_of_an_older_version_are_read_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder)
    await spool.keep(b"x" * 1_000, "r-1")
    (kept,) = spool.waiting()
    kept.rename(folder / ("-".join(kept.stem.split("-")[:2]) + ".event"))
    later = Spool(folder, vouched=Share(bytes_max=1_500, files_max=10))
    assert [spooled.request_id for path in later.waiting() if (spooled := later.read(path))] == ["r-1"]
    with pytest.raises(SpoolFull):
        await later.keep(b"x" * 1_000, "r-2")


async def test_events_are_kept_while_others_are_replayed(spool: Spool) -> None:
    """The gateway that keeps counts what another one is just dropping."""
    stop = asyncio.Event()

    def drain() -> None:
        while not stop.is_set():
            for path in spool.waiting():
                spool.drop(path)

    draining = asyncio.create_task(asyncio.to_thread(drain))
    try:
        await asyncio.gather(*(spool.keep(b"body", f"r-{number}") for number in range(300)))
    finally:
        stop.set()
        await draining


async def test_a_clock_that_goes_back_changes_no_order(tmp_path: Path) -> None:
    hours = iter([12, 11, 13, 3])
    spool = Spool(tmp_path / "spool", lambda: datetime(2026, 1, 1, next(hours), tzinfo=UTC))
    for number in range(4):
        await spool.keep(b"%d" % number, "r")
    read = [spool.read(path) for path in spool.waiting()]
    assert [each.body for each in read if each] == [b"0", b"1", b"2", b"3"]
