"""Sweep: bells that were lost, runners that died, receipts that were early, days that are over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import msgspec
import structlog

from zaptrix.bridge.route.receipts import apply_receipts, tell_ended
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.ids import MessageId
from zaptrix.core.message.message import Direction
from zaptrix.core.wording.error_codes import CodeTable
from zaptrix.settings import Settings
from zaptrix.store.accounts import audit, budgets, idempotency, templates
from zaptrix.store.journal import events
from zaptrix.store.ledger import backoffs, claims, confirmations, expiry, messages, receipts
from zaptrix.store.processes import workers

log = structlog.get_logger(__name__)

# Messages of a direction are confirmed to the side which they came from.
_CONFIRMS = {Direction.INBOUND: Queue.META, Direction.OUTBOUND: Queue.BITRIX24}


class SweepPatience(msgspec.Struct, frozen=True, kw_only=True):
    """How long things may lie before the sweep looks at them."""

    late_s: float  # a due thing whose bell should have been answered long ago
    lease_s: float  # a claim whose runner has not come back
    bitrix_verify_wait_s: float
    whatsapp_verify_wait_s: float
    retention_days: int
    message_retention_days: int  # 0: for ever
    audit_retention_days: int  # 0: for ever

    @classmethod
    def of(cls, settings: Settings) -> SweepPatience:
        return cls(
            late_s=settings.sweep_interval_s,
            lease_s=settings.claim_lease_s,
            bitrix_verify_wait_s=settings.bitrix_verify_wait_s,
            whatsapp_verify_wait_s=settings.meta_verify_wait_s,
            retention_days=settings.event_retention_days,
            message_retention_days=settings.message_retention_days,
            audit_retention_days=settings.audit_retention_days,
        )


class Sweep:
    """Every chore is safe to do twice, and by several processes."""

    def __init__(self, ground: Ground, patience: SweepPatience, codes: CodeTable) -> None:
        self._codes = codes
        self._changed = ground.directory.clear  # something was paused: the directory has to look again
        self._database = ground.database
        self._bells = ground.bells
        self._patience = patience
        self._now = ground.now

    async def run(self) -> None:
        """Often: what keeps messages moving. Raises StoreUnavailable."""
        lanes: set[Lane] = set()
        for chore in (self._expired, self._unrouted, self._due, self._unconfirmed, self._parked):
            lanes.update(await chore())
        self._bells.ring_soon(lanes)
        if lanes:
            log.info("swept", lanes=len(lanes))

    async def take_over(self) -> None:
        """What workers held that have ended, at once. Raises StoreUnavailable."""
        self._bells.ring_soon(set(await self._expired()))

    async def keep_house(self) -> None:
        """Seldom: tomorrow's partitions, and what may be forgotten. Raises StoreUnavailable."""
        today = self._now().date()
        async with self._database.connection() as connection:
            for ahead in range(limits.PARTITION_DAYS_AHEAD):
                await events.add_partition(connection, today + timedelta(days=ahead))
            days = await events.forget(connection, today - timedelta(days=self._patience.retention_days))
            if days:
                log.info("forgot days of events", partitions=days)
            await idempotency.forget(connection, limits.IDEMPOTENCY_HOURS)
            await receipts.forget_parked(connection, limits.PARKED_HOURS)
            await templates.forget(connection, self._patience.retention_days)
            await backoffs.forget(connection)
            await budgets.forget(connection, today - timedelta(days=self._patience.retention_days))
            if days_kept := self._patience.audit_retention_days:
                await audit.forget(connection, days_kept)
        if days_kept := self._patience.message_retention_days:
            await self._forget_messages(days_kept)

    async def _forget_messages(self, days_kept: int) -> None:
        """A few at a time: each step is a transaction of its own, and nobody waits for it."""
        gone, after = 0, MessageId(0)
        while True:
            async with self._database.transaction() as connection:
                step = await messages.forget(connection, days_kept, after, limits.FORGET_STEP)
            gone += step.gone
            if step.last is None:
                break
            after = step.last
        if gone:
            log.info("forgot messages", messages=gone)

    async def _expired(self) -> Iterable[Lane]:
        """Messages whose runner died while sending: perhaps they went out, so they are verified."""
        waits_s = self._patience.bitrix_verify_wait_s, self._patience.whatsapp_verify_wait_s
        async with self._database.transaction() as connection:
            ways = await expiry.expire(connection, self._patience.lease_s, *waits_s)
            if ended := await workers.ended(connection):
                ways += await expiry.take_over(connection, ended, *waits_s)
                await workers.forget(connection, limits.WORKER_KEPT_S)
        if ways:
            log.warning("runners died while sending", messages=len(ways))
        return [way.lane for way in ways]

    async def _unrouted(self) -> Iterable[Lane]:
        before = self._now() - timedelta(seconds=self._patience.late_s)
        async with self._database.connection() as connection:
            return await events.rounds_waiting(connection, before, limits.SWEEP_LANES)

    async def _due(self) -> Iterable[Lane]:
        async with self._database.connection() as connection:
            due = await claims.lanes_due(connection, self._patience.late_s, limits.SWEEP_LANES)
        return [way.lane for way in due]

    async def _unconfirmed(self) -> Iterable[Lane]:
        async with self._database.connection() as connection:
            await confirmations.take_over(connection, self._patience.late_s, limits.SWEEP_CONFIRMATIONS)
            late = await confirmations.rounds_late(connection, self._patience.late_s, limits.ROUNDS)
        return [Lane(_CONFIRMS[each.direction], str(each.number)) for each in late]

    async def _parked(self) -> Iterable[Lane]:
        """Receipts that came between a send and its record find their message now."""
        async with self._database.transaction() as connection:
            told = await receipts.unpark(connection)
            applied = [await apply_receipts(connection, [each], self._codes) for each in told]
        for each in applied:
            tell_ended(each.ended)
        if any(each.paused for each in applied):
            self._changed()
        return {lane for each in applied for lane in each.lanes}
