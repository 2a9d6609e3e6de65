"""Attachments: how the files of messages stand that are about to be delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from zaptrix.core.media import Attachment
from zaptrix.core.message import Media
from zaptrix.core.parcel import Parcel
from zaptrix.store import files
from zaptrix.store.database import Database


class Addresses(Protocol):
    """Where a file can be fetched by anybody who knows the address."""

    def address(self, key: str, name: str, until: datetime) -> str: ...


class Attachments:
    """Puts files beside parcels. A file that is not there by now is promised: its message goes as a line instead."""

    def __init__(self, database: Database, addresses: Addresses, now: Callable[[], datetime], good_s: float) -> None:
        self._database = database
        self._addresses = addresses
        self._now = now
        self._good_s = good_s

    async def attach(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Raises StoreUnavailable."""
        ids = [parcel.message_id for parcel in parcels if isinstance(parcel.content, Media)]
        if not ids:
            return list(parcels)
        async with self._database.connection() as connection:
            found = await files.attachments(connection, ids)
        return [
            replace(parcel, attachment=self._addressed(found[parcel.message_id]))
            if parcel.message_id in found
            else parcel
            for parcel in parcels
        ]

    def _addressed(self, attachment: Attachment) -> Attachment:
        if attachment.blob is None:
            return attachment
        until = self._now() + timedelta(seconds=self._good_s)
        return replace(attachment, address=self._addresses.address(attachment.blob.key, attachment.blob.name, until))
