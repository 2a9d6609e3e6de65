"""Deliver: claim, send, judge, settle; several conversations at once, never two calls for one."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from uuid import UUID, uuid4

import structlog

from zaptrix.bridge.attachments import Attachments
from zaptrix.bridge.confirmer import Confirmer
from zaptrix.bridge.directory import Directory
from zaptrix.bridge.entrance import Entrance
from zaptrix.bridge.finish import Finish
from zaptrix.bridge.rounds import Round, Visit
from zaptrix.bridge.settle import Judged, Settler
from zaptrix.core import limits
from zaptrix.core.errors import (
    OutOfTime,
    PlatformError,
    Refused,
    StaleUpload,
    TooFast,
    Unauthorized,
    Unavailable,
    Unclear,
)
from zaptrix.core.ids import AttemptId, ChannelId
from zaptrix.core.lanes import Lane
from zaptrix.core.message import Direction, Side
from zaptrix.core.outcome import Outcome, Proof
from zaptrix.core.parcel import Parcel
from zaptrix.core.ports import Call, Platform, Witness
from zaptrix.core.retry import Case, Sent, Snooze, Verdict, decide, decide_proof
from zaptrix.deadlines import Deadline, Stopping
from zaptrix.elapsed import elapsed_s
from zaptrix.queues.bells import Bells
from zaptrix.store import claims
from zaptrix.store.claims import Ask, ClaimedRow, Way
from zaptrix.store.database import Database
from zaptrix.store.group import GroupCommit
from zaptrix.telemetry import metrics
from zaptrix.telemetry.causes import CallFailure

log = structlog.get_logger(__name__)

DIRECTIONS = {Side.BITRIX24: Direction.INBOUND, Side.WHATSAPP: Direction.OUTBOUND}
_CAUSES = {
    TooFast: CallFailure.TOO_FAST,
    OutOfTime: CallFailure.OUT_OF_TIME,
    Unavailable: CallFailure.UNAVAILABLE,
    Unclear: CallFailure.UNCLEAR,
    StaleUpload: CallFailure.STALE_UPLOAD,
    Refused: CallFailure.REFUSED,
    Unauthorized: CallFailure.UNAUTHORIZED,
}
_CLAIMS_TOGETHER = 100
_CLAIMS_AT_ONCE = 2


class Delivery:
    """Drains the delivery lanes of one side."""

    def __init__(  # noqa: PLR0917  # the composition root hands everything over, once
        self,
        platform: Platform,
        database: Database,
        directory: Directory,
        settler: Settler,
        confirmer: Confirmer,
        bells: Bells,
        entrance: Entrance,
        attachments: Attachments,
        finishing: Sequence[Finish],
        *,
        now: Callable[[], datetime],
        slice_s: float,
        lease_s: float,
        stopping: Stopping | None = None,
        witness: Witness | None = None,
    ) -> None:
        self.platform = platform
        self.witness = witness  # for a platform that cannot be asked itself
        self.direction = DIRECTIONS[platform.side]
        self.database = database
        self.directory = directory
        self.settler = settler
        self.confirmer = confirmer
        self.bells = bells
        self.entrance = entrance
        self.attachments = attachments
        self.finishing = finishing
        self.now = now
        self.slice_s = slice_s
        self.lease_s = lease_s
        self.stopping = stopping or Stopping()
        self.claiming: GroupCommit[Ask, list[ClaimedRow]] = GroupCommit(
            self._claim, items_max=_CLAIMS_TOGETHER, groups_at_once=_CLAIMS_AT_ONCE, gather_s=0.0
        )
        self.held: dict[UUID, datetime] = {}  # portals and channels that are to be left alone until then

    async def drain(self, lane: Lane) -> None:
        """Deliver what is due in a round of portals or channels, for a slice of time. Raises StoreUnavailable."""
        await Round(self, lane).run()

    async def visit(self, owner: UUID, *, to_prove: bool) -> Visit:
        """Deliver what is due to one portal or channel, for a slice of time. Raises StoreUnavailable."""
        async with self.entrance.through():
            slice_ = _Slice(self, owner, time.monotonic() + self.slice_s)
            if to_prove:
                await slice_.prove()
            await slice_.deliver()
        return Visit(claimed=slice_.claimed, again_at=slice_.again_at)

    async def confirm(self, number: int) -> bool:
        """Confirm one batch of what is due in a round; whether there was any. Raises StoreUnavailable."""
        return await self.confirmer.drain(number)

    async def _claim(self, asks: list[Ask]) -> Sequence[list[ClaimedRow]]:
        async with self.database.connection() as connection:
            # From anywhere: no conversation is always the last to be served.
            return await claims.claim_to_send(connection, self.direction, asks, after=uuid4())

    def judge(self, parcel: Parcel, outcome: Outcome) -> Judged:
        if isinstance(outcome, PlatformError):
            metrics.call_failed(self.platform.side, _cause(outcome))
        return self.judged(parcel, decide(outcome, self._case(parcel)))

    def judge_proof(self, parcel: Parcel, proof: Proof) -> Judged:
        return self.judged(parcel, decide_proof(proof, self._case(parcel)), proving=True)

    def judged(self, parcel: Parcel, verdict: Verdict, *, proving: bool = False) -> Judged:
        return Judged(parcel=parcel, direction=self.direction, verdict=verdict, at=self.now(), proving=proving)

    def _case(self, parcel: Parcel) -> Case:
        return Case(
            attempts=parcel.attempts,
            unclear=parcel.unclear,
            created_at=parcel.created_at,
            now=self.now(),
            jitter=random.random(),  # noqa: S311  # spreads retries, hides nothing
            patience=self.platform.patience,
            reuploaded=parcel.attachment is not None and parcel.attachment.reuploaded,
        )


class _Slice:
    """One runner's time with one portal or channel."""

    def __init__(self, delivery: Delivery, owner: UUID, ends: float) -> None:
        self._delivery = delivery
        self._platform = delivery.platform
        self._way = Way(delivery.direction, owner)
        self._more = True  # perhaps something is due that was not claimed yet
        self._followed = False  # a call in flight holds messages of its conversation that wait behind it
        self._ends = ends
        self.claimed = False
        self.again_at: datetime | None = None  # the platform as a whole is to be left alone until then

    async def deliver(self) -> None:
        """Keep calls in flight until nothing is due, time is up, or the platform as a whole has to be left alone."""
        flying: set[asyncio.Task[None]] = set()
        try:
            while True:
                room = self._platform.calls_at_once - len(flying)
                # Half of the window at a time: a claim costs as much as sending does, so it has to be for several.
                if (self._more or flying) and (2 * room >= self._platform.calls_at_once):
                    for carried in await self._next_calls(room):
                        flying.add(asyncio.create_task(carried))
                if not flying:
                    return
                done, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                # They may have failed together, as members of one group: each is asked, and the first one raised.
                if failed := [error for task in done if (error := task.exception())]:
                    raise failed[0]
                if self._followed and not flying:
                    # A claim while calls were in flight could not see what they held; now it is free.
                    self._more, self._followed = True, False
        finally:
            await _land(flying)

    async def prove(self) -> None:
        """Look for the proof of calls that had no clear answer, before anything else is sent."""
        while not self._is_over:
            claimed_s = elapsed_s()
            parcels = await self._claim(
                lambda attempt_id: self._claim_to_prove(attempt_id, self._platform.calls_at_once)
            )
            if not parcels:
                return
            parcels = await self._delivery.attachments.recall(parcels)
            proofs = await asyncio.gather(*(self._prove(parcel, claimed_s) for parcel in parcels))
            judged = [self._delivery.judge_proof(parcel, proof) for parcel, proof in zip(parcels, proofs, strict=True)]
            self._note(judged)
            await self._delivery.settler.settle(judged)

    @property
    def _is_over(self) -> bool:
        return self._delivery.stopping.told or time.monotonic() >= self._ends

    async def _prove(self, parcel: Parcel, claimed_s: float) -> Proof:
        try:
            async with self._delivery.stopping.deadline(claimed_s, self._delivery.lease_s).kept():
                if parcel.suspect and self._delivery.witness is not None:
                    return await self._delivery.witness.delivered(parcel)
                return await self._platform.prove(parcel)
        except TimeoutError:
            return OutOfTime("claim_ran_out", "the search took longer than a claim lasts")

    async def _next_calls(self, room: int) -> list[Coroutine[None, None, None]]:
        if self.again_at is not None or self._is_over:
            return []
        claimed_s, lease_s = elapsed_s(), self._delivery.lease_s
        limit = room * self._platform.parcels_per_call
        parcels = await self._claim(lambda attempt_id: self._claim_to_send(attempt_id, limit))
        for step in self._delivery.finishing:
            parcels, waiting = await step.finish(parcels)
            if waiting:
                later = Snooze(step.until(), step.wanted)
                await self._delivery.settler.settle([self._delivery.judged(parcel, later) for parcel in waiting])
        calls = self._platform.calls(await self._delivery.attachments.attach(parcels))
        return [self._carry(call, self._delivery.stopping.deadline(claimed_s, lease_s)) for call in calls]

    async def _carry(self, call: Call, deadline: Deadline) -> None:
        outcomes = await self._send(call, deadline)
        judged = [self._delivery.judge(parcel, outcome) for parcel, outcome in zip(call, outcomes, strict=True)]
        self._mind(zip(outcomes, judged, strict=True))
        self._note(judged)
        await self._delivery.settler.settle(judged)

    async def _send(self, call: Call, deadline: Deadline) -> list[Outcome]:
        """Send while the claim lasts, and leave off in time: then somebody else may take the messages up."""
        if not deadline.may_begin:
            return [OutOfTime("claim_ran_out", "too much of the claim was over before the call")] * len(call)
        try:
            async with deadline.kept():
                return await self._platform.send(call)
        except TimeoutError:
            return [Unclear("claim_ran_out", "the call took longer than a claim lasts")] * len(call)

    def _mind(self, ended: Iterable[tuple[Outcome, Judged]]) -> None:
        """When it is the platform that has to be left alone, and not one conversation, stop claiming."""
        for outcome, judged in ended:
            if isinstance(outcome, Unauthorized):
                self.again_at = self.again_at or self._delivery.now()
            elif isinstance(outcome, Unavailable) or (isinstance(outcome, TooFast) and not outcome.one_conversation):
                at: datetime | None = getattr(judged.verdict, "at", None)
                if at is not None and (self.again_at is None or at < self.again_at):
                    self.again_at = at

    def _note(self, judged: Iterable[Judged]) -> None:
        # What is buried lets the next one go, and leaves a notice behind it in the same lane.
        self._more |= any(not isinstance(each.verdict, Sent) for each in judged)

    async def _claim_to_send(self, attempt_id: AttemptId, limit: int) -> list[ClaimedRow]:
        (rows,) = await self._delivery.claiming.add([Ask(self._way.lane_id, attempt_id, limit)])
        self._more = len(rows) == limit
        self._followed |= any(row.followed for row in rows)
        return rows

    async def _claim_to_prove(self, attempt_id: AttemptId, limit: int) -> list[ClaimedRow]:
        async with self._delivery.database.connection() as connection:
            return await claims.claim_to_prove(
                connection, self._way, attempt_id, limit=limit, lease_s=self._delivery.lease_s
            )

    async def _claim(self, claim: Callable[[AttemptId], Awaitable[list[ClaimedRow]]]) -> list[Parcel]:
        rows = await claim(self._delivery.stopping.worker.attempt())
        self.claimed |= bool(rows)
        return await with_tenants(self._delivery.directory, rows)


async def with_tenants(directory: Directory, rows: Sequence[ClaimedRow]) -> list[Parcel]:
    """Claimed messages with their channel and portal beside them."""
    tenants = {key: await directory.channel(ChannelId(key)) for key in {row.channel_id for row in rows}}
    # A channel that was deleted a moment ago took its messages with it.
    return [row.parcel(t.channel, t.portal) for row in rows if (t := tenants[row.channel_id])]


async def _land(flying: set[asyncio.Task[None]]) -> None:
    """Calls in flight are not dropped when the slice fails: their outcome is wanted all the same."""
    if flying:
        landed, _ = await asyncio.wait(flying, timeout=limits.LANDING_S_MAX)
        for task in landed:
            task.cancelled() or task.exception()  # the slice has failed already, and says why


def _cause(error: PlatformError) -> CallFailure:
    """As what it is counted: by the nearest of its classes."""
    return next((_CAUSES[kind] for kind in type(error).__mro__ if kind in _CAUSES), CallFailure.UNEXPECTED)
