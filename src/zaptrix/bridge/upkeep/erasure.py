"""Erasure: what a deleted tenant's customers wrote goes from the journal and from the files, too."""

from __future__ import annotations

import structlog

from zaptrix.core import limits
from zaptrix.media.blobs import Blobs, BlobsAway
from zaptrix.store.accounts import erasures
from zaptrix.store.connection.database import Database

log = structlog.get_logger(__name__)


class Erasure:
    """Carries out what deletions ordered. Every step is safe to do twice: an order goes with its last step."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    async def run(self) -> None:
        """All that is ordered now. Raises StoreUnavailable."""
        await self._journal()
        try:
            await self._files()
        except BlobsAway as exc:
            log.warning("files not erased yet", reason=str(exc))

    async def _journal(self) -> None:
        gone = 0
        while True:
            async with self._database.transaction() as connection:
                ordered = await erasures.journal_ordered(connection)
                if ordered is None:
                    break
                gone += await erasures.erase_journal(connection, ordered, limits.ERASE_STEP)
        if gone:
            log.info("erased events of deleted tenants", events=gone)

    async def _files(self) -> None:
        while True:
            async with self._database.connection() as connection:
                keys = await erasures.blobs_ordered(connection, limits.ERASE_STEP)
            if not keys:
                return
            await self._blobs.delete(keys)
            async with self._database.connection() as connection:
                await erasures.blobs_gone(connection, keys)
            log.info("erased files of deleted tenants", files=len(keys))
