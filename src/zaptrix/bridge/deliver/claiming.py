"""Claiming: what is to be delivered to one side, from the ledger, with its channel and portal beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec
import structlog

from zaptrix.bridge.tenants.directory import Tenant
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.lanes import Lane
from zaptrix.core.ids import AttemptId, ChannelId
from zaptrix.core.message.message import Direction
from zaptrix.deadlines import Stopping
from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.ledger import backoffs, claims, lanes, messages
from zaptrix.store.ledger.claims import Ask, ClaimedRow, Way
from zaptrix.store.ledger.lanes import Due
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)


class Claimed(NamedTuple):
    """What a portal or channel got. `more`: it got as much as it had asked for."""

    owner: UUID
    claims: list[Claim]
    more: bool


class Claimer:
    """Claims for one direction. Every method raises StoreUnavailable."""

    def __init__(self, direction: Direction, ground: Ground, lease_s: float) -> None:
        self.direction = direction
        self._database = ground.database
        self._directory = ground.directory
        self._new_attempt = ground.stopping.worker.attempt
        self._lease_s = lease_s

    def owner_of(self, claim: Claim) -> UUID:
        """The portal that it goes to, or the channel that it is sent by."""
        return claim.portal.id if self.direction is Direction.INBOUND else claim.channel.id

    async def due(self, lane: Lane) -> list[Due]:
        """Who of a round has something open."""
        async with self._database.connection() as connection:
            return await lanes.due(connection, self.direction, lane.number)

    async def to_send(self, asks: Sequence[Ask]) -> list[Claimed]:
        """For several portals or channels in one statement, up to so many messages each."""
        async with self._database.connection() as connection:
            # From anywhere: no conversation is always the last to be served.
            found = await claims.claim_to_send(connection, self.direction, asks, after=uuid4())
        return [
            Claimed(ask.lane_id, await self.with_tenants(rows), len(rows) == ask.room)
            for ask, rows in zip(asks, found, strict=True)
        ]

    async def to_prove(self, owner: UUID, room: int) -> list[Claim]:
        """Messages whose call had no clear answer."""
        async with self._database.connection() as connection:
            way = Way(self.direction, owner)
            rows = await claims.claim_to_prove(connection, way, self._new_attempt(), limit=room, lease_s=self._lease_s)
        return await self.with_tenants(rows)

    async def leave_alone(self, owner: UUID, until: datetime) -> None:
        """Nobody claims for it until then."""
        async with self._database.connection() as connection:
            await backoffs.put(connection, {owner: until})

    async def give_back(self, attempts: Sequence[AttemptId]) -> list[UUID]:
        """Let go of what these attempts hold, as nothing was begun; whose messages they are."""
        async with self._database.connection() as connection:
            return [one.lane_id for one in await messages.give_back(connection, attempts)]

    async def let_go(self, attempts: Sequence[AttemptId], until_s: float, stopping: Stopping) -> list[UUID]:
        """The same when PostgreSQL did not say whether they hold anything, as soon as it is there, until then; it is
        asked once more by who is told to stop. What it does not hear of is verified, as if this process had died."""
        while elapsed_s() < until_s:
            await stopping.pause(limits.STORE_AGAIN_S)
            told = stopping.told
            with suppress(StoreUnavailable):
                return await self.give_back(attempts)
            if told:
                break
        return []

    async def with_tenants(self, rows: Sequence[ClaimedRow]) -> list[Claim]:
        """Claimed messages with their channel and portal beside them."""
        tenants = {key: await self._directory.channel(ChannelId(key)) for key in {row.channel_id for row in rows}}
        # A channel that was deleted a moment ago took its messages with it.
        known = ((row, tenant) for row in rows if (tenant := tenants[row.channel_id]))
        return [claim for row, tenant in known if (claim := _read(row, tenant))]


def _read(row: ClaimedRow, tenant: Tenant) -> Claim | None:
    """A claim is of many: what a newer release has written, and this one cannot read, stops nobody but itself."""
    try:
        return row.to_claim(tenant.channel, tenant.portal)
    except msgspec.ValidationError:
        metrics.alarmed(AlarmKind.DRAIN_FAILED)
        log.exception("message not readable", message_id=row.fields["id"], alarm=True)
        return None
