"""Route: events -> messages. What both directions share: batches, fences, and the isolation of what is poisonous."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
import structlog

from zaptrix.bridge.budgets import KEPT_BY_DIGEST, Budgets
from zaptrix.core import limits
from zaptrix.core.event import Event, EventState, Ignored, Routed, Unroutable
from zaptrix.core.lanes import Lane
from zaptrix.deadlines import Stopping
from zaptrix.queues.bells import Bells
from zaptrix.store import events as journal
from zaptrix.store.database import Connection, Database, StoreRefused
from zaptrix.store.events import Mark
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import Result

log = structlog.get_logger(__name__)

# A refusal may be about what another lane wrote at the same moment: the second try sees it.
_TRIES_ALONE = 2


class Item(msgspec.Struct, frozen=True):
    """An event and what translation made of it."""

    event: Event
    routed: Routed


class Overtaken(Exception):
    """Another runner routed these events first: nothing of this batch may be kept."""


class Step(Protocol):
    """One batch of one round on its way into the ledger."""

    async def prepare(self) -> None:
        """Look up, before the transaction opens, what may take a moment."""
        ...

    async def write(self, connection: Connection) -> list[Mark]:
        """Write what the events say; what became of each of them."""
        ...

    async def committed(self) -> Iterable[Lane]:
        """It is on disk: the lanes to ring."""
        ...


class Route:
    """Drains the rounds of one direction."""

    def __init__(  # noqa: PLR0917  # the composition root hands everything over, once
        self,
        database: Database,
        bells: Bells,
        budgets: Budgets,
        translate: Callable[[Event], Routed],
        step_of: Callable[[Sequence[Item]], Step],
        slice_s: float,
        now: Callable[[], datetime],
        stopping: Stopping | None = None,
    ) -> None:
        self._database = database
        self._bells = bells
        self._budgets = budgets
        self._translate = translate
        self._step_of = step_of
        self._slice_s = slice_s
        self._now = now
        self._stopping = stopping or Stopping()

    async def drain(self, lane: Lane) -> None:
        """Route what waits in the round of `lane`, for a slice of time. Raises StoreUnavailable."""
        ends = time.monotonic() + self._slice_s
        while True:
            again = time.monotonic() + limits.ROUTE_EVERY_S
            async with self._database.connection() as connection:
                events = await journal.waiting(connection, lane, limits.ROUTE_BATCH)
            if not events:
                return
            await self._batch(lane, await self._translated(events))
            if time.monotonic() > ends or self._stopping.told:
                self._bells.ring_soon([lane.round])
                return
            if len(events) < limits.ROUTE_BATCH:
                # What comes now comes together: a batch, and a bell, cost much more than a message does.
                await self._stopping.pause(max(0.0, again - time.monotonic()))

    async def _translated(self, events: Sequence[Event]) -> list[Item]:
        """Much text is read beside the loop: the lanes of others do not wait for it."""
        if sum(len(event.body) for event in events) < limits.ROUTE_BYTES_ON_LOOP:
            return self._all_translated(events)
        return await asyncio.to_thread(self._all_translated, events)

    def _all_translated(self, events: Sequence[Event]) -> list[Item]:
        return [Item(event, self._translate(event)) for event in events]

    async def _batch(self, lane: Lane, items: Sequence[Item]) -> None:
        try:
            await self._step(lane, items)
        except Overtaken:
            return
        except StoreRefused:
            # Something in here is poisonous. By halves, in order, it is soon alone, and harms nobody but itself.
            if len(items) == 1:
                await self._alone(lane, items[0])
                return
            middle = len(items) // 2
            await self._batch(lane, items[:middle])
            await self._batch(lane, items[middle:])

    async def _alone(self, lane: Lane, item: Item) -> None:
        reason = ""
        for _ in range(_TRIES_ALONE):
            try:
                await self._step(lane, [item])
            except Overtaken:
                return
            except StoreRefused as exc:
                reason = str(exc)
            else:
                return
        await self._set_aside(lane, item, reason)

    async def _step(self, lane: Lane, items: Sequence[Item]) -> None:
        step = self._step_of(items)
        await step.prepare()
        async with self._database.transaction() as connection:
            await journal.lock_lane(connection, lane)
            marks = await step.write(connection)
            if not await self._mark(connection, marks):
                raise Overtaken
        self._count(lane, marks)
        self._bells.ring_soon(await step.committed())
        log.info("routed", lane=lane.name, queue=lane.queue.value, events=len(items), request_id=_one_id(items))

    def _count(self, lane: Lane, marks: Sequence[Mark]) -> None:
        now = self._now()
        for mark in marks:
            result = Result.FAILURE if mark.state is EventState.UNROUTABLE else Result.SUCCESS
            metrics.event_routed(lane.queue, result, (now - mark.event.received_at).total_seconds())

    async def _mark(self, connection: Connection, marks: Sequence[Mark]) -> bool:
        ours = await journal.mark(connection, marks)
        if heavy := self._budgets.overdrawn([mark.event for mark in marks]):
            await journal.strip(connection, heavy, KEPT_BY_DIGEST)
        return ours

    async def _set_aside(self, lane: Lane, item: Item, reason: str) -> None:
        marks = [Mark(item.event, EventState.UNROUTABLE, f"refused by the store: {reason}")]
        async with self._database.transaction() as connection:
            await self._mark(connection, marks)
        self._count(lane, marks)
        log.warning("set aside", lane=lane.name, event_id=item.event.id, reason=reason)


def plain_mark(item: Item) -> Mark:
    """The mark of an event by its translation alone."""
    match item.routed:
        case Ignored(reason):
            return Mark(item.event, EventState.IGNORED, reason)
        case Unroutable(reason):
            return Mark(item.event, EventState.UNROUTABLE, reason)
        case _:
            return Mark(item.event, EventState.ROUTED)


def _one_id(items: Sequence[Item]) -> str | None:
    return items[0].event.request_id if len(items) == 1 else None
