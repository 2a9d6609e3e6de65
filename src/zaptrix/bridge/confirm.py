"""Confirm: tell the side that a message came from that it has arrived on the other.

Bitrix24 gets `imconnector.send.status.delivery`, once, when WhatsApp took the operator's message; WhatsApp gets the
blue ticks only when the customer's message is safely in Bitrix24.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from zaptrix.bridge.directory import Directory
from zaptrix.core import limits
from zaptrix.core.errors import Refused, TooFast, Unauthorized, Unavailable
from zaptrix.core.ids import ChannelId
from zaptrix.core.lanes import Lane
from zaptrix.core.message import Direction, Side
from zaptrix.core.outcome import Accepted, Outcome
from zaptrix.core.parcel import Parcel
from zaptrix.core.ports import Platform
from zaptrix.core.retry import backoff_s
from zaptrix.store import claims
from zaptrix.store.claims import ClaimedRow, ConfirmEnd, Way
from zaptrix.store.database import Database

log = structlog.get_logger(__name__)


# Which messages' arrival a side is told of: those that came from it.
_TOLD_OF = {Side.WHATSAPP: Direction.INBOUND, Side.BITRIX24: Direction.OUTBOUND}


class Confirmer:
    """Confirms to one side."""

    def __init__(
        self, platform: Platform, database: Database, directory: Directory, now: Callable[[], datetime], lease_s: float
    ) -> None:
        self._platform = platform
        self._database = database
        self._directory = directory
        self._now = now
        self._lease_s = lease_s

    async def drain(self, lane: Lane, ends: float) -> datetime | None:
        """Confirm what is due for the owner of `lane`, until `ends` (monotonic); when what was put off is due again.

        Raises StoreUnavailable.
        """
        while time.monotonic() < ends:
            rows = await self._claim(lane)
            parcels = [parcel for row in rows if (parcel := await self._parcel(row))]
            outcomes = await self._platform.confirm(parcels)
            ended = [self._end(parcel, outcome) for parcel, outcome in zip(parcels, outcomes, strict=True)]
            async with self._database.connection() as connection:
                await claims.confirmed(connection, ended, limits.ATTEMPTS_MAX)
            put_off = [end.again_at for end in ended if end.again_at]
            if put_off or len(rows) < limits.CONFIRM_BATCH:
                return min(put_off, default=None)
        return None

    async def _claim(self, lane: Lane) -> list[ClaimedRow]:
        way = Way(_TOLD_OF[self._platform.side], lane.owner)
        async with self._database.connection() as connection:
            return await claims.claim_to_confirm(connection, way, limits.CONFIRM_BATCH, self._lease_s)

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
            costs_an_attempt=not isinstance(outcome, Accepted | TooFast | Unavailable | Unauthorized),
        )
