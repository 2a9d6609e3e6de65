"""Storage of backups: archives in a folder, or in an object store.

An archive is a set of objects under its name. It is written beside its place and renamed when it is whole; an object
store cannot rename, so there the manifest, which is written last, is what makes it whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore

from zaptrix.core import limits
from zaptrix.core.installation.backup import ArchiveObject
from zaptrix.core.installation.faults import FaultKind
from zaptrix.core.portal import Locale
from zaptrix.media.object_store import S3Access, StoreUnfit, fault_of, open_store

MANIFEST = "manifest.json"
_NAME = re.compile(r"zaptrix-\d{8}T\d{6}Z")
_DRAFT = re.compile(r"\.(zaptrix-\d{8}T\d{6}Z)\.partial")
_LEFTOVER = timedelta(days=1)  # nobody writes for longer at one archive
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(/?)")
_SCHEMES = {"s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "file"}
_FILE = "file://"
_GZIP = 16 + zlib.MAX_WBITS


class ArchiveError(Exception):
    """What an archive is kept in cannot be read or written, or holds other bytes; the text says which."""


def name_at(moment: datetime) -> str:
    """An archive's name; names sort by time."""
    return f"zaptrix-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


class Archive:
    """One archive, written or read. Every method raises ArchiveError."""

    def __init__(self, store: ObjectStore, prefix: str = "") -> None:
        self._store = store
        self._prefix = prefix

    async def write(self, path: str, source: AsyncIterable[bytes]) -> ArchiveObject:
        """Keep what `source` yields. Nothing is left under `path` of what breaks off."""
        seen = _Passing(source)
        try:
            await obstore.put_async(
                self._store, self._prefix + path, seen.parts(), chunk_size=limits.MEDIA_BLOCK_BYTES, max_concurrency=1
            )
        except (BaseError, OSError) as exc:
            raise seen.failed or _told(path, exc) from exc
        return ArchiveObject(path, seen.bytes, seen.sha256.hexdigest())

    async def read(self, part: ArchiveObject) -> AsyncIterator[bytes]:
        """The bytes of `part`; the last of them comes only when all of them are those that were written."""
        seen = _Passing(self._bytes(part.path))
        held = b""
        async for piece in seen.parts():
            if held:
                yield held
            held = piece
        if (seen.bytes, seen.sha256.hexdigest()) != (part.bytes, part.sha256):
            raise ArchiveError(f"{part.path} is not what was written (its size or SHA-256 differs)")
        if held:
            yield held

    async def manifest(self) -> bytes | None:
        """None: there is none."""
        try:
            found = await obstore.get_async(self._store, self._prefix + MANIFEST)
            return bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as exc:
            raise _told(MANIFEST, exc) from exc

    async def _bytes(self, path: str) -> AsyncIterator[bytes]:
        try:
            found = await obstore.get_async(self._store, self._prefix + path)
            async for piece in found.stream(min_chunk_size=limits.MEDIA_PART_BYTES):
                yield bytes(piece)
        except (NotFoundError, FileNotFoundError) as exc:
            raise ArchiveError(f"{path} is missing") from exc
        except (BaseError, OSError) as exc:
            raise _told(path, exc) from exc


class Archives:
    """The archives of one place: a folder, or an address as `MEDIA_URL` takes it, reached as the media are."""

    def __init__(self, where: str, s3: S3Access) -> None:
        self._remote = "://" in where
        self._where = where
        self._s3 = s3
        self._folder = Path(where).expanduser().absolute()

    async def begin(self, name: str) -> Archive:
        """An archive to write into, until `finish` or `drop`. Raises ArchiveError."""
        check_place(self._where)
        try:
            if self._remote:
                return Archive(self._opened(), f"{name}/")
            await asyncio.to_thread(self._draft(name).mkdir, mode=0o700, parents=True)
            return Archive(LocalStore(self._draft(name)))
        except (BaseError, OSError, ValueError) as exc:
            raise _told(self._where, exc) from exc

    async def finish(self, archive: Archive, name: str, manifest: bytes) -> str:
        """It is whole from here on; where it is. Raises ArchiveError."""
        await archive.write(MANIFEST, _once(manifest))
        if self._remote:
            return f"{self._where.rstrip('/')}/{name}"
        try:
            await asyncio.to_thread(_to_disk, self._draft(name), self._folder / name)
        except OSError as exc:
            raise _told(name, exc) from exc
        return str(self._folder / name)

    async def drop(self, name: str) -> None:
        """What was begun and will not be finished goes; from a store that is away, by a later `sweep`."""
        if self._remote:
            with suppress(BaseError, OSError, ArchiveError):
                await self._remove(f"{name}/")
        else:
            await asyncio.to_thread(shutil.rmtree, self._draft(name), ignore_errors=True)

    async def names(self) -> list[str]:
        """Those that are whole. Raises ArchiveError."""
        try:
            if not self._remote and not await asyncio.to_thread(self._folder.is_dir):
                return []
            found = await obstore.list_with_delimiter_async(self._opened())
            names = [prefix.strip("/") for prefix in found["common_prefixes"]]
        except (BaseError, OSError) as exc:
            raise _told(self._where, exc) from exc
        return sorted([name for name in names if _NAME.fullmatch(name) and await self.at(name).manifest() is not None])

    def at(self, name: str) -> Archive:
        """Raises ArchiveError."""
        return Archive(self._opened(), f"{name}/")

    async def remove(self, name: str) -> None:
        """Its manifest first: what is left half removed is no archive any more. Raises ArchiveError."""
        try:
            if self._remote:
                await obstore.delete_async(self._opened(), f"{name}/{MANIFEST}")
                await self._remove(f"{name}/")
            else:
                await asyncio.to_thread((self._folder / name / MANIFEST).unlink)
                await asyncio.to_thread(shutil.rmtree, self._folder / name)
        except (BaseError, OSError) as exc:
            raise _told(name, exc) from exc

    async def sweep(self, now: datetime) -> None:
        """Remove what was begun and never finished, a day later. Raises ArchiveError."""
        before = name_at(now - _LEFTOVER)
        if self._remote:
            try:
                await self._sweep(before)
            except (BaseError, OSError) as exc:
                raise _told(self._where, exc) from exc
            return
        for draft in await asyncio.to_thread(lambda: list(self._folder.glob(".zaptrix-*.partial"))):
            if (named := _DRAFT.fullmatch(draft.name)) and named[1] < before:
                await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)

    async def _sweep(self, before: str) -> None:
        found = await obstore.list_with_delimiter_async(self._opened())
        whole = set(await self.names())
        for name in [prefix.strip("/") for prefix in found["common_prefixes"]]:
            if _NAME.fullmatch(name) and name < before and name not in whole:
                await self._remove(f"{name}/")

    def _draft(self, name: str) -> Path:
        return self._folder / f".{name}.partial"

    def _opened(self) -> ObjectStore:
        return _opened(self._where, self._s3)

    async def _remove(self, prefix: str) -> None:
        store = self._opened()
        async for page in obstore.list(store, prefix):
            await obstore.delete_async(store, [meta["path"] for meta in page])


def archive_at(where: str, s3: S3Access) -> Archive:
    """The archive whose folder or address is `where`. Raises ArchiveError."""
    return Archive(_opened(where, s3))


def check_place(where: str) -> None:
    """Whether it is a folder's path, or an address that we have a store for. Raises ArchiveError."""
    named = _ADDRESS.match(where)
    if named and not (named[2] and named[1].lower() in _SCHEMES):
        raise ArchiveError(f"{where} is no place for backups; name a folder, or an address such as s3://BUCKET/FOLDER")


def _opened(where: str, s3: S3Access) -> ObjectStore:
    check_place(where)
    folder = unquote(where[len(_FILE) :]) if where.lower().startswith(_FILE) else where
    if "://" not in folder and not Path(folder).expanduser().is_dir():
        raise ArchiveError(f"{folder}: there is no such folder; name one that is there, or an address (s3://...)")
    try:
        return open_store(where, s3) if "://" in where else LocalStore(Path(where).expanduser().absolute())
    except StoreUnfit as exc:
        raise ArchiveError(f"{where}: {exc.fault.words(Locale.EN)}") from exc
    except (BaseError, OSError, ValueError) as exc:
        raise _told(where, exc) from exc


async def zipped(source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """`source`, compressed by gzip."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    async for piece in _gathered(source):
        if packed := await asyncio.to_thread(packer.compress, piece):
            yield packed
    yield packer.flush()


async def unzipped(source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """What `zipped` was given. Raises ArchiveError."""
    unpacker = zlib.decompressobj(_GZIP)
    async for piece in source:
        rest = piece
        while rest:
            try:
                unpacked = await asyncio.to_thread(unpacker.decompress, rest, limits.MEDIA_BLOCK_BYTES)
            except zlib.error as exc:
                raise ArchiveError("a part is not compressed as it should be") from exc
            rest = unpacker.unconsumed_tail
            if unpacked:
                yield unpacked


async def lines(source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Line by line, without their ends."""
    rest = b""
    async for piece in source:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line


async def _gathered(source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """In larger pieces: each costs a thread's turn."""
    held = bytearray()
    async for piece in source:
        held += piece
        if len(held) >= limits.MEDIA_PART_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


class _Passing:
    """Counts and hashes bytes while they pass; the library hides what the source raised, so it is kept."""

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = source
        self.bytes = 0
        self.sha256 = hashlib.sha256()
        self.failed: BaseException | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._source:
                self.bytes += len(piece)
                self.sha256.update(piece)
                yield piece
        except BaseException as exc:
            self.failed = exc
            raise


def _to_disk(draft: Path, place: Path) -> None:
    """What is renamed is on the disk before, so that no loss of power leaves an archive that only looks whole."""
    for path in [*draft.rglob("*"), draft]:
        _sync(path)
    draft.rename(place)
    _sync(place.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _told(what: str, exc: Exception) -> ArchiveError:
    # The library's own text may hold a signed address: the kind says enough. What the system says is short and safe.
    if isinstance(exc, OSError) and exc.strerror:
        return ArchiveError(f"{what}: {exc.strerror}")
    fault = fault_of(exc)
    remedy = f"; {fault.words(Locale.EN).remedy}" if fault.kind in _BY_AWS_SETTINGS else ""
    return ArchiveError(f"{what}: {fault.seen}{remedy}")


# Those that are mended by a setting which media and backups share.
_BY_AWS_SETTINGS = {
    FaultKind.MEDIA_KEYLESS,
    FaultKind.MEDIA_LOGIN,
    FaultKind.MEDIA_CLOCK,
    FaultKind.MEDIA_REGION,
    FaultKind.MEDIA_TLS,
}
