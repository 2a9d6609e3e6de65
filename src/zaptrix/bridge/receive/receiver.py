"""Receive: nothing is acknowledged before it is a row."""

from __future__ import annotations

from collections.abc import Sequence

from zaptrix.bridge.tenants.budgets import Budgets
from zaptrix.broker.queues.bells import Bells
from zaptrix.core import limits
from zaptrix.core.event import EventState, NewEvent
from zaptrix.store.connection.database import Database, StoreUnavailable
from zaptrix.store.connection.group_commit import GroupCommit
from zaptrix.store.journal import events as journal

_GROUP_ITEMS_MAX = 2_000
# While one group is being committed the next gathers. Measured with two at once: groups half as large, and a tenth more
# CPU a webhook at saturation.
_GROUPS_AT_ONCE = 1
# A group costs the gateway some 350 us whatever it holds, so at some hundred a second each webhook pays for a commit of
# its own unless it waits for others. After a quiet moment nobody waits, and so many that come together do not either.
_PAUSE_S = 0.008
_ENOUGH = 8


class Receiver:
    """Commits the webhook items of all requests that are waiting, together, and rings their lanes."""

    def __init__(self, database: Database, bells: Bells, budgets: Budgets) -> None:
        self._budgets = budgets
        self._database = database
        self._bells = bells
        self._group: GroupCommit[NewEvent, None] = GroupCommit(
            self._commit,
            items_max=_GROUP_ITEMS_MAX,
            groups_at_once=_GROUPS_AT_ONCE,
            pause_s=_PAUSE_S,
            enough=_ENOUGH,
            everybodys=(StoreUnavailable,),
        )

    async def accept(self, events: Sequence[NewEvent]) -> None:
        """Returns when `events` are on disk. Raises StoreUnavailable: then nothing may be acknowledged.

        That is after `limits.DOOR_STORE_S_MAX` at the latest, for everybody. PostgreSQL may have them all the same:
        they are the same rows, by their keys, when they come again.
        """
        await self._group.add(self._budgets.journalled(events))

    async def _commit(self, events: list[NewEvent]) -> Sequence[None]:
        # One statement is a transaction by itself: BEGIN and COMMIT would be two more round trips a group.
        async with self._database.within(limits.DOOR_STORE_S_MAX) as connection:
            await journal.append(connection, events)
        self._bells.ring_soon({event.lane.round for event in events if event.state is EventState.NEW})
        return [None] * len(events)
