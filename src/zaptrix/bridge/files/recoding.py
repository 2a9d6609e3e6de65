"""Recoding: recordings turned into voice notes, a few at a time, one of a portal, within the portal's budget.

A decoder takes as much of a processor as it is given, for minutes where a recording is long: without a bound a single
portal would keep every processor of the host from everybody's messages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from zaptrix.bridge.tenants.budgets import Budgets
from zaptrix.core import limits
from zaptrix.core.ids import PortalId
from zaptrix.media.blobs import Blobs
from zaptrix.media.voice import voice_of
from zaptrix.store.accounts.budgets import Budget


class Recoding:
    """One process's hands for recordings."""

    def __init__(self, blobs: Blobs, budgets: Budgets) -> None:
        self._blobs = blobs
        self._budgets = budgets
        self._hands = asyncio.Semaphore(limits.VOICES_AT_ONCE)
        self._turns: WeakValueDictionary[PortalId, asyncio.Lock] = WeakValueDictionary()

    async def voice_of(self, portal_id: PortalId, key: str, type_: str) -> AsyncIterator[bytes]:
        """The recording as a voice note, in parts; nothing when it cannot be one. Raises NoSuchBlob, BlobsAway."""
        # The portal's own turn first: who waits for it takes no hand from the others.
        async with self._turns.setdefault(portal_id, asyncio.Lock()), self._hands:
            began = time.monotonic()
            try:
                async for part in voice_of(self._blobs, key, type_):
                    yield part
            finally:
                self._budgets.spend(portal_id, Budget.RECODING, round((time.monotonic() - began) * 1000))
