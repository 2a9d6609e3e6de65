"""Confirm: tell the side that a message came from that it has arrived on the other.

Bitrix24 gets `imconnector.send.status.delivery`, once, when WhatsApp took the operator's message; WhatsApp gets the
blue ticks only when the customer's message is safely in Bitrix24.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from zaptrix.bridge.directory import Directory
from zaptrix.bridge.entrance import Entrance
from zaptrix.core import limits
from zaptrix.core.errors import OutOfTime, Refused, TooFast, Unauthorized, Unavailable
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.message import Direction, Side
from zaptrix.core.outcome import Accepted, Outcome
from zaptrix.core.parcel import Parcel
from zaptrix.core.ports import Platform
from zaptrix.core.retry import backoff_s
from zaptrix.deadlines import Deadline, Stopping
from zaptrix.elapsed import elapsed_s
from zaptrix.store import confirmations
from zaptrix.store.claims import ClaimedRow
from zaptrix.store.confirmations import ConfirmEnd
from zaptrix.store.database import Database
from zaptrix.store.group import GroupCommit

log = structlog.get_logger(__name__)


_GATHER_S = 0.05  # nobody waits for it

# Which messages' arrival a side is told of: those that came from it.
_TOLD_OF = {Side.WHATSAPP: Direction.INBOUND, Side.BITRIX24: Direction.OUTBOUND}


class Confirmer:
    """Confirms to one side, the portals or channels of a round together."""

    def __init__(
        self,
        platform: Platform,
        database: Database,
        directory: Directory,
        entrance: Entrance,
        *,
        now: Callable[[], datetime],
        lease_s: float,
        stopping: Stopping | None = None,
    ) -> None:
        self._platform = platform
        self._database = database
        self._directory = directory
        self._entrance = entrance
        self._now = now
        self._lease_s = lease_s
        self._stopping = stopping or Stopping()
        self._group: GroupCommit[ConfirmEnd, None] = GroupCommit(
            self._record, items_max=limits.CONFIRM_BATCH, groups_at_once=1, gather_s=_GATHER_S
        )

    async def drain(self, number: int) -> bool:
        """Confirm what is due in a round, one batch of it; whether there was any. Raises StoreUnavailable.

        Nobody waits for a portal that is slow: each one's confirmations are recorded as they end.
        """
        claimed_s = elapsed_s()
        async with self._database.connection() as connection:
            rows = await confirmations.claim(
                connection, _TOLD_OF[self._platform.side], number, limits.CONFIRM_BATCH, self._lease_s
            )
        parcels = [parcel for row in rows if (parcel := await self._parcel(row))]
        by_portal = defaultdict[PortalId, list[Parcel]](list)
        for parcel in parcels:
            by_portal[parcel.portal.id].append(parcel)
        deadlines = [self._stopping.deadline(claimed_s, self._lease_s) for _ in by_portal]
        await asyncio.gather(*map(self._confirm, by_portal.values(), deadlines))
        return bool(rows)

    async def _confirm(self, parcels: Sequence[Parcel], deadline: Deadline) -> None:
        try:
            async with self._entrance.through(), deadline.kept():
                outcomes = await self._platform.confirm(parcels)
        except TimeoutError:
            outcomes = [OutOfTime("claim_ran_out", "it took longer than a claim lasts")] * len(parcels)
        await self._group.add([self._end(*each) for each in zip(parcels, outcomes, strict=True)])

    async def _record(self, ends: list[ConfirmEnd]) -> Sequence[None]:
        async with self._database.connection() as connection:
            await confirmations.end(connection, ends, limits.ATTEMPTS_MAX)
        return [None] * len(ends)

    async def _parcel(self, row: ClaimedRow) -> Parcel | None:
        tenant = await self._directory.channel(ChannelId(row.channel_id))
        return row.parcel(tenant.channel, tenant.portal) if tenant else None

    def _end(self, parcel: Parcel, outcome: Outcome) -> ConfirmEnd:
        done = isinstance(outcome, Accepted | Refused)
        if isinstance(outcome, Refused):
            log.warning("not confirmed", message_id=parcel.message_id, code=outcome.code, request_id=parcel.request_id)
        wait_s = backoff_s(2, random.random(), self._platform.patience.base_s)  # noqa: S311  # spreads retries
        return ConfirmEnd(
            message_id=parcel.message_id,
            again_at=None if done else self._now() + timedelta(seconds=wait_s),
            # An outage or a bad key is not this confirmation's fault; anything else gives it five tries.
            costs_an_attempt=not isinstance(outcome, Accepted | OutOfTime | TooFast | Unavailable | Unauthorized),
        )
