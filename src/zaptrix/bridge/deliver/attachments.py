"""Attachments: how the files of messages stand that are about to be delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from zaptrix.core.delivery.claim import Parcel
from zaptrix.core.ids import MessageId
from zaptrix.core.message.media import Attachment
from zaptrix.core.message.message import MediaContent, Notice, Origin, file_of
from zaptrix.store.connection.database import Database
from zaptrix.store.ledger import files


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
        """For parcels that are about to go. Raises StoreUnavailable."""
        return await self._beside(parcels, [parcel.message_id for parcel in parcels if _may_be_promised(parcel)])

    async def recall(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """For parcels that have gone: nothing is promised any more. Raises StoreUnavailable."""
        return await self._beside(parcels, [])

    async def _beside(self, parcels: Sequence[Parcel], promisable: Sequence[MessageId]) -> list[Parcel]:
        named = {parcel.message_id: id_ for parcel in parcels if (id_ := _named(parcel))}
        if not named:
            return list(parcels)
        async with self._database.connection() as connection:
            found = await files.attachments(connection, list(named.values()), promisable)
        return [
            replace(parcel, attachment=self._addressed(found[id_]))
            if (id_ := named.get(parcel.message_id)) in found
            else parcel
            for parcel in parcels
        ]

    def _addressed(self, attachment: Attachment) -> Attachment:
        if attachment.blob is None:
            return attachment
        until = self._now() + timedelta(seconds=self._good_s)
        return replace(attachment, address=self._addresses.address(attachment.blob.key, attachment.blob.name, until))


def _named(parcel: Parcel) -> MessageId | None:
    """Under which message the file stands that goes with `parcel`: its own, or that of the message which it shows."""
    content = parcel.content
    if isinstance(content, Notice):
        shows = content.about is not None and file_of(content.about) is not None
        return MessageId(content.about_id) if shows and content.about_id is not None else None
    return parcel.message_id if file_of(content) else None


def _may_be_promised(parcel: Parcel) -> bool:
    """People's files are: they would wonder. A program's message goes whole, as it was asked for."""
    return isinstance(parcel.content, MediaContent) and parcel.origin is not Origin.API
