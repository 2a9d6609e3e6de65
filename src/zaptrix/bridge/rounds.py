"""A round of delivery: one runner serves many portals or channels at the same time, and none waits for another.

What breaks in a visit is its own portal's or channel's trouble: it is told, that one is left alone for a while, and the
round goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from zaptrix.bridge.entrance import Entrance
from zaptrix.core import limits
from zaptrix.core.lanes import Lane
from zaptrix.core.message import Direction
from zaptrix.deadlines import Stopping
from zaptrix.queues.bells import Bells
from zaptrix.store import glances
from zaptrix.store.database import Database, StoreUnavailable
from zaptrix.store.glances import Work
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a visit. `again_at`: the platform is to be left alone until then."""

    claimed: bool
    again_at: datetime | None


class Visited(Protocol):
    """What a round is run for: delivery to one side."""

    database: Database
    bells: Bells
    entrance: Entrance
    direction: Direction
    slice_s: float
    held: dict[UUID, datetime]
    stopping: Stopping

    def now(self) -> datetime: ...

    async def visit(self, owner: UUID, *, to_prove: bool) -> Visit: ...

    async def confirm(self, number: int) -> bool:
        """Confirm one batch of what is due; whether there was any."""
        ...


class Round:
    """One runner's time with one round."""

    def __init__(self, side: Visited, lane: Lane) -> None:
        self._side = side
        self._lane = lane
        self._visits: dict[asyncio.Task[Visit], UUID] = {}
        self._confirming: asyncio.Task[bool] | None = None
        self._in_vain: dict[UUID | None, float] = {}  # until when not to try again; None: the confirmations
        self._ends = 0.0

    async def run(self) -> None:
        """Until nothing is due, or the time is up. Raises StoreUnavailable."""
        self._ends = time.monotonic() + self._side.slice_s
        try:
            while True:
                if self._side.stopping.told:
                    await self._stop()
                    return
                # While somebody waits at the entrance, whoever else is found could only queue up behind them.
                if not (self._visits and self._side.entrance.is_full):
                    work = await self._look()
                    self._begin(work)
                    if not self._under_way:
                        await self._ring_later(work)
                        return
                await self._pause()
                if time.monotonic() >= self._ends and await self._leave():
                    return
        finally:
            await self._land()

    @property
    def _under_way(self) -> list[asyncio.Task[Visit] | asyncio.Task[bool]]:
        return [*self._visits, *([self._confirming] if self._confirming else [])]

    async def _look(self) -> list[Work]:
        """What is open. While somebody is under way a store that is away is asked again, so that nobody is left."""
        try:
            async with self._side.database.connection() as connection:
                return await glances.glance(connection, self._side.direction, self._lane.number)
        except StoreUnavailable:
            if not self._under_way:
                raise
            return []

    def _begin(self, work: Sequence[Work]) -> None:
        """Go wherever something is due and nobody is yet."""
        busy, now = set(self._visits.values()), self._side.now()
        for each in work:
            if not each.due or self._in_vain.get(each.id, 0.0) > time.monotonic():
                continue
            if each.id is None:
                self._confirming = self._confirming or asyncio.create_task(self._confirm())
            elif each.id not in busy and self._side.held.get(each.id, now) <= now:
                visit = self._visit(each.id, to_prove=each.to_prove)
                self._visits[asyncio.create_task(visit)] = each.id

    async def _visit(self, owner: UUID, *, to_prove: bool) -> Visit:
        try:
            return await self._side.visit(owner, to_prove=to_prove)
        except StoreUnavailable as exc:
            log.warning("visit put off", owner=str(owner), reason=str(exc))
        except Exception:
            metrics.alarmed(AlarmKind.DRAIN_FAILED)
            log.exception("visit failed", owner=str(owner), alarm=True)
        return Visit(claimed=True, again_at=self._side.now() + timedelta(seconds=limits.BROKEN_VISIT_S))

    async def _confirm(self) -> bool:
        try:
            return await self._side.confirm(self._lane.number)
        except StoreUnavailable as exc:
            log.warning("confirmations put off", reason=str(exc))
        except Exception:
            metrics.alarmed(AlarmKind.DRAIN_FAILED)
            log.exception("confirmations failed", alarm=True)
        return False

    async def _pause(self) -> None:
        """Until somebody comes back, but not for less than lets a few of them come back together."""
        began = time.monotonic()
        await asyncio.wait(self._under_way, timeout=limits.LOOK_EVERY_S_MAX, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(max(0.0, began + limits.LOOK_EVERY_S - time.monotonic()))
        self._take_in()

    def _take_in(self) -> None:
        """What those who came back tell."""
        again = time.monotonic() + limits.IN_VAIN_S
        for task in [task for task in self._visits if task.done()]:
            owner = self._visits.pop(task)
            visit = task.result()
            if visit.again_at is not None:
                self._side.held[owner] = visit.again_at
            if not visit.claimed:
                # What is due waits for something else than time: a key, another runner, the one before it.
                self._in_vain[owner] = again
        if self._confirming is not None and self._confirming.done():
            done, self._confirming = self._confirming, None
            if not done.result():
                self._in_vain[None] = again

    async def _leave(self) -> bool:
        """The time is up: another round may want this place. Who waits for a slow platform keeps it, so that meanwhile
        the others of the round are served."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=limits.LEAVE_S_MAX)
            self._take_in()
        if self._under_way:
            self._ends = time.monotonic() + self._side.slice_s
            return False
        self._side.bells.ring_soon([self._lane])
        return True

    async def _stop(self) -> None:
        """Nobody sets out any more; who is under way ends soon, and another process goes on with the round."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._side.bells.ring_soon([self._lane])

    async def _ring_later(self, work: Iterable[Work]) -> None:
        held, now = self._side.held, self._side.now()
        for owner in [owner for owner, at in held.items() if at <= now]:
            del held[owner]
        times = [each.next_at for each in work if each.next_at is not None]
        times += [held[each.id] for each in work if each.id in held]
        if times:
            await self._side.bells.later(self._lane, min(times))

    async def _land(self) -> None:
        """Calls in flight are not dropped when the round fails: their outcome is wanted all the same."""
        if self._under_way:
            landed, _ = await asyncio.wait(self._under_way, timeout=limits.LANDING_S_MAX)
            for task in landed:
                task.cancelled() or task.exception()  # the round has failed already, and says why
