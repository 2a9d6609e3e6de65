"""The blob store: files of any size, written and read in small parts, in a folder or in an object store.

A key is `<day>/<random>`, so that age is told by the key alone, and no key can be guessed from another.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import AsyncIterable, AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore

from zaptrix.core import limits
from zaptrix.core.installation.faults import Fault
from zaptrix.media.object_store import S3Access, StoreUnfit, fault_of, open_store

_KEY = re.compile(r"\d{4}-\d\d-\d\d/[0-9a-f]{32}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MARKS = "store"  # no day's, and so never forgotten


class BlobsAway(Exception):
    """The store cannot be written or read; the text names no secret."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.kind} ({fault.seen})")
        self.fault = fault


class NoSuchBlob(Exception):
    """Never written, or gone by age."""


class TooLarge(Exception):
    """More bytes came than may."""


class WrittenFile(msgspec.Struct, frozen=True):
    """A file that was written. `head` is its beginning, for telling its type."""

    key: str
    size: int
    sha256: str
    head: bytes


class Blobs:
    """Files by key. All of it streams: a file costs the memory of one block, whatever its size."""

    def __init__(self, url: str, folder: Path, s3: S3Access | None = None) -> None:
        """`url` as the library takes it (s3://bucket/prefix, gs://…, az://…, file:///…); empty: `folder`."""
        self._url = url
        self._s3 = s3 or S3Access()
        self._folder = folder
        self._opened: ObjectStore | None = None
        # What is held of each file that is being written; only stores elsewhere ask for so much.
        self._block = limits.MEDIA_BLOCK_BYTES if url else limits.MEDIA_PART_BYTES

    async def write(self, parts: AsyncIterable[bytes], *, day: date, bytes_max: int) -> WrittenFile:
        """Keep what `parts` yields. Nothing is left of a file that breaks off.

        Raises TooLarge, BlobsAway, and whatever `parts` raises.
        """
        key = f"{day.isoformat()}/{uuid4().hex}"
        copy = _Copy(parts, bytes_max)
        try:
            await obstore.put_async(self._store(), key, copy.parts(), chunk_size=self._block, max_concurrency=1)
        except (BaseError, OSError) as exc:
            if copy.broken:
                raise
            raise _away(exc) from exc
        return WrittenFile(key, copy.size, copy.sha256.hexdigest(), bytes(copy.head))

    async def put_back(self, key: str, parts: AsyncIterable[bytes]) -> None:
        """A file of a backup, under the key that it had. Raises BlobsAway, and whatever `parts` raises."""
        copy = _Copy(parts, limits.MEDIA_BYTES_MAX)
        try:
            await obstore.put_async(
                self._store(), _checked(key), copy.parts(), chunk_size=self._block, max_concurrency=1
            )
        except (BaseError, OSError) as exc:
            if copy.broken:
                raise
            raise _away(exc) from exc

    async def prove(self) -> None:
        """Do with one small object all that the work does: write, list, read and delete it. Raises BlobsAway.

        A folder is proved by its first file. Elsewhere a missing bucket would look like a missing file, and a key that
        may not write would be found with the first file that is lost to it.
        """
        if not self._url:
            return
        name = f"{_MARKS}/probe-{uuid4().hex}"
        try:
            async with asyncio.timeout(limits.MEDIA_STORE_PROVE_S):
                store = self._store()
                await obstore.put_async(store, name, b"zaptrix")
                await obstore.list_with_delimiter_async(store, _MARKS)
                await (await obstore.get_async(store, name)).bytes_async()
                await obstore.delete_async(store, name)
        except (BaseError, OSError) as exc:  # a time-out is an OSError
            raise _away(exc) from exc

    async def mark(self, name: str) -> None:
        """Leave a mark that every process finds that has the same store. Raises BlobsAway."""
        try:
            await obstore.put_async(self._store(), f"{_MARKS}/{name}", b"zaptrix")
        except (BaseError, OSError) as exc:
            raise _away(exc) from exc

    async def is_marked(self, name: str) -> bool:
        """Whether the mark is here. Makes no folder, for who looks may be another account. Raises BlobsAway."""
        try:
            if not self._url and not await asyncio.to_thread(self._folder.is_dir):
                return False
            await obstore.head_async(self._store(), f"{_MARKS}/{name}")
        except (NotFoundError, FileNotFoundError):
            return False
        except (BaseError, OSError) as exc:
            raise _away(exc) from exc
        return True

    async def size(self, key: str) -> int:
        """Raises NoSuchBlob, BlobsAway."""
        try:
            return (await obstore.head_async(self._store(), _checked(key)))["size"]
        except (NotFoundError, FileNotFoundError) as exc:
            raise NoSuchBlob(key) from exc
        except (BaseError, OSError) as exc:
            raise _away(exc) from exc

    async def read(self, key: str, bytes_max: int | None = None) -> AsyncIterator[bytes]:
        """The file in parts, from its beginning; no more than `bytes_max`. Raises NoSuchBlob, BlobsAway.

        No range is asked for: there are S3 servers that answer one as if it were the whole, and are not understood.
        """
        left = bytes_max
        try:
            found = await obstore.get_async(self._store(), _checked(key))
            async for part in found.stream(min_chunk_size=limits.MEDIA_PART_BYTES):
                yield bytes(part)[:left]
                left = None if left is None else left - len(part)
                if left is not None and left <= 0:
                    return
        except (NotFoundError, FileNotFoundError) as exc:
            raise NoSuchBlob(key) from exc
        except (BaseError, OSError) as exc:
            raise _away(exc) from exc

    async def at_hand(self, key: str) -> Path:
        """The file on a disk of ours, for who sends it from there: itself, or a copy. Raises NoSuchBlob, BlobsAway."""
        path = self._folder / _checked(key)
        if path.is_file():
            return path
        if not self._url:
            raise NoSuchBlob(key)
        near = path.with_name(f"{path.name}#{uuid4().hex}")
        try:
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            await _copy(self.read(key), near)
            near.replace(path)  # whole, or not there
        except OSError as exc:
            raise _away(exc) from exc
        finally:
            near.unlink(missing_ok=True)
        return path

    async def delete(self, keys: list[str]) -> None:
        """Those that are gone already do not matter. Raises BlobsAway."""
        for key in keys:
            try:
                await obstore.delete_async(self._store(), _checked(key))
            except (NotFoundError, FileNotFoundError):
                continue
            except (BaseError, OSError) as exc:
                raise _away(exc) from exc

    async def forget(self, now: datetime, keep: timedelta) -> int:
        """Delete what is older than `keep`, by whole days; how many files. Raises BlobsAway."""
        last = (now - keep).date()
        gone = 0
        if self._url:
            await asyncio.to_thread(_clear, self._folder, now.date())
        try:
            days = await obstore.list_with_delimiter_async(self._store())
            for prefix in days["common_prefixes"]:
                if not _DAY.fullmatch(prefix) or date.fromisoformat(prefix) >= last:
                    continue
                async for page in obstore.list(self._store(), prefix):
                    await self.delete([key for meta in page if _KEY.fullmatch(key := meta["path"])])
                    gone += len(page)
        except (BaseError, OSError) as exc:
            raise _away(exc) from exc
        return gone

    def _store(self) -> ObjectStore:
        """Opened when first used: a process that touches no file makes no folder."""
        if self._opened is None:
            if self._url:
                self._opened = self._elsewhere()
            else:
                self._opened = LocalStore(self._folder, mkdir=True, automatic_cleanup=True)
        return self._opened

    def _elsewhere(self) -> ObjectStore:
        try:
            return open_store(self._url, self._s3)
        except StoreUnfit as exc:
            raise BlobsAway(exc.fault) from exc


async def _copy(parts: AsyncIterator[bytes], target: Path) -> None:
    file = await asyncio.to_thread(target.open, "wb")
    try:
        async for part in parts:
            await asyncio.to_thread(file.write, part)
    finally:
        await asyncio.to_thread(file.close)


def _clear(folder: Path, before: date) -> None:
    """Copies of a store elsewhere are made again when they are wanted: none outlives its day and the next."""
    if not folder.is_dir():
        return
    old = [day for day in folder.iterdir() if _DAY.fullmatch(day.name) and day.name < before.isoformat()]
    for day in old:
        shutil.rmtree(day, ignore_errors=True)


class _Copy:
    """Looks at a file's bytes while they pass."""

    def __init__(self, parts: AsyncIterable[bytes], bytes_max: int) -> None:
        self._parts = parts
        self._bytes_max = bytes_max
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.head = bytearray()
        self.broken = False  # by the source, or by its size

    async def parts(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._parts:
                self.size += len(part)
                if self.size > self._bytes_max:
                    raise TooLarge(f"more than {self._bytes_max} bytes")
                self.sha256.update(part)
                if len(self.head) < limits.MEDIA_HEAD_BYTES:
                    self.head += part[: limits.MEDIA_HEAD_BYTES - len(self.head)]
                yield part
        except BaseException:
            self.broken = True
            raise


def _checked(key: str) -> str:
    """A key is ours by its form, so that no path leads out of the store."""
    if not _KEY.fullmatch(key):
        raise NoSuchBlob("not a key")
    return key


def _away(exc: Exception) -> BlobsAway:
    return BlobsAway(fault_of(exc))
