"""Attachments: how the files of messages stand that are about to be delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from zaptrix.core.delivery.claim import Claim
from zaptrix.core.ids import MessageId
from zaptrix.core.message.media import Attachment
from zaptrix.core.message.message import MediaContent, Notice, Origin, file_of
from zaptrix.store.connection.database import Database
from zaptrix.store.ledger import files


class Addresses(Protocol):
    """Where a file can be fetched by anybody who knows the address."""

    def address(self, key: str, name: str, until: datetime) -> str: ...


class Attachments:
    """Puts files beside claims. A file that is not there by now is promised: its message goes as a line instead."""

    def __init__(self, database: Database, addresses: Addresses, now: Callable[[], datetime], good_s: float) -> None:
        self._database = database
        self._addresses = addresses
        self._now = now
        self._good_s = good_s

    async def attach(self, claims: Sequence[Claim]) -> list[Claim]:
        """For claims that are about to go. Raises StoreUnavailable."""
        return await self._beside(claims, [claim.message_id for claim in claims if _may_be_promised(claim)])

    async def recall(self, claims: Sequence[Claim]) -> list[Claim]:
        """For claims that have gone: nothing is promised any more. Raises StoreUnavailable."""
        return await self._beside(claims, [])

    async def _beside(self, claims: Sequence[Claim], promisable: Sequence[MessageId]) -> list[Claim]:
        named = {claim.message_id: id_ for claim in claims if (id_ := _named(claim))}
        if not named:
            return list(claims)
        async with self._database.connection() as connection:
            found = await files.attachments(connection, list(named.values()), promisable)
        return [
            replace(claim, attachment=self._addressed(found[id_]))
            if (id_ := named.get(claim.message_id)) in found
            else claim
            for claim in claims
        ]

    def _addressed(self, attachment: Attachment) -> Attachment:
        if attachment.blob is None:
            return attachment
        until = self._now() + timedelta(seconds=self._good_s)
        return replace(attachment, address=self._addresses.address(attachment.blob.key, attachment.blob.name, until))


def _named(claim: Claim) -> MessageId | None:
    """Under which message the file stands that goes with `claim`: its own, or that of the message which it shows."""
    content = claim.content
    if isinstance(content, Notice):
        shows = content.about is not None and file_of(content.about) is not None
        return MessageId(content.about_id) if shows and content.about_id is not None else None
    return claim.message_id if file_of(content) else None


def _may_be_promised(claim: Claim) -> bool:
    """People's files are: they would wonder. A program's message goes whole, as it was asked for."""
    return isinstance(claim.content, MediaContent) and claim.origin is not Origin.API
