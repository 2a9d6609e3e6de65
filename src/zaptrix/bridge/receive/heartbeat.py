"""The gateway's heartbeat: whether it was away, and until its losses are found, which events have to wait for them.

Bitrix24 sends an event once. The evidence of an outage is the silence in the gateways' signs of life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec
import structlog

from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Lane, incoming_lane
from zaptrix.core.event import EventState, NewEvent
from zaptrix.core.ids import EventId, PortalId
from zaptrix.core.portal import Channel
from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import Database
from zaptrix.store.journal import events as journal
from zaptrix.store.journal import recovery

log = structlog.get_logger(__name__)

_READ_LOOKS = 8
_BEATS_PATIENT = 1  # who else lives has given a sign within two beats


class Watch:
    """One gateway process's share in it. `begin` before webhooks are accepted, `beat` again and again after that."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._began_at: datetime | None = None
        self._waited = 0
        self._given = False
        self._under_way: frozenset[PortalId] = frozenset()
        self._looked_at: float | None = None

    async def begin(self) -> None:
        """Look whether somebody lives. Raises StoreUnavailable; then it is done by the first beat."""
        looked_at = elapsed_s()
        async with self._database.connection() as connection:
            self._began_at, silent = await recovery.last_beat(connection, limits.SILENT_S)
            self._under_way = await recovery.under_way(connection)
        self._looked_at = looked_at
        if silent:
            await self._beat()

    async def beat(self) -> None:
        """A sign of life, and whether there is a recovery under way. Raises StoreUnavailable.

        Who starts after a short silence gives no sign for some beats: were others alive all the while, they have.
        """
        if self._began_at is None:
            await self.begin()
            return
        self._waited += 1
        if self._given or self._waited > _BEATS_PATIENT:
            await self._beat()

    async def _beat(self) -> None:
        alone_since = None if self._given else self._began_at
        looked_at = elapsed_s()
        # Two statements and no transaction: who freezes in between holds up nobody's beat.
        async with self._database.connection() as connection:
            portals = await recovery.beat(connection, limits.SILENT_S, alone_since=alone_since)
            self._under_way = await recovery.under_way(connection)
        self._given, self._looked_at = True, looked_at
        if portals:
            log.warning("gateway was away", portals=portals)

    def hold(self, portal_id: PortalId, events: Sequence[NewEvent]) -> list[NewEvent]:
        """`events`, to be held when older ones of their conversations may be missing."""
        if portal_id not in self._under_way and not self._is_out_of_touch():
            return list(events)
        return [
            msgspec.structs.replace(event, state=EventState.HELD) if event.state is EventState.NEW else event
            for event in events
        ]

    def _is_out_of_touch(self) -> bool:
        """Whether another gateway may have told of an outage since this one looked.

        Nobody does within SILENT_S of a look, which was a sign of life. After that, as when PostgreSQL was away or this
        process stood still, what comes first must not overtake what waits in another gateway's spool. What was held
        without need goes on with the next look for lost events.
        """
        return self._looked_at is None or elapsed_s() - self._looked_at >= limits.SILENT_S


class LateStatuses:
    """`core.ports.Statuses`: after an outage of ours Meta tells late, and what it told lies unread while whoever routes
    it stands still."""

    def __init__(self, database: Database, wait_s: float) -> None:
        self._database = database
        self._wait_s = wait_s

    async def under_way_s(self, channel: Channel) -> float:
        """Raises StoreUnavailable."""
        async with self._database.connection() as connection:
            left_s = await recovery.statuses_under_way_s(connection, limits.QUIET_S, self._wait_s)
        return left_s or (0.0 if await self._all_read(incoming_lane(channel.phone_number_id)) else limits.STATUS_READ_S)

    async def _all_read(self, lane: Lane) -> bool:
        """Whether what has come by now is routed, or in a moment will be: of a busy number something always comes."""
        wanted: EventId | None = None
        for _ in range(_READ_LOOKS):
            async with self._database.connection() as connection:
                first, last = await journal.unread(connection, lane)
            wanted = last if wanted is None else wanted
            if first is None or wanted is None or first > wanted:
                return True
            await asyncio.sleep(limits.STATUS_READ_S / _READ_LOOKS)
        return False
