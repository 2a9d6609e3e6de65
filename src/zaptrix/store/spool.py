"""The spool: Bitrix24's events on the local disk while PostgreSQL is away, because Bitrix24 never sends one twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec

_BYTES_MAX = 256 * 1024 * 1024
_PART = ".part"


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class SpoolFull(Exception):
    """The spool holds as much as it may."""


class Spooled(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook body that waits for PostgreSQL."""

    body: bytes
    request_id: str


class Spool:
    """A folder of small files: one event each, on disk before it is acknowledged."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = _wall_clock) -> None:
        self._folder = folder
        self._now = now
        self._named_ns = 0
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def keep(self, body: bytes, request_id: str) -> None:
        """Returns when the body is on disk. Raises SpoolFull or OSError."""
        # Names keep the order of coming, whatever a wall clock does; processes share the database's time.
        self._named_ns = max(self._named_ns + 1, int(self._now().timestamp() * 1e6) * 1_000)
        await asyncio.to_thread(self._keep, Spooled(body=body, request_id=request_id), self._named_ns)

    def waiting(self) -> list[Path]:
        """What waits, oldest first."""
        return sorted(self._files())

    def waits(self) -> bool:
        """Whether anything waits: what comes after it has to wait behind it."""
        return next(self._files(), None) is not None

    def read(self, path: Path) -> Spooled | None:
        """One of `waiting`; None when another process was faster. Raises OSError, and ValueError for a torn file."""
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=Spooled)
        except FileNotFoundError:
            return None

    def drop(self, path: Path) -> None:
        """It is in PostgreSQL now."""
        path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> None:
        """Keep it for a person to look at."""
        with suppress(FileNotFoundError):  # another process did the same
            path.rename(path.with_suffix(".bad"))

    def _files(self) -> Iterator[Path]:
        return self._folder.glob("*.event")

    def _keep(self, spooled: Spooled, named_ns: int) -> None:
        if sum(map(_size, self._files())) + len(spooled.body) > _BYTES_MAX:
            raise SpoolFull(f"the spool holds {_BYTES_MAX} bytes already")
        path = self._folder / f"{named_ns:020d}-{uuid4().hex}.event"
        part = path.with_suffix(_PART)
        with part.open("wb") as file:
            file.write(msgspec.msgpack.encode(spooled))
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        # The name is on disk only when the folder is.
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # replayed a moment ago
