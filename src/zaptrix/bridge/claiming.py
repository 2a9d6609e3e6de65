"""Claiming: what is to be delivered to one side, from the ledger, with its channel and portal beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from zaptrix.bridge.directory import Directory
from zaptrix.core.ids import AttemptId, ChannelId
from zaptrix.core.lanes import Lane
from zaptrix.core.message import Direction
from zaptrix.core.parcel import Parcel
from zaptrix.store import backoffs, claims, lanes, messages
from zaptrix.store.claims import Ask, ClaimedRow, Way
from zaptrix.store.database import Database
from zaptrix.store.lanes import Due


class Claimed(NamedTuple):
    """What a portal or channel got. `more`: it got as much as it had asked for."""

    owner: UUID
    parcels: list[Parcel]
    more: bool


class Claimer:
    """Claims for one direction. Every method raises StoreUnavailable."""

    def __init__(
        self,
        direction: Direction,
        database: Database,
        directory: Directory,
        new_attempt: Callable[[], AttemptId],
        lease_s: float,
    ) -> None:
        self.direction = direction
        self._database = database
        self._directory = directory
        self._new_attempt = new_attempt
        self._lease_s = lease_s

    def owner_of(self, parcel: Parcel) -> UUID:
        """The portal that it goes to, or the channel that it is sent by."""
        return parcel.portal.id if self.direction is Direction.INBOUND else parcel.channel.id

    async def due(self, lane: Lane) -> list[Due]:
        """Who of a round has something open."""
        async with self._database.connection() as connection:
            return await lanes.due(connection, self.direction, lane.number)

    async def to_send(self, rooms: Sequence[tuple[UUID, int]]) -> list[Claimed]:
        """For several portals or channels in one statement, up to so many messages each."""
        asks = [Ask(owner, self._new_attempt(), room) for owner, room in rooms]
        async with self._database.connection() as connection:
            # From anywhere: no conversation is always the last to be served.
            found = await claims.claim_to_send(connection, self.direction, asks, after=uuid4())
        return [
            Claimed(ask.lane_id, await self.with_tenants(rows), len(rows) == ask.room)
            for ask, rows in zip(asks, found, strict=True)
        ]

    async def to_prove(self, owner: UUID, room: int) -> list[Parcel]:
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

    async def with_tenants(self, rows: Sequence[ClaimedRow]) -> list[Parcel]:
        """Claimed messages with their channel and portal beside them."""
        tenants = {key: await self._directory.channel(ChannelId(key)) for key in {row.channel_id for row in rows}}
        # A channel that was deleted a moment ago took its messages with it.
        return [row.parcel(t.channel, t.portal) for row in rows if (t := tenants[row.channel_id])]
