"""Dead letters revived or dismissed, and set-aside events replayed: what an admin puts on its way again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum

import structlog

from zaptrix.broker.queues.bells import Bells
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import delivery_lane
from zaptrix.core.ids import EventId, MessageId, PortalId
from zaptrix.store.accounts import audit
from zaptrix.store.connection.database import Connection, Database
from zaptrix.store.journal import events
from zaptrix.store.ledger import files, messages, views
from zaptrix.store.ledger.messages import MovedMessage

log = structlog.get_logger(__name__)


class Fate(StrEnum):
    """What an admin decides about a dead letter."""

    REVIVE = "revive"  # a fresh start: delivered again, in its old place
    DISMISS = "dismiss"  # laid aside for good


_MOVES: dict[Fate, Callable[[Connection, Sequence[int], PortalId | None], Awaitable[list[MovedMessage]]]] = {
    Fate.REVIVE: messages.revive,
    Fate.DISMISS: messages.dismiss,
}


class Letters:
    """Moves dead letters, in batches of one transaction each."""

    def __init__(self, database: Database, bells: Bells, *, kept_days: int, wait_s: float) -> None:
        """`kept_days`: how long files are kept; `wait_s`: how long a message waits for one that is fetched anew."""
        self._database = database
        self._bells = bells
        self._kept_days = kept_days
        self._wait_s = wait_s

    async def move(self, fate: Fate, actor: str, ids: Sequence[int], only: PortalId | None) -> list[MessageId]:
        """Those of `ids` that were dead letters (of `only`, if given), and now are none. Raises StoreUnavailable."""
        async with self._database.transaction() as connection:
            moved = await _MOVES[fate](connection, ids, only)
            if fate is Fate.REVIVE:
                ids_again = [row.id for row in moved]
                await files.revive(connection, ids_again, kept_days=self._kept_days, wait_s=self._wait_s)
            if moved:
                await audit.write(connection, actor, f"letter.{fate}", _subject(moved), count=len(moved))
        if fate is Fate.REVIVE:
            self._bells.ring_soon({delivery_lane(row.direction, row.lane_id) for row in moved})
        log.info("moved dead letters", fate=fate.value, count=len(moved))
        return [row.id for row in moved]

    async def move_all(self, fate: Fate, actor: str, only: PortalId | None) -> int:
        """Every dead letter there is (of `only`, if given), once: one that dies again meanwhile stays. How many."""
        count, before = 0, None
        while True:
            async with self._database.connection() as connection:
                letters = await views.dead_letters(connection, only, before, limits.BULK_MAX)
            if not letters:
                return count
            before = letters[-1].id
            count += len(await self.move(fate, actor, [letter.id for letter in letters], only))

    async def replay_event(self, actor: str, event_id: EventId) -> bool:
        """Route an unroutable or ignored event once more; False when there is none. Raises StoreUnavailable."""
        async with self._database.transaction() as connection:
            lane = await events.replay(connection, event_id)
            if lane is None:
                return False
            await audit.write(connection, actor, "event.replay", f"event {event_id}")
        self._bells.ring_soon([lane])
        return True


def _subject(moved: Sequence[MovedMessage]) -> str:
    ids = sorted(row.id for row in moved)
    return f"message {ids[0]}" if len(ids) == 1 else f"messages {ids[0]} to {ids[-1]}"
