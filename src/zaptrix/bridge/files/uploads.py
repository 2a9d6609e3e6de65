"""Uploads: files that API callers bring or name, kept and looked at before their message is queued."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import msgspec

from zaptrix.bridge.files.sources import BROWSER, fallback_name
from zaptrix.core import limits
from zaptrix.core.message.media import Blob, fitting_name
from zaptrix.core.message.message import MediaKind
from zaptrix.media.blobs import BlobsAway, WrittenFile
from zaptrix.media.fetch import Allowed, ServerOrigin
from zaptrix.media.file_type import is_animated, type_of
from zaptrix.media.room import MediaRoom
from zaptrix.media.voice import can_become_voice, is_voice

_ANY_SOUND = "audio/*"


class StoredUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was kept. `moves`: an animated picture; `recording`: it is a voice note, or can become one."""

    blob: Blob
    moves: bool
    recording: bool


class Uploads:
    """Takes files in. What is not used in the end is to be dropped; what is left is gone by age."""

    def __init__(self, room: MediaRoom, link_origins: Sequence[str], now: Callable[[], datetime]) -> None:
        """`link_origins`: servers of our own that a caller may name beside public ones."""
        self._room = room
        self._allowed = Allowed(origins=tuple(ServerOrigin.of(url) for url in link_origins), anywhere=True)
        self._now = now

    async def keep(
        self, parts: AsyncIterable[bytes], kind: MediaKind, *, name: str | None, told: str | None
    ) -> StoredUpload:
        """Keep what comes, in parts. `name` and `told`, its type, are what the caller says.

        Raises TooLarge, BlobsAway, and whatever `parts` raises.
        """
        written = await self._room.blobs.write(parts, day=self._now().date(), bytes_max=limits.MEDIA_BYTES_MAX)
        return _kept(written, kind, name, told)

    async def fetch(self, link: str, kind: MediaKind, *, name: str | None) -> StoredUpload:
        """Fetch what a caller named, now: an address that Meta cannot fetch would be told hours later, or never.

        Raises PlatformError, TooLarge, BlobsAway.
        """
        async with self._room.fetcher.open(
            link, self._allowed, bytes_max=limits.MEDIA_BYTES_MAX, headers=BROWSER
        ) as arriving:
            return await self.keep(arriving.parts, kind, name=name or _name_in(link), told=arriving.type)

    async def drop(self, kept: StoredUpload | None) -> None:
        """It is not needed. When the store is away its age will do it."""
        if kept is None:
            return
        try:
            await self._room.blobs.delete([kept.blob.key])
        except BlobsAway:
            return


def _name_in(link: str) -> str | None:
    return unquote(PurePosixPath(urlsplit(link).path).name) or None


def _kept(written: WrittenFile, kind: MediaKind, name: str | None, told: str | None) -> StoredUpload:
    # What holds a film as well as sound alone is sound here: the caller says so by the way it is sent.
    type_ = type_of(written.head, told=_ANY_SOUND if kind is MediaKind.AUDIO else told, name=name)
    blob = Blob(
        key=written.key,
        size=written.size,
        sha256=written.sha256,
        type=type_,
        name=fitting_name(name, type_, fallback=fallback_name(kind)),
    )
    recording = is_voice(type_, written.head) or can_become_voice(type_, written.head)
    return StoredUpload(blob=blob, moves=is_animated(written.head), recording=recording)
