"""Confirm: tell the side that a message came from that it has arrived on the other.

Bitrix24 gets `imconnector.send.status.delivery` when WhatsApp took the operator's message, and the first one counts;
WhatsApp gets the blue ticks when the customer's message is in Bitrix24 for sure. Repeating either changes nothing.

How: from memory, as soon as the platform has accepted the message; the ledger's row is for whom that way does not suit,
for what failed on it, and for who comes after a crash. That the ledger does not know of the arrival yet does no harm:
what a platform has accepted is there. Should the settlement be lost, the message is searched for and found, or for want
of proof told to the operator as perhaps sent; it is not sent again as if nothing had been.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from msgspec.structs import replace

from zaptrix.bridge.deliver.call_limit import CallBounds
from zaptrix.bridge.deliver.tick import Tick
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.claim import Claim, is_awaited
from zaptrix.core.delivery.errors import OutOfTime, Refused, TooFast, Unauthorized, Unavailable
from zaptrix.core.delivery.outcome import Accepted, Outcome
from zaptrix.core.delivery.retry import backoff_s
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.message.message import Direction, Side
from zaptrix.core.ports import Platform
from zaptrix.deadlines import Deadline
from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.connection.group_commit import GroupCommit
from zaptrix.store.ledger import confirmations
from zaptrix.store.ledger.claims import ClaimedRow
from zaptrix.store.ledger.confirmations import ConfirmEnd
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)


_RECORD_S = 0.05  # nobody waits for it

# Which messages' arrival a side is told of: those that came from it.
_TOLD_OF = {Side.WHATSAPP: Direction.INBOUND, Side.BITRIX24: Direction.OUTBOUND}
# How long the first of a quiet moment waits for others of its call. A read mark is of one conversation alone; a portal
# takes many confirmations at once, and few calls a second.
_GATHER_S = {Side.WHATSAPP: 0.0, Side.BITRIX24: 0.05}


class _Waiting:
    """Ticks that share a call."""

    __slots__ = ("is_called", "ticks", "timer")

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.timer: asyncio.TimerHandle | None = None
        self.is_called = False  # a call is under way, or about to be


class Confirmer:
    """Confirms to one side."""

    def __init__(self, platform: Platform, ground: Ground, bounds: CallBounds) -> None:
        self._platform = platform
        self._told_of = _TOLD_OF[platform.side]
        self._database = ground.database
        self._directory = ground.directory
        self._limit = bounds.limit
        self._now = ground.now
        self._lease_s = bounds.lease_s
        self._stopping = ground.stopping
        self._group: GroupCommit[ConfirmEnd, None] = GroupCommit(
            self._record, items_max=limits.CONFIRM_BATCH, groups_at_once=1, gather_s=_RECORD_S
        )
        self._waiting: dict[UUID, _Waiting] = {}
        self._ready: deque[UUID] = deque()  # whose call may begin when there is room for it
        self._ended: list[ConfirmEnd] = []  # to be recorded together
        self._tasks: set[asyncio.Task[None]] = set()

    # --- from memory --------------------------------------------------------------------------------------------------

    def arrived(self, claim: Claim, accepted: Accepted, *, followed: bool) -> Tick | None:
        """The other side has just accepted a message of this one: tell it, while the settlement is written.

        `followed`: more waits behind it in its conversation, and the read mark of that speaks for this one, too.
        None: it is for the ledger's row alone, or nobody waits for it.
        """
        told = claim if self._told_of is Direction.INBOUND else replace(claim, whatsapp_id=accepted.whatsapp_id)
        if self._stopping.told or not self._goes_from_memory(told):
            return None
        tick = Tick(told, self._record_soon, followed=followed and self._told_of is Direction.INBOUND)
        key = told.conversation.id if self._told_of is Direction.INBOUND else told.portal.id
        waiting = self._waiting.setdefault(key, _Waiting())
        waiting.ticks.append(tick)
        self._plan(key, waiting)
        return tick

    def _goes_from_memory(self, claim: Claim) -> bool:
        if not is_awaited(claim, self._told_of) or claim.whatsapp_id is None:
            return False
        if self._told_of is Direction.INBOUND:
            return claim.channel.whatsapp_paused_at is None
        # Parts of an operator's message have arrived when none of them is on its way any more: the ledger knows.
        return claim.alone and claim.channel.line_paused_at is None and claim.portal.paused_at is None

    def _plan(self, key: UUID, waiting: _Waiting) -> None:
        """Have the next call of these begun in its time; what comes while one is under way shares the next."""
        if waiting.is_called:
            return
        if not waiting.ticks:
            self._waiting.pop(key, None)
            return
        waits_for_next = waiting.ticks[-1].followed
        if waiting.timer is not None:
            if waits_for_next or _GATHER_S[self._platform.side]:
                return
            waiting.timer.cancel()
        wait_s = limits.TICK_FOLLOWED_S if waits_for_next else _GATHER_S[self._platform.side]
        if wait_s:
            waiting.timer = asyncio.get_running_loop().call_later(wait_s, self._queue, key, waiting)
        else:
            self._queue(key, waiting)

    def _queue(self, key: UUID, waiting: _Waiting) -> None:
        waiting.timer, waiting.is_called = None, True
        self._ready.append(key)
        self._launch()

    def _launch(self) -> None:
        while self._ready and self._limit.free:
            key, place = self._ready.popleft(), ExitStack()
            place.enter_context(self._limit.place())
            self._run(self._tell(key, place))
        if self._ready:
            self._limit.when_free(self._launch)

    async def _tell(self, key: UUID, place: ExitStack) -> None:
        waiting = self._waiting[key]
        ticks, waiting.ticks = waiting.ticks[: limits.CONFIRM_BATCH], waiting.ticks[limits.CONFIRM_BATCH :]
        try:
            with place:
                outcomes = await self._called(ticks)
            for tick, outcome in zip(ticks, outcomes, strict=True):
                tick.ended(self._end(tick.claim, outcome))
        finally:
            waiting.is_called = False
            self._plan(key, waiting)

    async def _called(self, ticks: Sequence[Tick]) -> Sequence[Outcome]:
        if self._stopping.told or not ticks:
            return [_LEFT] * len(ticks)
        # Soon their rows are due: then somebody else tells them.
        deadline = self._stopping.deadline(min(tick.since for tick in ticks), limits.TICK_ROW_S)
        if not deadline.may_begin:
            return [_LEFT] * len(ticks)
        return await self._asked([tick.claim for tick in ticks], deadline)

    def _run(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[object, object, object]) -> None:
        """What breaks is told, and left to the ledger's rows."""
        try:
            await work
        except StoreUnavailable as exc:
            log.warning("confirmations put off", reason=str(exc))
        except Exception:
            metrics.alarmed(AlarmKind.DRAIN_FAILED)
            log.exception("confirmations failed", alarm=True)

    def _record_soon(self, end: ConfirmEnd) -> None:
        if not self._ended:
            asyncio.get_running_loop().call_later(_RECORD_S, self._record_ended)
        self._ended.append(end)

    def _record_ended(self) -> None:
        if self._ended:
            ends, self._ended = self._ended, []
            self._run(self._record(ends))

    async def landed(self) -> None:
        """Leave what waits to its rows, due now, and see through what is under way: this process ends, and whatever
        was delivered has been settled."""
        for waiting in list(self._waiting.values()):
            if waiting.timer is not None:
                waiting.timer.cancel()
                waiting.timer = None
            ticks, waiting.ticks = waiting.ticks, []
            for tick in ticks:
                tick.ended(self._end(tick.claim, _LEFT))
        while self._tasks or self._ended:
            self._record_ended()
            await asyncio.wait(self._tasks)

    # --- from the ledger ----------------------------------------------------------------------------------------------

    async def drain(self, number: int) -> bool:
        """Confirm what is due in a round, one batch of it; whether there was any. Raises StoreUnavailable.

        Nobody waits for a portal that is slow: each one's confirmations are recorded as they end.
        """
        claimed_s = elapsed_s()
        async with self._database.connection() as connection:
            due = await confirmations.claim(connection, self._told_of, number, limits.CONFIRM_BATCH, self._lease_s)
        claims = [claim for row in due.rows if (claim := await self._claim(row))]
        by_portal = defaultdict[PortalId, list[Claim]](list)
        for claim in claims:
            by_portal[claim.portal.id].append(claim)
        deadlines = [self._stopping.deadline(claimed_s, self._lease_s) for _ in by_portal]
        await asyncio.gather(*map(self._confirm, by_portal.values(), deadlines))
        return due.any

    async def _confirm(self, claims: Sequence[Claim], deadline: Deadline) -> None:
        with self._limit.place():
            outcomes = await self._asked(claims, deadline)
        await self._group.add([self._end(*each) for each in zip(claims, outcomes, strict=True)])

    async def _claim(self, row: ClaimedRow) -> Claim | None:
        tenant = await self._directory.channel(ChannelId(row.channel_id))
        return row.to_claim(tenant.channel, tenant.portal) if tenant else None

    # --- both ---------------------------------------------------------------------------------------------------------

    async def _asked(self, claims: Sequence[Claim], deadline: Deadline) -> Sequence[Outcome]:
        try:
            async with deadline.kept():
                return await self._platform.confirm(claims)
        except TimeoutError:
            return [OutOfTime("claim_ran_out", "it took longer than a claim lasts")] * len(claims)

    async def _record(self, ends: list[ConfirmEnd]) -> Sequence[None]:
        async with self._database.connection() as connection:
            await confirmations.end(connection, ends, limits.ATTEMPTS_MAX)
        return [None] * len(ends)

    def _end(self, claim: Claim, outcome: Outcome) -> ConfirmEnd:
        if isinstance(outcome, Refused):
            log.warning("not confirmed", message_id=claim.message_id, code=outcome.code, request_id=claim.request_id)
        return ConfirmEnd(
            message_id=claim.message_id,
            again_at=None if isinstance(outcome, Accepted | Refused) else self._again_at(outcome),
            # An outage or a bad key is not this confirmation's fault; anything else gives it five tries.
            costs_an_attempt=not isinstance(outcome, Accepted | OutOfTime | TooFast | Unavailable | Unauthorized),
        )

    def _again_at(self, outcome: Outcome) -> datetime:
        if outcome is _LEFT:
            return self._now()
        spread = random.random()  # noqa: S311  # spreads retries
        return self._now() + timedelta(seconds=backoff_s(2, spread, self._platform.patience.base_s))


_LEFT = OutOfTime("left", "not begun: it is left to who claims its row")
