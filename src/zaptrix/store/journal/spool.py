"""The spool: Bitrix24's events on the local disk while PostgreSQL is away, because Bitrix24 never sends one twice."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from uuid import uuid4

import msgspec

from zaptrix.core import limits

_PART, _EVENT, _HELD, _BAD = ".part", ".event", ".held", ".bad"
_UNKNOWN = "unknown"
_ENVELOPE_BYTES = 100  # of a file beside the body, about


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class SpoolFull(Exception):
    """The spool holds as much as it may."""


class Spooled(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook body that waits for PostgreSQL."""

    body: bytes
    request_id: str


class Share(msgspec.Struct, frozen=True):
    """How much may wait."""

    bytes_max: int
    files_max: int


VOUCHED = Share(limits.SPOOL_BYTES_MAX, limits.SPOOL_FILES_MAX)
UNKNOWN = Share(limits.SPOOL_UNKNOWN_BYTES_MAX, limits.SPOOL_UNKNOWN_FILES_MAX)


class Spool:
    """A folder of small files: one event each, on disk before it is acknowledged.

    Events of whom nobody can be asked about have a small share of their own, so that they use up nothing that those
    of known portals need. How much waits is counted as it comes and goes, and anew whenever the folder is listed; what
    other processes of the host keep meanwhile is not, so that together they may exceed a share by a second's worth.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], datetime] = _wall_clock,
        *,
        vouched: Share = VOUCHED,
        unknown: Share = UNKNOWN,
    ) -> None:
        self._folder = folder
        self._now = now
        self._named_ns = 0
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._shares = {True: vouched, False: unknown}
        self._waiting: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._writing: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._counting = Lock()
        self._count()

    async def keep(self, body: bytes, request_id: str, *, vouched: bool = True, held: bool = False) -> None:
        """Returns when the body is on disk. Raises SpoolFull or OSError.

        `vouched`: its portal is known. `held`: it waits apart from the others, as `hold` does it.
        """
        size = len(body) + len(request_id) + _ENVELOPE_BYTES
        self._reserve(vouched, size)
        # Names keep the order of coming, whatever a wall clock does; processes share the database's time.
        self._named_ns = max(self._named_ns + 1, int(self._now().timestamp() * 1e6) * 1_000)
        name = (
            f"{self._named_ns:020d}-{uuid4().hex}-{size}{'' if vouched else '-' + _UNKNOWN}{_HELD if held else _EVENT}"
        )
        try:
            await asyncio.to_thread(self._write, Spooled(body=body, request_id=request_id), self._folder / name)
        except BaseException:
            self._written(vouched, size, kept=False)
            raise
        self._written(vouched, size, kept=True)

    def waiting(self) -> list[Path]:
        """What waits, oldest first."""
        return sorted(self._folder / name for name in self._count() if name.endswith(_EVENT))

    def waits(self) -> bool:
        """Whether anything waits: what comes after it has to wait behind it."""
        return next((True for name in self._names() if name.endswith(_EVENT)), False)

    def standing(self) -> Counter[str]:
        """How many files there are by what they are: `event` waits, `held` and `bad` are as their verbs say."""
        with suppress(OSError), os.scandir(self._folder) as entries:
            return Counter(Path(entry.name).suffix.removeprefix(".") for entry in entries)
        return Counter()

    def read(self, path: Path) -> Spooled | None:
        """One of `waiting`; None when another process was faster. Raises OSError, and ValueError for a torn file."""
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=Spooled)
        except FileNotFoundError:
            return None

    def drop(self, path: Path) -> None:
        """It is in PostgreSQL now."""
        with suppress(FileNotFoundError):  # another process did the same
            path.unlink()
            self._gone(path.name)

    def set_aside(self, path: Path) -> None:
        """Keep it for a person to look at."""
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(_BAD))
            self._gone(path.name)

    def hold(self, path: Path) -> None:
        """Keep it out of the way of those behind it until `unhold`: its portal's secret cannot be read now."""
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(_HELD))

    def unhold(self) -> None:
        """Let what is held wait again, in its old place."""
        for name in list(self._names()):
            if name.endswith(_HELD):
                with suppress(FileNotFoundError):
                    (self._folder / name).rename((self._folder / name).with_suffix(_EVENT))

    def _names(self) -> Iterator[str]:
        with suppress(OSError), os.scandir(self._folder) as entries:  # a folder that is gone holds nothing
            yield from (entry.name for entry in entries if entry.name.endswith((_EVENT, _HELD)))

    def _count(self) -> list[str]:
        names = list(self._names())
        counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        for name in names:
            counts[_is_vouched(name)] += Counter(files=1, bytes=self._size(name))
        with self._counting:
            self._waiting = counts
        return names

    def _size(self, name: str) -> int:
        """As the name tells: a folder of many files is counted without opening each."""
        parts = name.partition(".")[0].split("-")
        if len(parts) > 2 and parts[2].isdigit():
            return int(parts[2])
        try:
            return (self._folder / name).stat().st_size  # of an older version
        except FileNotFoundError:
            return 0

    def _reserve(self, vouched: bool, size: int) -> None:  # which share
        share = self._shares[vouched]
        with self._counting:
            there = self._waiting[vouched] + self._writing[vouched]
            if there["bytes"] + size > share.bytes_max or there["files"] >= share.files_max:
                raise SpoolFull(f"the spool holds {there['files']} files of {there['bytes']} bytes already")
            self._writing[vouched].update(files=1, bytes=size)

    def _written(self, vouched: bool, size: int, *, kept: bool) -> None:  # which share
        with self._counting:
            self._writing[vouched].subtract({"files": 1, "bytes": size})
            if kept:
                self._waiting[vouched].update(files=1, bytes=size)

    def _gone(self, name: str) -> None:
        with self._counting:
            self._waiting[_is_vouched(name)].subtract({"files": 1, "bytes": self._size(name)})

    def _write(self, spooled: Spooled, path: Path) -> None:
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


def _is_vouched(name: str) -> bool:
    return _UNKNOWN not in name
