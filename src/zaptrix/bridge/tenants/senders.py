"""Senders: who may post Bitrix24's events, in memory for all portals, also when PostgreSQL is away."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from contextlib import suppress
from uuid import UUID

import structlog

from zaptrix.bridge.tenants.directory import Directory
from zaptrix.store.accounts import portals
from zaptrix.store.accounts.portals import SealedSender
from zaptrix.store.accounts.sender_digests import SenderDigests, digest
from zaptrix.store.connection.database import Database, StoreRefused, StoreUnavailable
from zaptrix.store.encryption import SecretBox, UnreadableSecret

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.5
_LOOK_S_MAX = 0.5


class Senders:
    """Follows the portals as the directory sees them change."""

    def __init__(self, database: Database, directory: Directory, box: SecretBox, digests: SenderDigests) -> None:
        self._database = database
        self._directory = directory
        self._box = box
        self._digests = digests
        self._versions: dict[UUID, str] = {}
        self._unreadable: set[UUID] = set()
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = -math.inf
        self._following = asyncio.Lock()

    def know(self, member_id: str, application_token: str) -> bool:
        """Whether a portal is known to have this token, by what is in memory: nobody is asked.

        False says little: the portal may have been made a moment ago.
        """
        known = self._directory.known_sender(member_id)
        stored = known.application_token if known else ""
        if stored and hmac.compare_digest(stored.encode(), application_token.encode()):
            return True
        return self._digests.know(member_id, application_token)

    async def look_again(self) -> None:
        """Learn of portals that were made or changed a moment ago: twice a second at most, however many ask, and
        nobody waits long for it.
        """
        now = time.monotonic()
        if self._looking is None or (self._looking.done() and now - self._looked_at >= _LOOK_EVERY_S):
            self._looked_at = now
            self._looking = asyncio.create_task(self._look())
        await asyncio.wait([self._looking], timeout=_LOOK_S_MAX)

    async def _look(self) -> None:
        with suppress(StoreUnavailable, StoreRefused):
            await self._directory.compare()
            await self.follow()

    async def follow(self) -> None:
        """Renew what has changed since the last time. While PostgreSQL is away, what was known stays."""
        async with self._following:  # two at once would each write without the other's
            versions = self._directory.versions
            if versions is None or versions is self._versions or versions == self._versions:
                return
            changed = [row for row, version in versions.items() if self._versions.get(row) != version]
            try:
                async with self._database.connection() as connection:
                    rows = await portals.senders(connection, changed)
                await asyncio.to_thread(self._renew, rows, self._digests.portals() - versions.keys())
            except (StoreUnavailable, OSError) as exc:
                log.warning("known senders not renewed", reason=type(exc).__name__)
                return
            self._versions = versions

    def _renew(self, rows: list[SealedSender], gone: set[UUID]) -> None:
        digests: dict[UUID, bytes] = {}
        for row in rows:
            try:
                digests[row.portal_id] = digest(row.member_id, self._box.open(row.application_token))
                self._unreadable.discard(row.portal_id)
            except UnreadableSecret as exc:
                # What was known of it stays: its events are kept for the day when the key is back.
                self._tell_unreadable(row.portal_id, str(exc))
        self._digests.change(digests, gone)

    def _tell_unreadable(self, portal_id: UUID, reason: str) -> None:
        """Once a portal, and not once an event: anybody can post what looks like an event of it."""
        if portal_id not in self._unreadable:
            self._unreadable.add(portal_id)
            log.error("a portal's token cannot be read", portal_id=str(portal_id), reason=reason, alarm=True)
