"""Routes events to messages, in batches of one transaction.

It holds what both directions share: batches, fences against a second runner, and the isolation of events that fail.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

import msgspec
import structlog

from zaptrix.bridge.route.handover import HandingOver
from zaptrix.bridge.tenants.budgets import KEPT_BY_DIGEST
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.gathering import pause_at, rate_after
from zaptrix.core.delivery.lanes import Lane, delivery_lane
from zaptrix.core.event import Event, EventState, Ignored, Routed, Unroutable
from zaptrix.core.ids import AttemptId
from zaptrix.core.portal import Channel
from zaptrix.store.connection.database import Connection, StoreConflict, StoreRefused, StoreUnavailable
from zaptrix.store.journal import events as journal
from zaptrix.store.journal.events import EventMark
from zaptrix.store.ledger import messages
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import Result

log = structlog.get_logger(__name__)

# A refusal may be about what another lane wrote at the same moment: the second try sees it.
_TRIES_ALONE = 2


class TranslatedEvent(msgspec.Struct, frozen=True):
    """An event and what translation made of it."""

    event: Event
    routed: Routed


class Overtaken(Exception):
    """Another runner routed these events first: nothing of this batch may be kept."""


class Elsewhere(Exception):
    """Another transaction is routing some rounds of this batch right now."""

    def __init__(self, rounds: frozenset[Lane]) -> None:
        super().__init__()
        self.rounds = rounds


class Step(Protocol):
    """One batch of events on its way into the ledger."""

    handing: HandingOver

    @property
    def numbers(self) -> Mapping[str, Channel]:
        """Numbers whose events are routed by what this process remembers of them."""
        ...

    async def prepare(self) -> None:
        """Look up, before the transaction opens, what may take a moment."""
        ...

    def forget(self) -> None:
        """What is remembered of the numbers is no longer so."""
        ...

    async def write(self, connection: Connection) -> list[EventMark]:
        """Write what the events say; what became of each of them."""
        ...

    async def committed(self) -> Iterable[Lane]:
        """It is on disk: the lanes to ring."""
        ...


class Route:
    """Drains the rounds of one direction: all that were rung in this process, in one batch.

    A bell that is rung while its round is drained rings again when that drain ends (`broker.queues.bells`): what a look
    does not see has a bell of its own.
    """

    def __init__(
        self,
        ground: Ground,
        translate: Callable[[Event], Routed],
        step_of: Callable[[Sequence[TranslatedEvent]], Step],
        slice_s: float,
    ) -> None:
        self._database = ground.database
        self._bells = ground.bells
        self._budgets = ground.budgets
        self._translate = translate
        self._step_of = step_of
        self._slice_s = slice_s
        self._now = ground.now
        self._stopping = ground.stopping
        self._asked: dict[Lane, asyncio.Future[None]] = {}  # rounds that were rung, and who waits for them
        self._draining: asyncio.Task[None] | None = None
        self._came = asyncio.Event()  # another round was rung
        self._again: set[Lane] = set()  # rounds to look at once more
        self._rate = 0.0  # events a second, of late
        self._looked_at = -math.inf
        self._doubtful: set[asyncio.Task[None]] = set()

    async def drain(self, lane: Lane) -> None:
        """Route what waits in the round of `lane`, for a slice of time. Raises StoreUnavailable."""
        if lane.round in self._asked:
            self._again.add(lane.round)  # Redis forgot that it is being drained: the look may have been before
        else:
            self._asked[lane.round] = asyncio.get_running_loop().create_future()
        self._came.set()
        drained = self._asked[lane.round]
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
            self._draining.add_done_callback(_told)
        try:
            await asyncio.shield(drained)
        except asyncio.CancelledError:
            if not drained.done() and self._asked.pop(lane.round, None) is drained and not self._asked:
                self._draining.cancel()
                await asyncio.wait({self._draining})
            raise

    async def _drain(self) -> None:
        """Until nobody waits for a round any more."""
        try:
            while self._asked:
                await self._slice()
        finally:
            self._fail(sys.exception())

    def _fail(self, error: BaseException | None) -> None:
        """Whoever still waits is told why nobody goes on."""
        asked, self._asked = self._asked, {}
        for drained in asked.values():
            if not drained.done():
                drained.set_exception(error) if isinstance(error, Exception) else drained.cancel()

    def _drained(self, rounds: Iterable[Lane]) -> None:
        for lane in rounds:
            if (drained := self._asked.pop(lane, None)) and not drained.done():
                drained.set_result(None)

    async def _slice(self) -> None:
        ends = time.monotonic() + self._slice_s
        while rounds := sorted(self._asked, key=lambda lane: lane.name):
            began = time.monotonic()
            self._came.clear()
            self._again.clear()
            async with self._database.connection() as connection:
                events = await journal.waiting(connection, rounds, limits.ROUTE_BATCH)
            if events:
                await self._batch(await self._translated(events))
            if time.monotonic() > ends or self._stopping.told:
                self._bells.ring_soon(rounds)
                self._drained(rounds)
                return
            pause_s = self._pause_s(len(events), began)
            if len(events) == limits.ROUTE_BATCH or self._again:
                continue
            if not events or not pause_s:
                # A quiet moment: the next bell is quicker than the next look.
                self._drained(rounds)
            else:
                await self._gather(began + pause_s - time.monotonic())

    def _pause_s(self, events: int, began: float) -> float:
        """How long after it began a look is followed by the next one; 0: there is nothing to wait for."""
        self._rate = rate_after(self._rate, events, began - self._looked_at)
        self._looked_at = began
        return pause_at(self._rate)

    async def _gather(self, seconds: float) -> None:
        """What comes now comes together: a batch, and a bell, cost much more than a message does. A round that is rung
        meanwhile is not kept waiting."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._came.wait()

    async def _translated(self, events: Sequence[Event]) -> list[TranslatedEvent]:
        """Much text is read beside the loop: the lanes of others do not wait for it."""
        if sum(len(event.body) for event in events) < limits.ROUTE_BYTES_ON_LOOP:
            return self._all_translated(events)
        return await asyncio.to_thread(self._all_translated, events)

    def _all_translated(self, events: Sequence[Event]) -> list[TranslatedEvent]:
        return [TranslatedEvent(event, self._translate(event)) for event in events]

    async def _batch(self, items: Sequence[TranslatedEvent]) -> frozenset[Lane]:
        """Route them. The rounds of which some are left: nothing that came later may go before those."""
        try:
            await self._step(items)
        except (Overtaken, StoreConflict):
            return self._look_again(items)
        except Elsewhere as exc:
            await self._put_off(exc.rounds)
            return exc.rounds | await self._batch_but(exc.rounds, items)
        except StoreRefused:
            # An event in here cannot be routed. By halves, in order, it is soon alone, and harms no other event.
            if len(items) == 1:
                return await self._alone(items[0])
            middle = len(items) // 2
            left = await self._batch(items[:middle])
            return left | await self._batch_but(left, items[middle:])
        return frozenset()

    async def _batch_but(self, left: frozenset[Lane], items: Sequence[TranslatedEvent]) -> frozenset[Lane]:
        rest = [item for item in items if item.event.lane.round not in left]
        return await self._batch(rest) if rest else frozenset()

    async def _alone(self, item: TranslatedEvent) -> frozenset[Lane]:
        reason = ""
        for _ in range(_TRIES_ALONE):
            try:
                await self._step([item])
            except (Overtaken, StoreConflict):
                return self._look_again([item])
            except Elsewhere as exc:
                await self._put_off(exc.rounds)
                return exc.rounds
            except StoreRefused as exc:
                reason = str(exc)
            else:
                return frozenset()
        await self._set_aside(item, reason)
        return frozenset()

    def _look_again(self, items: Sequence[TranslatedEvent]) -> frozenset[Lane]:
        rounds = rounds_of(items)
        self._again |= rounds
        return rounds

    async def _put_off(self, rounds: Collection[Lane]) -> None:
        """Another transaction is routing these rounds: nobody waits for it, but looks again in a while."""
        at = self._now() + timedelta(seconds=limits.ROUTE_ELSEWHERE_S)
        for lane in rounds:
            await self._bells.later(lane, at)
        self._drained(rounds)

    async def _step(self, items: Sequence[TranslatedEvent]) -> None:
        rounds = rounds_of(items)
        step = self._step_of(items)
        await step.prepare()
        try:
            async with self._database.transaction() as connection:
                await self._begin(connection, rounds, step)
                marks = await step.write(connection)
                if not await self._mark(connection, marks):
                    raise Overtaken
        except StoreConflict:
            raise  # it gave way as a whole
        except (StoreUnavailable, asyncio.CancelledError):
            self._give_back(step.handing.attempts)
            raise
        step.handing.committed()
        self._count(marks)
        self._bells.ring_soon(await step.committed())
        names = sorted(lane.name for lane in rounds)
        log.info(
            "routed", queue=items[0].event.lane.queue.value, rounds=names, events=len(items), request_id=_one_id(items)
        )

    async def _begin(self, connection: Connection, rounds: frozenset[Lane], step: Step) -> None:
        begun = await journal.begin(connection, rounds, step.numbers)
        if begun.elsewhere:
            raise Elsewhere(begun.elsewhere)
        if begun.gone_over:
            step.forget()
            raise Overtaken

    def _give_back(self, attempts: Sequence[AttemptId]) -> None:
        """Nobody was told whether the batch is on disk. What was claimed with it is in nobody's hands."""
        if attempts:
            task = asyncio.create_task(self._given_back(attempts))
            self._doubtful.add(task)
            task.add_done_callback(self._doubtful.discard)

    async def _given_back(self, attempts: Sequence[AttemptId]) -> None:
        while True:
            await asyncio.sleep(limits.ROUTE_DOUBT_S)
            with suppress(StoreUnavailable):
                async with self._database.connection() as connection:
                    moved = await messages.give_back(connection, attempts)
                self._bells.ring_soon({delivery_lane(one.direction, one.lane_id) for one in moved})
                return

    def _count(self, marks: Sequence[EventMark]) -> None:
        now = self._now()
        for mark in marks:
            queue = mark.event.lane.queue
            result = Result.FAILURE if mark.state is EventState.UNROUTABLE else Result.SUCCESS
            metrics.event_routed(queue, result, (now - mark.event.received_at).total_seconds())

    async def _mark(self, connection: Connection, marks: Sequence[EventMark]) -> bool:
        ours = await journal.mark(connection, marks)
        if heavy := self._budgets.overdrawn([mark.event for mark in marks]):
            await journal.strip(connection, heavy, KEPT_BY_DIGEST)
        return ours

    async def _set_aside(self, item: TranslatedEvent, reason: str) -> None:
        marks = [EventMark(item.event, EventState.UNROUTABLE, f"refused by the store: {reason}")]
        async with self._database.transaction() as connection:
            await self._mark(connection, marks)
        self._count(marks)
        log.warning("set aside", lane=item.event.lane.name, event_id=item.event.id, reason=reason)


def _told(task: asyncio.Task[None]) -> None:
    """What it raised was told to those who waited."""
    task.cancelled() or task.exception()


def rounds_of(items: Iterable[TranslatedEvent]) -> frozenset[Lane]:
    """The rounds that events came in."""
    return frozenset(item.event.lane.round for item in items)


def plain_mark(item: TranslatedEvent) -> EventMark:
    """The mark of an event by its translation alone."""
    match item.routed:
        case Ignored(reason):
            return EventMark(item.event, EventState.IGNORED, reason)
        case Unroutable(reason):
            return EventMark(item.event, EventState.UNROUTABLE, reason)
        case _:
            return EventMark(item.event, EventState.ROUTED)


def _one_id(items: Sequence[TranslatedEvent]) -> str | None:
    return items[0].event.request_id if len(items) == 1 else None
